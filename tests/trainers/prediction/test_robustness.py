"""Scores with slots missing at test."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError
from feature_repo.store import Store
from tests.trainers.planted_sequences import planted_sequences
from trainers.config import AdapterConfig
from trainers.fusion.config import ConversationConfig, MambaFusionConfig
from trainers.prediction.robustness import RATES, run_data, scores_by_subset, scores_with_drop
from trainers.runs.run import Run
from trainers.train import train

MAMBA = MambaFusionConfig(lr=2e-2, max_epochs=5, batch_size=16, d_state=4, label_smoothing=0.0)
SCORES = ["accuracy", "weighted_f1", "macro_f1", "uar"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted_sequences(tmp_path_factory.mktemp("sequences"))


@pytest.fixture(scope="module")
def run(store: Store) -> Run:
    slots = ("text_steps", "speaker", "face_steps")
    return train(store, slots, config=MAMBA, protocol="official", join="outer").runs[0]


@pytest.fixture(scope="module")
def conversation(store: Store) -> Run:
    config = ConversationConfig(max_epochs=4, width=16, d_state=4, lr=1e-2)
    return train(store, ("speaker",), config=config, protocol="official").runs[0]


def test_nothing_dropped_is_the_runs_own_score(store: Store, run: Run) -> None:
    told = scores_with_drop(run, run_data(store, run), [0.0], [0, 1])
    assert told.columns == ["rate", "seed", "rows", "dropped", *SCORES]
    for row in told.to_dicts():
        assert (row["rate"], row["rows"], row["dropped"]) == (0.0, 72, 0.0)
        assert {name: row[name] for name in SCORES} == pytest.approx(run.record["scores"]["test"])
    assert told["seed"].to_list() == [0, 1]


def test_the_more_is_dropped_the_worse(store: Store, run: Run) -> None:
    data = run_data(store, run)
    told = scores_with_drop(run, data, [0.0, 0.3, 0.7], range(8))
    mean = told.group_by("rate").agg(pl.col("uar").mean(), pl.col("dropped").mean()).sort("rate")
    assert mean["uar"].is_sorted(descending=True)
    assert mean["uar"][0] - mean["uar"][2] > 0.1
    # Of k present slots each is dropped with chance rate - rate**k / k, as drop_modalities says.
    present = np.stack([data.present[name] for name in run.record["slots"]], 1)  # type: ignore[union-attr]
    tested = [data.ids.index(name) for name in run.predictions()["utterance_id"]]  # type: ignore[union-attr]
    counts = present[tested].sum(1)
    expected = sum(k * (0.7 - 0.7**k / k) for k in counts) / counts.sum()
    # Eight draws of some 160 slots: five standard errors.
    assert mean["dropped"][2] == pytest.approx(expected, abs=5 * 0.5 / (8 * counts.sum()) ** 0.5)


def test_a_draw_is_of_its_seed(store: Store, run: Run) -> None:
    data = run_data(store, run)
    one = scores_with_drop(run, data, [0.5], [3, 4])
    assert one.equals(scores_with_drop(run, data, [0.2, 0.5], [3, 4]).filter(pl.col("rate") == 0.5))
    assert one["accuracy"].n_unique() == 2
    # Rows in another order draw the same.
    ids = run.predictions()["utterance_id"].to_list()[::-1]
    other = store.pull(dict(run.record["views"]), ids=ids, join="outer")
    alone = scores_with_drop(run, other, [0.5], [3])
    again = scores_with_drop(
        run, store.pull(dict(run.record["views"]), ids=ids[::-1], join="outer"), [0.5], [3]
    )
    assert alone.equals(again)


def test_every_subset_by_masking_by_hand(store: Store, run: Run) -> None:
    told = scores_by_subset(run, run_data(store, run))
    assert told["slots"].to_list() == [
        "text_steps",
        "speaker",
        "face_steps",
        "text_steps+speaker",
        "text_steps+face_steps",
        "speaker+face_steps",
        "text_steps+speaker+face_steps",
    ]
    # Of ten rows one has nothing at all and is not tested; the planted gaps of each view say the rest.
    assert told["without"].to_list() == [0, 8, 24, 0, 0, 8, 0]
    assert (told["rows"] + told["without"]).to_list() == [72] * 7
    by_slots = {row["slots"]: row for row in told.to_dicts()}
    whole = by_slots["text_steps+speaker+face_steps"]
    assert {name: whole[name] for name in SCORES} == pytest.approx(run.record["scores"]["test"])
    # The tokens tell the emotion, the face hardly does.
    assert by_slots["text_steps"]["uar"] > by_slots["face_steps"]["uar"] + 0.15


def test_conversations(store: Store, conversation: Run) -> None:
    data = run_data(store, conversation)
    told = scores_with_drop(conversation, data, [0.0, 0.5], [0])
    assert {name: told[name][0] for name in SCORES} == pytest.approx(conversation.record["scores"]["test"])
    # An only slot is never dropped.
    assert told["dropped"].to_list() == [0.0, 0.0]
    (row,) = scores_by_subset(conversation, data).to_dicts()
    assert row["rows"] == told["rows"][0]


def test_what_is_no_data_of_the_run_is_refused(store: Store, run: Run, conversation: Run) -> None:
    data = run_data(store, run)
    with pytest.raises(BadInputError, match=r"drop rate 1.0; allowed: from 0 to below 1"):
        scores_with_drop(run, data, [1.0])
    with pytest.raises(BadInputError, match="pull its data by='dialogue'"):
        scores_with_drop(conversation, data)
    with pytest.raises(BadInputError, match="'face_steps' is not pulled"):
        scores_by_subset(run, store.pull(("text_steps", "speaker"), join="outer"))
    few = store.pull(dict(run.record["views"]), ids=["toy/u000"], join="outer")
    with pytest.raises(BadInputError, match="72 test rows of run .* are not in the data"):
        scores_by_subset(run, few)
    config = dataclasses.replace(AdapterConfig(), max_epochs=1)
    (adapter,) = train(store, ("speaker",), config=config, protocol="official").runs
    with pytest.raises(BadInputError, match="adapter 'mlp', which needs all of its slots"):
        scores_with_drop(adapter, run_data(store, adapter))


def test_the_axis_is_that_of_the_curves() -> None:
    assert RATES == (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
