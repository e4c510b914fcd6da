"""Beginning with another run's weights: which run, what fits, what may not have been seen."""

import dataclasses
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load

from feature_repo.errors import BadInputError, UnknownNameError
from tests.trainers.conftest import Planted, toy_rows
from trainers.config import AdapterConfig
from trainers.fusion.config import GatedFusionConfig
from trainers.models import fresh_model, run_slots, trained_model
from trainers.protocols.plan import LeakageError
from trainers.runs.groups import group_runs
from trainers.runs.run import finished_runs
from trainers.start import begin_with, start_of, started_runs
from trainers.train import Progress, Trained, train

FAST = AdapterConfig(max_epochs=3, lr=0.01)
FUSED = GatedFusionConfig(max_epochs=2, latent=8)


def _train(planted: Planted, **given: Any) -> Trained:
    slots = given.pop("slots", ("text",))
    options: dict[str, Any] = {"config": FAST, "protocol": "official", **given}
    return train(planted.store, slots, **options)


def _second(planted: Planted, start: Trained, **given: Any) -> Trained:
    return _train(planted, config=dataclasses.replace(FAST, lr=0.001), start=start.runs, **given)


def test_a_model_has_the_weights_and_the_scale_of_the_run(planted: Planted) -> None:
    (run,) = _train(planted, slots=("text", "speech"), config=FUSED, join="outer").runs
    torch.manual_seed(5)
    slots = run_slots(run)
    model = fresh_model(slots, len(run.record["classes"]), FUSED)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    begin_with(model, [slot.name for slot in slots], run.record["classes"], run)
    stored = load(run.checkpoint())
    assert any(not torch.equal(before[name], tensor) for name, tensor in stored.items())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, stored[name]), name


def test_what_is_learned_on_begins_where_the_other_ended(planted: Planted) -> None:
    first = _train(planted)
    fresh, begun = _train(planted, config=dataclasses.replace(FAST, lr=0.001)), _second(planted, first)
    losses = [run.epochs()["train_loss"][0] for run in (*fresh.runs, *begun.runs)]
    assert losses[1] < losses[0] / 2
    # The last epoch's weights at a rate too small to move them.
    still = _train(planted, config=dataclasses.replace(FAST, lr=1e-30, max_epochs=1), start=first.runs)
    one, other = (trained_model(each.runs[0]).state_dict() for each in (first, still))
    for name in ("head.weight", "mean", "deviation"):
        assert torch.equal(one[name], other[name])


def test_the_key_holds_the_run_and_the_group_its_group(planted: Planted) -> None:
    first = _train(planted, seeds=(0, 1))
    begun = _second(planted, first, seeds=(0, 1))
    fresh = _train(planted, config=dataclasses.replace(FAST, lr=0.001), seeds=(0, 1))
    assert {run.key for run in begun.runs}.isdisjoint(run.key for run in fresh.runs)
    assert [run.record["start"] for run in begun.runs] == [run.key for run in first.runs]
    assert [run.record["upstream"] for run in begun.runs] == [[run.key] for run in first.runs]
    assert len({run.record["group"] for run in begun.runs}) == 1
    assert begun.runs[0].record["group"] != fresh.runs[0].record["group"]
    groups = {group.name: group for group in group_runs(finished_runs(planted.store.files))}
    settings = groups[begun.runs[0].record["group"]].settings()
    assert settings["start"] == first.runs[0].record["group"]
    assert _second(planted, first, seeds=(0, 1)).trained == 0
    assert begun.runs[0].config()["data"]["start"] == first.runs[0].key


def test_a_run_or_its_group_means_all_its_seeds(planted: Planted) -> None:
    first = _train(planted, seeds=(0, 1))
    _train(planted, config=dataclasses.replace(FAST, lr=0.002))
    files = planted.store.files
    for name in (first.runs[1].key, first.runs[0].record["group"], ",".join(run.key for run in first.runs)):
        assert [run.key for run in started_runs(files, name)] == [run.key for run in first.runs]
    with pytest.raises(UnknownNameError, match="finished run 'nothing'"):
        started_runs(files, "nothing")


def test_each_fold_begins_with_its_own(planted: Planted) -> None:
    folds = {"protocol": "speaker-folds", "folds": 3}
    first = _train(planted, **folds)
    begun = _second(planted, first, **folds)
    assert [run.record["start"] for run in begun.runs] == [run.key for run in first.runs]
    with pytest.raises(
        BadInputError, match="nothing to start seed 4, fold 0 of 3 from; there is seed 0, fold 0"
    ):
        _second(planted, first, **folds, seeds=(4,))
    with pytest.raises(BadInputError, match="fold 0 of 1 from"):
        start_of(first.runs, 0, 0, 1)


def test_what_was_trained_on_is_not_tested(planted: Planted) -> None:
    begun: list[int] = []
    progress = Progress(on_begin=lambda seed, fold, key, identity: begun.append(fold))
    first = _train(planted)  # speakers 0 to 2 train
    with pytest.raises(LeakageError, match=f"weights of run {first.runs[0].key} were learned from"):
        _second(planted, first, protocol="speaker-folds", folds=3, progress=progress)
    assert begun == []


def test_the_whole_chain_above_counts(planted: Planted) -> None:
    first = _train(planted)
    second = _second(planted, first)
    third = _train(planted, config=dataclasses.replace(FAST, lr=1e-4), start=second.runs)
    assert third.runs[0].record["upstream"] == sorted([first.runs[0].key, second.runs[0].key])
    # Who tests what the first was trained on, though nothing in between was, is refused for the first.
    rows = toy_rows()
    planted.write_rows(rows.filter(rows["speaker_id"] != "toy/s0"))
    apart = _train(planted, config=dataclasses.replace(FAST, lr=2e-4), start=third.runs)
    assert len(apart.runs[0].record["upstream"]) == 3
    back = rows.with_columns(
        split=pl.when(pl.col("speaker_id") == "toy/s0").then(pl.lit("test")).otherwise("split")
    )
    planted.write_rows(back)
    with pytest.raises(LeakageError, match="'toy/u000'"):
        _train(planted, start=apart.runs)


@pytest.mark.parametrize(
    ("inputs", "classes", "latent", "told"),
    [
        (("speech", "text"), None, 8, "its slots are text, speech; allowed: speech, text, in this order"),
        (
            ("text", "speech"),
            ("joy", "neutral", "anger"),
            8,
            "its classes are .*; allowed: joy, neutral, anger",
        ),
        (
            ("text", "speech"),
            None,
            16,
            r"projections\.0\.1\.weight is \[8, 8\], not \[16, 8\]; .* and 6 more; allowed: a run of a model",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    planted: Planted, inputs: tuple[str, ...], classes: tuple[str, ...] | None, latent: int, told: str
) -> None:
    (run,) = _train(planted, slots=("text", "speech"), config=FUSED, join="outer").runs
    slots = run_slots(run)
    model = fresh_model(slots, len(run.record["classes"]), dataclasses.replace(FUSED, latent=latent))
    with pytest.raises(BadInputError, match=f"run {run.key} is nothing to start from here: {told}"):
        begin_with(model, inputs, classes or run.record["classes"], run)


def test_a_part_with_its_own_weights_keeps_them_and_another_is_missing(planted: Planted) -> None:
    (run,) = _train(planted, slots=("text", "speech"), config=FUSED, join="outer").runs
    slots = run_slots(run)
    model = fresh_model(slots, len(run.record["classes"]), FUSED)
    model.encoders = torch.nn.ModuleDict({"speech": torch.nn.Linear(2, 2)})
    names = [slot.name for slot in slots]
    with pytest.raises(
        BadInputError, match=r"it lacks encoders\.speech\.weight; it lacks encoders\.speech\.bias"
    ):
        begin_with(model, names, run.record["classes"], run)
    model.rates = {"encoders.speech": 1e-5}
    own = model.encoders["speech"].weight.clone()
    begin_with(model, names, run.record["classes"], run)
    assert torch.equal(model.encoders["speech"].weight, own)
