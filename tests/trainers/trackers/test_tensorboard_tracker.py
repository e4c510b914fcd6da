"""Event files, read back with TensorBoard's own reader."""

import math
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.trainers.conftest import Planted
from trainers.config import AdapterConfig
from trainers.runs.run import Run
from trainers.trackers.tensorboard_tracker import TensorBoardTracker
from trainers.trackers.tracking import tracked, tracking
from trainers.train import Progress, train
from trainers.training_loop import Epoch


def read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    return found.Reload()


def steps(found: EventAccumulator, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(name)]


def go(planted: Planted, progress: Progress | None = None, **settings: Any) -> Run:
    with tracking(["tensorboard"], planted.store) as opened:
        done = train(
            planted.store,
            ["text"],
            config=AdapterConfig(**{"max_epochs": 6} | settings),
            protocol="official",
            progress=tracked(progress or Progress(), opened),
        )
    return done.runs[0]


def check_curves(planted: Planted, run: Run) -> EventAccumulator:
    """Every epoch once, with the numbers that the run's own table has."""
    found = read(Path(planted.store.root) / "tensorboard" / run.key)
    epochs = run.epochs()
    for name, column in (
        ("lr", "lr"),
        ("loss/train", "train_loss"),
        ("loss/validation", "validation_loss"),
        *((f"validation/{score}", score) for score in ("accuracy", "weighted_f1", "macro_f1", "uar")),
    ):
        told = steps(found, name)
        assert [step for step, _ in told] == epochs["number"].to_list(), name
        assert [value for _, value in told] == pytest.approx(epochs[column].to_list(), rel=1e-6)
    return found


def test_a_runs_curves_scores_and_settings(planted: Planted) -> None:
    run = go(planted)
    found = check_curves(planted, run)
    for score, value in run.record["scores"]["test"].items():
        ((step, told),) = steps(found, f"test/{score}")
        assert step == run.record["best_epoch"]
        assert told == pytest.approx(value, rel=1e-6)
    (text,) = found.Tensors("settings/text_summary")
    words = text.tensor_proto.string_val[0].decode()
    assert f"mlp {run.key} seed 0 fold 1" in words
    assert "| lr | 0.001 |" in words
    assert "_hparams_/session_start_info" in found.summary_metadata


@pytest.mark.parametrize("stopped_at", [1, 4])
def test_a_run_that_goes_on_has_each_epoch_once(
    planted: Planted, stopped_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is saved less often than the curves: what was told after it comes again, and must count once."""

    def stop(epoch: Epoch) -> None:
        if epoch.number == stopped_at + 1:
            raise KeyboardInterrupt

    # Saved after the first epoch and then no more, as when saving is slow.
    monkeypatch.setattr("trainers.runs.resumption._TIMES_THE_LAST", math.inf)
    with pytest.raises(KeyboardInterrupt):
        go(planted, Progress(on_epoch=stop))
    (folder,) = (Path(planted.store.root) / "tensorboard").iterdir()
    assert [step for step, _ in steps(read(folder), "lr")] == list(range(1, stopped_at + 1))
    run = go(planted)
    assert folder.name == run.key
    found = check_curves(planted, run)
    assert len(found.Tensors("settings/text_summary")) == 1


def test_a_run_that_begins_anew_takes_back_what_was_told(planted: Planted) -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(planted, Progress(on_epoch=stop))
    for name in planted.store.files.list_folders("runs"):
        planted.store.files.remove(f"runs/{name}/resume.pt")
    check_curves(planted, go(planted))


def test_a_run_that_was_stopped_after_its_last_epoch_keeps_its_curves(planted: Planted) -> None:
    run = go(planted)
    board = TensorBoardTracker(Path(planted.store.root) / "tensorboard")
    board.begin(run.key, "again", {"lr": 1e-3})
    board.end(run)  # no epoch was left
    check_curves(planted, run)


def test_what_is_told_can_be_read_at_once(planted: Planted) -> None:
    seen: list[int] = []

    def look(run_folder: Path) -> None:
        seen.append(len(steps(read(run_folder), "lr")))

    board = TensorBoardTracker(Path(planted.store.root) / "tensorboard")
    board.begin("key", "name", {})
    for number in (1, 2, 3):
        board.epoch(Epoch(number, 1e-3, 1.0, 1.0, 0.1, 0.2, 0.3, 0.4, best=True, seconds=1.0))
        look(board.folder / "key")
    board.close()
    assert seen == [1, 2, 3]
