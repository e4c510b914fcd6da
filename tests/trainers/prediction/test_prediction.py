"""Predictions: the stored ones again, from any of a run's slots, and nothing left out in silence."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.store import Store
from tests.trainers.conftest import Planted
from tests.trainers.planted_sequences import planted_sequences
from trainers.config import AdapterConfig
from trainers.fusion.config import GatedFusionConfig
from trainers.models import model_config, model_names, model_reads
from trainers.prediction.prediction import predict, predict_together
from trainers.runs.run import Run
from trainers.train import train

SMALL = {"width": 32, "depth": 1, "heads": 4, "d_state": 4, "latent": 16}
SLOTS = ("text_steps", "speaker", "face_steps")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted_sequences(tmp_path_factory.mktemp("sequences"))


def fitted(store: Store, name: str, slots: tuple[str, ...] = SLOTS, **options: Any) -> Run:
    kind = model_config(name)
    small = {
        field: value
        for field, value in SMALL.items()
        if field in {each.name for each in dataclasses.fields(kind)}
    }
    config = kind(max_epochs=1, lr=1e-3, **small)
    (run,) = train(store, slots, config=config, protocol="official", **options).runs
    return run


def shares(frame: pl.DataFrame, run: Run) -> np.ndarray:
    return frame.select(f"p_{name}" for name in run.record["classes"]).to_numpy()


@pytest.mark.parametrize("name", [name for name in model_names() if model_reads(name) == "utterances"])
def test_every_fusion_model_predicts_from_whatever_a_row_has(store: Store, name: str) -> None:
    run = fitted(store, name, join="outer")
    told = predict(run, store.pull(SLOTS, join="outer"))
    assert told.columns == [
        "utterance_id",
        "predicted",
        *(f"p_{label}" for label in run.record["classes"]),
        *(f"present_{slot}" for slot in SLOTS),
    ]
    assert told["utterance_id"].to_list() == store.manifest()["utterance_id"].to_list()
    # Row 3 of ten has nothing; of the others each is predicted.
    nothing = [f"toy/u{row:03}" for row in range(3, 240, 10)]
    assert told.filter(pl.col("predicted").is_null())["utterance_id"].to_list() == nothing
    assert told.filter(pl.col("p_joy").is_null())["utterance_id"].to_list() == nothing
    lacks = {"text_steps": {3}, "speaker": {3, 5}, "face_steps": {1, 3, 5, 7}}
    for slot, rows in lacks.items():
        assert told[f"present_{slot}"].to_list() == [row % 10 not in rows for row in range(240)]
    stored = run.predictions()
    again = stored.join(told, on="utterance_id", suffix="_again")
    assert again.height == stored.height == 72
    assert again["predicted"].to_list() == again["predicted_again"].to_list()
    np.testing.assert_allclose(
        again.select(f"p_{label}_again" for label in run.record["classes"]).to_numpy(),
        shares(stored, run),
        atol=1e-6,
    )
    some = told.drop_nulls()
    np.testing.assert_allclose(shares(some, run).sum(1), 1, atol=1e-5)


def test_a_slot_that_is_not_pulled_is_as_good_as_absent(store: Store) -> None:
    run = fitted(store, "gated", join="outer")
    whole = predict(run, store.pull(SLOTS, join="outer"))
    without = predict(run, store.pull(["text_steps", "speaker"], join="outer"))
    assert not without["present_face_steps"].any()
    # Rows 1 and 7 have no face anyway; row 0 has one, and is read without it now.
    rows = np.arange(240) % 10
    np.testing.assert_allclose(shares(without, run)[rows == 1], shares(whole, run)[rows == 1], atol=1e-6)
    assert np.abs(shares(without, run)[rows == 0] - shares(whole, run)[rows == 0]).max() > 1e-3
    alone = predict(run, store.pull(["speaker"], join="outer"))
    assert alone["predicted"].null_count() == 48


def test_rows_do_not_depend_on_their_company(store: Store) -> None:
    run = fitted(store, "mamba", join="outer")
    whole = predict(run, store.pull(SLOTS, join="outer"))
    ids = ["toy/u007", "toy/u000", "toy/u003"]
    few = predict(run, store.pull(SLOTS, ids=ids, join="outer"))
    assert few["utterance_id"].to_list() == ids
    for name in ids[:2]:
        np.testing.assert_allclose(
            shares(few.filter(utterance_id=name), run),
            shares(whole.filter(utterance_id=name), run),
            atol=1e-6,
        )
    assert few["predicted"].to_list()[2] is None


def test_seeds_together_give_their_mean(store: Store) -> None:
    config = GatedFusionConfig(max_epochs=1, lr=1e-2, latent=16)
    runs = train(store, SLOTS, config=config, protocol="official", seeds=(0, 1), join="outer").runs
    data = store.pull(SLOTS, join="outer")
    one, other, both = predict(runs[0], data), predict(runs[1], data), predict_together(runs, data)
    assert both.columns == one.columns
    mean = (shares(one, runs[0]) + shares(other, runs[0])) / 2
    np.testing.assert_allclose(shares(both, runs[0]), mean, atol=1e-7)
    there = both.drop_nulls()
    assert there.height == 216
    best = shares(there, runs[0]).argmax(1)
    assert there["predicted"].to_list() == [runs[0].record["classes"][index] for index in best]
    assert both["predicted"].is_null().to_list() == one["predicted"].is_null().to_list()
    assert predict_together(runs[:1], data).equals(one)
    with pytest.raises(BadInputError, match="other slots; name one"):
        predict_together([runs[0], fitted(store, "gated", ("speaker",))], data)


def test_an_adapter_predicts_rows_that_have_everything(planted: Planted) -> None:
    (run,) = train(
        planted.store, ["text", "speech"], config=AdapterConfig(max_epochs=2), protocol="official"
    ).runs
    data = planted.store.pull(["text", "speech"], join="outer")
    lacking = np.arange(240) % 4 == 1
    holes = dataclasses.replace(data, present={"text": data.present["text"], "speech": ~lacking})
    told = predict(run, holes)
    assert told["predicted"].is_null().to_list() == lacking.tolist()
    stored = run.predictions()
    both = stored.join(told.drop_nulls(), on="utterance_id", suffix="_again")
    assert both.height == 60
    np.testing.assert_allclose(both["p_joy_again"], both["p_joy"], atol=1e-6)
    with pytest.raises(BadInputError, match="lacks speech; it needs all of text, speech"):
        predict(run, planted.store.pull(["text"]))


def test_a_turn_without_anything_is_predicted_from_its_dialogue(store: Store, tmp_path: Path) -> None:
    dialogue = planted_sequences(tmp_path)
    run = fitted(dialogue, "conversation", ("speaker",))
    data = dialogue.pull(["speaker"], by="dialogue", join="outer")
    told = predict(run, data)
    assert told["predicted"].null_count() == 0
    assert told["present_speaker"].sum() == 192
    stored = run.predictions()
    both = stored.join(told, on="utterance_id", suffix="_again")
    np.testing.assert_allclose(both["p_joy_again"], both["p_joy"], atol=1e-6)
    nobody = dialogue.pull(["speaker"], ids=["toy/u003", "toy/u005"], by="dialogue", join="outer")
    assert predict(run, nobody)["predicted"].null_count() == 2
    with pytest.raises(BadInputError, match="by='dialogue'"):
        predict(run, data.training_set)


def test_data_of_another_kind_is_refused(store: Store, planted: Planted) -> None:
    run = fitted(store, "gated", ("text_steps", "speaker"))
    with pytest.raises(UnknownNameError, match="face_steps"):
        predict(run, store.pull(["face_steps", "text_steps"]))
    with pytest.raises(BadInputError, match="was trained on speaker_planted"):
        predict(run, planted.store.pull({"speaker": "speech"}))
    with pytest.raises(BadInputError, match="by='utterance'"):
        predict(run, store.pull(["speaker"], by="dialogue"))
