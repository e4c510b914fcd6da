"""What W&B is told, by a stand-in that keeps it; and W&B itself, offline, where it is installed."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from feature_repo.files import FileLayer
from tests.trainers.planted_runs import planted_run
from trainers.runs.run import Run
from trainers.trackers.wandb_tracker import WandbTracker
from trainers.training_loop import Epoch


def epoch(number: int) -> Epoch:
    return Epoch(number, 1e-3, 2 / number, 1 / number, 0.1, 0.2, 0.3, 0.4, best=True, seconds=1.0)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    ids = ["u0", "u1"]
    return planted_run(
        FileLayer(str(tmp_path / "store")), "abc", ids=ids, true=["joy", "anger"], predicted=["joy", "joy"]
    )


class StandIn:
    """A W&B run that keeps what it is told."""

    def __init__(self, **given: Any) -> None:
        self.given, self.logged, self.summary, self.exit_code = given, [], {}, None

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[StandIn]:
    runs: list[StandIn] = []
    module = ModuleType("wandb")
    module.init = lambda **given: runs.append(StandIn(**given)) or runs[-1]
    module.Settings = lambda **given: SimpleNamespace(**given)
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    return runs


def test_curves_settings_and_test_scores(begun: list[StandIn], tmp_path: Path, run: Run) -> None:
    tracker = WandbTracker(tmp_path / "wandb")
    tracker.begin("abc", "mlp abc", {"lr": 1e-3})
    tracker.epoch(epoch(1))
    tracker.epoch(epoch(2))
    tracker.end(run)
    (told,) = begun
    assert told.given == told.given | {
        "project": "affectstore",
        "id": "abc",
        "name": "mlp abc",
        "config": {"lr": 1e-3},
        "dir": str(tmp_path / "wandb"),
        "mode": "offline",
        "resume": None,
    }
    assert [(step, values["loss/train"]) for step, values in told.logged] == [(1, 2.0), (2, 1.0)]
    assert (told.summary["test/accuracy"], told.summary["best_epoch"]) == (0.5, 2)
    assert told.exit_code == 0
    assert str(tmp_path / "wandb") in tracker.where()


def test_a_stopped_run_is_told_as_failed_once(begun: list[StandIn], tmp_path: Path, run: Run) -> None:
    tracker = WandbTracker(tmp_path)
    tracker.begin("abc", "mlp abc", {})
    tracker.close()
    tracker.begin("abd", "mlp abd", {})
    tracker.end(run)
    tracker.close()
    assert [one.exit_code for one in begun] == [1, 0]


def test_the_users_environment_decides_whether_anything_is_sent(
    begun: list[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    WandbTracker(tmp_path).begin("abc", "mlp abc", {})
    told = begun[0].given
    assert (told["mode"], told["resume"], told["project"]) == ("online", "allow", "mine")


def test_no_crash_is_reported_while_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    WandbTracker(tmp_path)
    assert os.environ.pop("WANDB_ERROR_REPORTING") == "false"


@pytest.mark.long
@pytest.mark.skipif(find_spec("wandb") is None, reason="W&B is not installed")
def test_wandb_itself_offline(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    tracker = WandbTracker(tmp_path / "wandb")
    tracker.begin("abc", "mlp abc", {"lr": 1e-3})
    tracker.epoch(epoch(1))
    tracker.end(run)
    (folder,) = (tmp_path / "wandb" / "wandb").glob("offline-run-*")
    assert folder.name.endswith("-abc")
    assert list(folder.glob("*.wandb"))
