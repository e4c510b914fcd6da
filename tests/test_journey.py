"""One walk through the commands, as a researcher takes it: every reader of the store tells the same after each step.

A user's own table with text and sound is ingested and extracted with real extractors. Then one text changes and changes
back, an utterance leaves, a broken recording is replaced; after each step ``pull``, Feast's history and Feast's online
store are asked for the same vectors, whose expected values come from scikit-learn itself.
"""

import json
import wave

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from affectstore import command_line, open_store

NAMES = ["ann", "bob", "cid", "eve"]
CLOSE = 1e-6


def write_tone(path, hertz):
    samples = (np.sin(np.arange(16_000) * hertz * 2 * np.pi / 16_000) * 12_000).astype("<i2")
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(16_000)
        target.writeframes(samples.tobytes())


def hashed(text):
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(n_features=768).transform([text]).toarray()[0]


class Journey:
    """A table of calls, the store that it is ingested into, and the commands between them."""

    def __init__(self, folder):
        self.folder = folder
        self.texts = {
            "ann": "so very happy",
            "bob": "leave me alone",
            "cid": "what was that",
            "eve": "fine with me",
        }
        for number, name in enumerate(NAMES):
            write_tone(folder / f"{name}.wav", 200 + 100 * number)
        (folder / "cid.wav").write_bytes(b"RIFF of nothing")
        self.app = command_line()

    def command(self, *arguments):
        result = CliRunner().invoke(self.app, [str(part) for part in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def ingest(self):
        rows = [
            {"id": name, "words": text, "file": f"{name}.wav", "who": name}
            for name, text in self.texts.items()
        ]
        pl.DataFrame(rows).write_csv(self.folder / "calls.csv")
        maps = ["utterance_id=id", "text=words", "media_uri=file", "speaker_id=who"]
        return self.command(
            "ingest",
            "table",
            self.folder / "calls.csv",
            "--name",
            "calls",
            *(part for pair in maps for part in ("--map", pair)),
        )

    def computed(self):
        """Extract, and how many rows that computed and copied forward, by view."""
        before = {view: self.stored(view) for view in open_store().views()}
        output = self.command("extract", "--profile", "classic")
        computed = {view: self.stored(view) - before.get(view, 0) for view in open_store().views()}
        return computed, output

    def stored(self, view):
        """Distinct (utterance, content) rows of the view: what was ever computed."""
        history = open_store().table(view).history().filter(pl.col("content_key") != "")
        return history.select("utterance_id", "content_key").unique().height

    def answers(self, name):
        """The utterance's text vector by pull, history and online store; None where it has none."""
        from feature_repo.historical import historical

        store = open_store()
        utterance_id = f"calls/{name}"
        pulled = store.pull(["text"])
        by_pull = dict(zip(pulled.ids, pulled.features["text"], strict=True)).get(utterance_id)
        by_history = historical(store, ["text"], [utterance_id])["text"][0]
        online = json.loads(self.command("lookup", "text", utterance_id, "--json"))["text"][0]
        return [None if value is None else np.asarray(value) for value in (by_pull, by_history, online)]

    def serves(self, name, text):
        """Whether all three readers serve what scikit-learn gives for the text."""
        self.command("materialize", "text")
        for value in self.answers(name):
            assert value is not None
            np.testing.assert_allclose(value, hashed(text), atol=CLOSE)


@pytest.fixture(scope="module")
def journey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("journey")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFFECTSTORE_ROOT", str(folder / "store"))
        patch.setenv("COLUMNS", "200")
        walk = Journey(folder)
        walk.command("init")
        walk.ingest()
        yield walk


def test_the_walk(journey):
    text, speech, faces = "text_hashing", "speech_mfcc", "faces_hog"

    computed, output = journey.computed()
    assert {view.rsplit("_", 1)[0]: count for view, count in computed.items()} == {
        text: 4,
        speech: 3,
        faces: 3,  # a sound shows nobody, which is stored
    }
    assert "Undecodable" in output
    found = json.loads(journey.command("faults", "--json"))
    assert sorted((fault["utterance_id"], fault["view"].split("_")[0]) for fault in found) == [
        ("calls/cid", "faces"),
        ("calls/cid", "speech"),
    ]
    journey.command("register")
    journey.serves("ann", "so very happy")

    # Again: nothing.
    computed, output = journey.computed()
    assert set(computed.values()) == {0}
    assert "0 utterances computed" in output

    # One text changes: exactly one is computed, and everyone serves the new value.
    journey.texts["ann"] = "quite sad now"
    assert "1 changed" in journey.ingest()
    computed, _ = journey.computed()
    assert sum(computed.values()) == 1
    journey.serves("ann", "quite sad now")

    # It changes back: nothing is computed, and everyone serves the old value.
    journey.texts["ann"] = "so very happy"
    journey.ingest()
    computed, _ = journey.computed()
    assert set(computed.values()) == {0}
    journey.serves("ann", "so very happy")

    # Merged and cleaned up, all is as before.
    journey.command("compact")
    journey.command("gc", "--grace", 0)
    computed, _ = journey.computed()
    assert set(computed.values()) == {0}
    journey.serves("ann", "so very happy")

    # An utterance leaves the corpus: it is gone from all three, and the others are not.
    del journey.texts["bob"]
    assert "1 removed" in journey.ingest()
    journey.computed()
    journey.command("materialize", "text")
    assert journey.answers("bob") == [None, None, None]
    journey.serves("eve", "fine with me")

    # The broken recording is replaced: just that one is tried again.
    write_tone(journey.folder / "cid.wav", 400)
    journey.ingest()
    computed, _ = journey.computed()
    assert {view.rsplit("_", 1)[0]: count for view, count in computed.items()} == {
        text: 0,
        speech: 1,
        faces: 1,
    }
    assert json.loads(journey.command("faults", "--json")) == []
