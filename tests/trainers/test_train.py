"""Training on a store: runs appear once, change with their rows, and say what they were trained on."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as reference

from feature_repo.errors import BadInputError, UnknownNameError
from tests.trainers.conftest import EMOTIONS, Planted, toy_rows
from trainers.config import AdapterConfig
from trainers.runs.run import CODE_VERSION, finished_runs
from trainers.train import Progress, Trained, train

FAST = AdapterConfig(max_epochs=6, lr=0.01)
# Mean training losses of six epochs with seed 7, printed by the run when CODE_VERSION was last raised.
LOSSES = [0.9287046, 0.1166714, 0.0486632, 0.0314477, 0.0264766, 0.0313354]


def _train(planted: Planted, slots: tuple[str, ...] = ("text",), **given: Any) -> Trained:
    options: dict[str, Any] = {"config": FAST, "protocol": "official", **given}
    return train(planted.store, slots, **options)


def test_it_learns_what_was_planted_and_nothing_from_noise(planted: Planted) -> None:
    assert _train(planted).summary()["accuracy"][0] > 0.85
    assert _train(planted, ("speech",)).summary()["accuracy"][0] < 0.55


def test_a_run_folder_holds_what_it_promises(planted: Planted) -> None:
    (run,) = _train(planted, ("text", "speech")).runs
    names = planted.store.files.list_files(f"runs/{run.key}")
    assert set(names) == {
        "config.yaml",
        "epochs.csv",
        "model.safetensors",
        "parts.parquet",
        "predictions.parquet",
        "run.json",
    }
    rows = toy_rows()
    predictions = run.predictions()
    expected = rows.filter(pl.col("split") == "test")
    assert predictions["utterance_id"].to_list() == expected["utterance_id"].to_list()
    assert predictions["true"].to_list() == expected["emotion"].to_list()
    shares = predictions.select(pl.col("^p_.*$"))
    assert [name.removeprefix("p_") for name in shares.columns] == run.record["classes"]
    np.testing.assert_allclose(shares.to_numpy().sum(1), 1, rtol=1e-5)
    likeliest = [run.record["classes"][index] for index in shares.to_numpy().argmax(1)]
    assert likeliest == predictions["predicted"].to_list()
    # The record's scores are those of the stored predictions, by scikit-learn.
    told = run.record["scores"]["test"]
    truth, predicted = predictions["true"].to_list(), predictions["predicted"].to_list()
    assert told["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert told["weighted_f1"] == pytest.approx(
        reference.f1_score(truth, predicted, labels=EMOTIONS, average="weighted", zero_division=0)
    )
    assert run.record["views"] == {"text": planted.text.view, "speech": planted.speech.view}
    assert run.record["fingerprints"]["text"] == planted.text.fingerprint
    assert run.record["rows"] == {"train": 120, "validation": 40, "test": 80}
    assert run.epochs().height == run.record["epochs"]
    settings = run.config()["settings"]
    assert settings["batch_size"] == {"value": 32, "source": "papers/000 III-B2"}
    assert settings["scaling"]["assumed"] is True
    assert settings["max_epochs"]["assumed"] is True  # 6 where the paper has 100
    parts = run.parts()
    assert set(parts.filter(pl.col("part") == "train")["utterance_id"]) == set(
        rows.filter(pl.col("split") == "train")["utterance_id"]
    )


def test_a_finished_run_is_not_run_again(planted: Planted) -> None:
    seen: list[tuple[int, bool | str]] = []
    progress = Progress(
        on_begin=lambda seed, fold, key, identity: seen.append((seed, key)),
        on_end=lambda run, trained: seen.append((run.record["seed"], trained)),
    )
    first = _train(planted, seeds=(0, 1))
    again = _train(planted, seeds=(0, 1, 2), progress=progress)
    assert (first.trained, again.trained) == (2, 1)
    assert [run.key for run in again.runs[:2]] == [run.key for run in first.runs]
    assert again.runs[0].record["created"] == first.runs[0].record["created"]
    assert seen == [(0, False), (1, False), (2, again.runs[2].key), (2, True)]


def test_the_same_run_in_another_store_has_the_same_numbers(planted: Planted) -> None:
    (one,) = _train(planted).runs
    planted.store.files.remove(f"runs/{one.key}/run.json")
    (two,) = _train(planted).runs
    assert two.key == one.key
    assert two.checkpoint() == one.checkpoint()
    assert two.record["scores"] == one.record["scores"]


@pytest.mark.parametrize("change", ["text", "emotion", "row"])
def test_a_changed_row_makes_it_a_new_run(planted: Planted, change: str) -> None:
    (before,) = _train(planted).runs
    rows = toy_rows()
    first = pl.col("utterance_id") == "toy/u000"
    if change == "text":
        rows = rows.with_columns(text=pl.when(first).then(pl.lit("other words")).otherwise("text"))
    elif change == "emotion":
        rows = rows.with_columns(emotion=pl.when(first).then(pl.lit("anger")).otherwise("emotion"))
    else:
        rows = rows.filter(~first)
    planted.write_rows(rows)
    (after,) = _train(planted).runs
    assert after.key != before.key
    assert {run.key for run in finished_runs(planted.store.files)} == {before.key, after.key}


@pytest.mark.parametrize(
    "change",
    [
        {"config": dataclasses.replace(FAST, label_smoothing=0.1)},
        {"config": dataclasses.replace(FAST, ema=0.9)},
        {"config": dataclasses.replace(FAST, corpus_weights={"toy": 2.0})},
        {"seeds": (1,)},
        {"slots": ("text", "speech")},
        {"slots": ("speech", "text")},
    ],
)
def test_another_setting_seed_or_order_of_views_is_another_run(
    planted: Planted, change: dict[str, Any]
) -> None:
    (plain,) = _train(planted).runs
    (other,) = _train(planted, **change).runs
    assert other.key != plain.key


def test_speaker_folds_test_everyone_once(planted: Planted) -> None:
    done = _train(planted, protocol="speaker-folds", folds=3, seeds=(0, 1))
    assert [(run.record["seed"], run.record["fold"]) for run in done.runs] == [
        (s, f) for s in (0, 1) for f in range(3)
    ]
    first = pl.concat(run.predictions() for run in done.runs[:3])
    assert sorted(first["utterance_id"]) == toy_rows()["utterance_id"].to_list()
    assert done.by_seed()[0].accuracy == pytest.approx((first["true"] == first["predicted"]).mean())
    mean, deviation = done.summary()["uar"]
    both = [scores.uar for scores in done.by_seed().values()]
    assert mean == pytest.approx(np.mean(both))
    assert deviation == pytest.approx(np.std(both, ddof=1))
    for run in done.runs:
        groups = run.parts().group_by("speaker_id").agg(pl.col("part").n_unique())
        assert groups["part"].max() == 1


def test_only_the_folds_asked_for_are_trained(planted: Planted) -> None:
    done = _train(planted, protocol="speaker-folds", folds=3, only_folds=(2,))
    assert [run.record["fold"] for run in done.runs] == [2]
    with pytest.raises(UnknownNameError, match="unknown fold '3'; allowed: 0, 1, 2"):
        _train(planted, protocol="speaker-folds", folds=3, only_folds=(3,))


def test_scaling_comes_from_training_rows_alone(planted: Planted) -> None:
    from safetensors.torch import load

    (run,) = _train(planted).runs
    trained = toy_rows().filter(pl.col("split") == "train")["utterance_id"]
    rows = np.stack([planted.vectors[utterance_id][:8] for utterance_id in trained])
    stored = load(run.checkpoint())
    np.testing.assert_allclose(stored["mean"].numpy(), rows.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stored["deviation"].numpy(), np.sqrt(rows.var(0).mean()), rtol=1e-4)


@pytest.mark.parametrize("slots", [(), ("text", "text")])
def test_slots_are_named_once(planted: Planted, slots: tuple[str, ...]) -> None:
    with pytest.raises(BadInputError, match="each once"):
        _train(planted, slots)


def test_an_unknown_slot_is_named(planted: Planted) -> None:
    with pytest.raises(UnknownNameError, match="'face'; allowed: .*speech.*text"):
        _train(planted, ("face",))


def test_a_corpus_weight_reaches_its_rows(planted: Planted) -> None:
    rows = toy_rows()
    other = pl.col("utterance_id").str.replace("toy/", "extra/")
    extra = rows.filter(pl.col("split") == "train").with_columns(
        utterance_id=other,
        corpus=pl.lit("extra"),
        emotion=pl.lit("anger"),
        dialogue_id=pl.lit("extra/d"),
        speaker_id=pl.lit("extra/s"),
    )
    for name in extra["utterance_id"]:
        planted.vectors[name] = planted.vectors[name.replace("extra/", "toy/")]
    planted.store.write_manifest("extra", extra)
    planted.write_rows(rows)
    said = {}
    for weight in (0.01, 100.0):
        config = dataclasses.replace(FAST, corpus_weights={"extra": weight})
        (run,) = _train(planted, config=config).runs
        said[weight] = float((run.predictions()["predicted"] == "anger").mean())  # type: ignore[arg-type]
    # The extra corpus calls everything anger: who listens to it does so too.
    assert said[0.01] < 0.5
    assert said[100.0] > 0.9
    with pytest.raises(UnknownNameError, match="'meld'; allowed: extra, toy"):
        _train(planted, config=dataclasses.replace(FAST, corpus_weights={"meld": 2.0}))


def test_a_precision_that_the_device_lacks_is_refused(planted: Planted) -> None:
    with pytest.raises(BadInputError, match="'float16' needs a GPU"):
        _train(planted, config=dataclasses.replace(FAST, precision="float16"))


def test_code_version_rises_with_the_numbers(planted: Planted) -> None:
    """When this fails, the same settings on the same rows give other numbers than before.

    Then raise CODE_VERSION in trainers/runs/run.py, so that no old run passes for a new one, and put new losses here.
    """
    (run,) = _train(planted, seeds=(7,)).runs
    losses = run.epochs()["train_loss"].to_list()
    assert CODE_VERSION == 1
    assert losses == pytest.approx(LOSSES, rel=1e-3)
