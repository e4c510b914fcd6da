"""Text extractors over stored transcripts in place of the corpus's words."""

import json

import numpy as np
import polars as pl
import pytest

from extractors.extraction import extract
from extractors.protocol import Item
from extractors.registry import create
from extractors.runner import Runner
from feature_repo.coverage import coverage
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.store import init_store

SAID = ["good morning", "awful weather", "wonderful day", "what a pity"]
HEARD = ["good mourning", "", "wonderful hay", "what a city"]


def transcripts(file, heard=HEARD):
    rows = [
        {"utterance_id": f"c/{turn}", "transcript": text}
        for turn, text in enumerate(heard)
        if text is not None
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return create("giventranscript", {"file": str(file)})


@pytest.fixture
def store(tmp_path):
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    talk = {
        "utterance_id": [f"c/{turn}" for turn in range(4)],
        "dialogue_id": "c/d",
        "turn": range(4),
        "text": SAID,
        "media_uri": str(tmp_path / "a.wav"),
    }
    store.write_manifest("c", pl.DataFrame(talk))
    extract(store, [transcripts(tmp_path / "heard.jsonl")], profile="default", device="cpu")
    return store


def hashed(text):
    made = create("hashing")
    made.load("cpu")
    return made.extract([Item("c/0", text)])[0]["text"].value


def test_what_was_heard_is_read_and_not_what_was_said(store):
    report, runner = extract(
        store, [create("hashing", {"transcript": "transcript"})], profile="asr", device="cpu"
    )
    assert report.computed == 4
    pulled = store.pull(["text"], join="outer", profile="asr")
    assert pulled.present["text"].tolist() == [True, False, True, True]
    np.testing.assert_array_equal(pulled.features["text"][2], hashed("wonderful hay"))
    (recipe,) = runner.recipes()
    assert recipe.inputs == (store.recipe(store.resolve("transcript", "default")).fingerprint,)
    assert recipe.settings == {}
    again = create("hashing", {"transcript": store.resolve("transcript", "default")})
    report, _ = extract(store, [again], profile="asr", device="cpu")
    assert report.computed == 0, "a view's name and its slot mean the same"


def test_the_context_is_what_was_heard_too(store):
    settings = {"transcript": "transcript", "context": "2", "separator": " | ", "prefix": "yes"}
    extract(store, [create("hashing", settings)], profile="asr", device="cpu")
    pulled = store.pull(["text"], ids=["c/2", "c/3"], profile="asr")
    np.testing.assert_array_equal(
        pulled.features["text"],
        [
            hashed("speaker=unknown good mourning | speaker=unknown wonderful hay"),
            hashed("speaker=unknown wonderful hay | speaker=unknown what a city"),
        ],
    )


def test_another_transcript_makes_those_stale_that_read_it(store, tmp_path):
    made = create("hashing", {"transcript": "transcript", "context": "1"})
    extract(store, [made], profile="asr", device="cpu")
    view = store.resolve("text", "asr")
    rows = store.manifest().with_columns(start_s=pl.when(pl.col("utterance_id") == "c/1").then(0.5))
    store.write_manifest(
        "c", rows.drop("text_key", "media_key", "media_digest", "media_size", "media_mtime_ns")
    )
    extract(store, [transcripts(tmp_path / "heard.jsonl")], profile="default", device="cpu")
    (counts,) = coverage(store, [view])
    assert (counts.counts["stale"], counts.counts["present"]) == (2, 2), "c/1, and c/2 which follows it"


def test_who_has_no_transcript_is_not_asked_for(store, tmp_path):
    partial = transcripts(tmp_path / "partial.jsonl", ["good mourning", None, "wonderful hay", None])
    extract(store, [partial], profile="partial", device="cpu")
    view = store.resolve("transcript", "partial")
    for context in ("0", "1"):
        made = create("hashing", {"transcript": view, "context": context})
        report, _ = extract(store, [made], profile=f"asr{context}", device="cpu")
        assert report.computed == 2


def test_a_view_that_holds_no_transcripts_is_refused(store):
    extract(store, [create("hashing")], profile="default", device="cpu")
    with pytest.raises(BadInputError, match="transcript='text': text_hashing_.* holds no transcripts"):
        extract(store, [create("hashing", {"transcript": "text"})], profile="asr", device="cpu")
    with pytest.raises(UnknownNameError, match="heard"):
        extract(store, [create("hashing", {"transcript": "heard"})], profile="asr", device="cpu")
    with pytest.raises(BadInputError, match="must be the fingerprint of a recipe"):
        create("hashing", {"transcript": "transcript"}).recipes()


def test_without_a_store_there_are_no_transcripts(store):
    made = create("hashing", {"transcript": "ab" * 32})
    view = made.recipes()["text"].view
    with pytest.raises(BadInputError, match="reads transcripts, and there are none here"):
        list(Runner([made], store.manifest(), device="cpu").compute({view: ["c/0"]}))
