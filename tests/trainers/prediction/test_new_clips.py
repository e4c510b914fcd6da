"""New clips and what is told of them, with a computing function whose numbers are known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe
from feature_repo.records import live_values
from feature_repo.store import Store
from tests.trainers.conftest import Planted
from trainers.config import AdapterConfig
from trainers.fusion.config import GatedFusionConfig
from trainers.prediction.new_clips import (
    CORPUS,
    NO_REFERENCE,
    Predicted,
    predict_new,
    predict_stored,
    views_of_slots,
)
from trainers.runs.run import Run
from trainers.train import train


class Chain:
    """A text view, and the speaker's face: the reference where the store has one, else nothing."""

    def __init__(self, planted: Planted) -> None:
        self.planted, self.store = planted, planted.store
        self.reference = Recipe(
            "reference",
            "planted",
            1,
            "speaker",
            "pooled",
            2,
            inputs=(planted.text.fingerprint,),
            entity="speaker",
        )
        inputs = (planted.speech.fingerprint, self.reference.fingerprint)
        self.face = Recipe("face", "planted", 1, "rows", "pooled", 2, inputs=inputs)
        people = self.store.manifest().select("utterance_id", "speaker_id", "speaker_raw")
        self.who = dict(people.select("utterance_id", "speaker_id").iter_rows())
        fill(self.store, [self.reference], self.references)
        fill(self.store, [self.face], lambda missing: self.faces(self.store, missing))
        self.asked: list[str] = []

    def references(self, missing: Mapping[str, Sequence[str]]) -> Any:
        for name in missing[self.reference.view]:
            yield self.reference.view, name, Features(np.array([int(name[-1]), 1], np.float32))

    def faces(self, store: Store, missing: Mapping[str, Sequence[str]]) -> Any:
        who = dict(store.manifest().select("utterance_id", "speaker_id").iter_rows())
        known = live_values(store, self.reference.view, [name for name in who.values() if name])
        for name in missing[self.face.view]:
            value = known.get(who[name] or "")
            yield self.face.view, name, Features(None, NO_REFERENCE) if value is None else Features(value)

    def compute(self, store: Store, views: Sequence[str], **options: Any) -> None:
        """Speech is broken for a text that says so."""
        self.asked += views
        texts = dict(store.manifest().select("utterance_id", "text").iter_rows())

        def base(missing: Mapping[str, Sequence[str]]) -> Any:
            for view, names in missing.items():
                width = store.recipe(view).width
                for name in names:
                    if view == self.planted.speech.view and "broken" in texts[name]:
                        yield view, name, Fault("media", "NoAudioTrack", f"{name} is broken")
                    else:
                        yield view, name, Features(np.full(width, len(texts[name]), np.float32))

        fill(store, [store.recipe(view) for view in views if view != self.face.view], base)
        if self.face.view in views:
            fill(store, [self.face], lambda missing: self.faces(store, missing))

    def predict(
        self, run: Run, rows: Sequence[tuple[str, str | None, str | None]], **options: Any
    ) -> Predicted:
        """Rows of (id, text, speaker)."""
        frame = pl.DataFrame(
            {
                "utterance_id": [f"{CORPUS}/{name}" for name, _, _ in rows],
                "text": [text for _, text, _ in rows],
                "speaker_id": [who and f"{CORPUS}/{who}" for _, _, who in rows],
            },
            schema_overrides={"text": pl.String, "speaker_id": pl.String},
        )
        return predict_new(self.store, [run], frame, self.compute, **options)


@pytest.fixture
def chain(planted: Planted) -> Chain:
    rows = planted.store.manifest().select(
        "utterance_id", "corpus", "split", "dialogue_id", "speaker_id", "text", "label_raw", "emotion"
    )
    # Speakers 0 to 3 have names of their own, 4 and 5 share one.
    named = pl.col("speaker_id").replace(
        {f"toy/s{n}": ("Ann", "Bob", "Cid", "Dan", "Woman", "Woman")[n] for n in range(6)}
    )
    planted.write_rows(rows.with_columns(speaker_raw=named))
    return Chain(planted)


@pytest.fixture
def run(chain: Chain) -> Run:
    config = GatedFusionConfig(max_epochs=1, latent=8)
    (run,) = train(
        chain.store, ["text", chain.face.view], config=config, protocol="official", join="outer"
    ).runs
    return run


def test_speakers_are_found_by_name_or_id_and_strangers_are_told(chain: Chain, run: Run) -> None:
    rows = [
        ("name", "some words", "Bob"),
        ("id", "some words", "toy/s1"),
        ("stranger", "some words", "Zoe"),
        ("several", "some words", "Woman"),
        ("nobody", "some words", None),
    ]
    told = chain.predict(run, rows)
    assert told.rows["utterance_id"].to_list() == [name for name, _, _ in rows]
    assert told.rows["present_face"].to_list() == [True, True, False, False, False]
    assert told.rows["p_joy"][0] == told.rows["p_joy"][1]
    assert told.absent["face"] == {
        "stranger": "no reference of the speaker: 'Zoe' is nobody whom the store knows",
        "several": "no reference of the speaker: 'Woman' may be any of toy/s4, toy/s5",
        "nobody": "no reference of the speaker",
    }
    assert told.remarks == ()  # words show no face
    assert told.notes()[:3] == ["", "", f"no face: {told.absent['face']['stranger']}"]


def test_what_fails_is_told_and_the_others_go_on(chain: Chain, run: Run) -> None:
    told = chain.predict(run, [("good", "words", "Ann"), ("bad", "broken", "Ann"), ("mute", None, None)])
    assert told.rows["predicted"].is_null().to_list() == [False, False, True]
    # The face is of an input that failed.
    assert told.absent["face"]["bad"].endswith("bad is broken")
    assert told.absent["text"] == {"mute": "it has no text"}


def test_what_is_left_out_is_not_computed(chain: Chain, run: Run) -> None:
    chain.predict(run, [("good", "words", "Ann")], without=["face"])
    assert chain.asked == [chain.planted.text.view]
    told = chain.predict(run, [("good", "words", "Ann")], without=["text"])
    assert set(told.absent) == {"face"}
    assert not told.rows["present_text"][0]


def test_slots_that_can_be_left_out(chain: Chain, run: Run) -> None:
    assert views_of_slots([run], ["face"]) == {"text": chain.planted.text.view}
    with pytest.raises(UnknownNameError, match="voice"):
        views_of_slots([run], ["voice"])
    with pytest.raises(BadInputError, match="nothing is left"):
        views_of_slots([run], ["text", "face"])
    (adapter,) = train(
        chain.store, ["text", "speech"], config=AdapterConfig(max_epochs=1), protocol="official"
    ).runs
    with pytest.raises(BadInputError, match="read other views"):
        views_of_slots([run, adapter])
    with pytest.raises(BadInputError, match="is an adapter"):
        views_of_slots([adapter], ["text"])


def test_stored_rows_by_corpus_and_split(chain: Chain, run: Run) -> None:
    told = predict_stored(chain.store, [run], corpora=["toy"], splits=["test"])
    assert told.rows.height == 80
    stored = run.predictions().join(told.rows, on="utterance_id", suffix="_again")
    np.testing.assert_allclose(stored["p_anger_again"], stored["p_anger"], atol=1e-6)
    with pytest.raises(UnknownNameError, match="nobody"):
        predict_stored(chain.store, [run], corpora=["nobody"])


def test_the_store_stays_as_it_is(chain: Chain, run: Run) -> None:
    before = {view: chain.store.table(view).parts() for view in chain.store.views()}
    chain.predict(run, [("good", "words", "Ann")])
    assert {view: chain.store.table(view).parts() for view in chain.store.views()} == before
    assert chain.store.corpora() == ["toy"]
