"""Which trackers are chosen, what they are told, and that none of them can end a training."""

import json
import sys
import warnings
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.files import FileLayer
from feature_repo.store import Store, init_store
from tests.trainers.conftest import Planted
from tests.trainers.planted_runs import planted_run
from trainers.config import AdapterConfig
from trainers.trackers import tracking as trackers
from trainers.trackers.tracking import chosen_trackers, flat, installed_trackers, tracked, tracking
from trainers.train import Progress, train
from trainers.train_command import train as train_command
from trainers.training_loop import Epoch


def epoch(number: int) -> Epoch:
    return Epoch(number, 1e-3, 2 / number, 1 / number, 0.1, 0.2, 0.3, 0.4, best=True, seconds=1.0)


class Recorder:
    """A tracker that writes down what it is told, and fails when asked to."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.told = fails, []

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any) -> None:
            self.told.append((method, *arguments))
            if method == self.fails:
                raise OSError("disk full")

        return call


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    def there(*names: str) -> None:
        monkeypatch.setattr(trackers, "_installed", lambda package: package in names)

    return there


def test_tensorboard_is_the_default_where_it_is_installed(only) -> None:
    only("tensorboard", "wandb")
    assert chosen_trackers(None) == ["tensorboard"]
    only("mlflow")
    assert chosen_trackers(None) == []
    assert installed_trackers() == ["mlflow"]


def test_names_by_commas_each_once(only) -> None:
    only("tensorboard", "mlflow", "wandb")
    assert chosen_trackers("wandb, mlflow,wandb") == ["wandb", "mlflow"]
    assert chosen_trackers("none") == []
    assert chosen_trackers("") == []


@pytest.mark.parametrize(
    ("asked", "told", "kind"),
    [
        ("comet", "unknown tracker 'comet'; allowed: mlflow, none, tensorboard, wandb", UnknownNameError),
        (
            "wandb",
            "wandb is not installed (pip install wandb); allowed here: tensorboard, none",
            BadInputError,
        ),
        ("tensorboard,none", "none is of its own", BadInputError),
    ],
)
def test_slips_are_answered(only, asked: str, told: str, kind: type[Exception]) -> None:
    only("tensorboard")
    with pytest.raises(kind) as refused:
        chosen_trackers(asked)
    assert told in str(refused.value)


def test_a_folder_that_a_tracker_wrote_is_no_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted_tracker" / "run-1").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not trackers._installed("planted_tracker")
    (tmp_path / "planted_tracker" / "__init__.py").touch()
    monkeypatch.setitem(sys.modules, "planted_tracker", ModuleType("planted_tracker"))
    assert not trackers._installed("planted_tracker")  # nobody knows from where it is
    sys.modules["planted_tracker"].__spec__ = ModuleSpec("planted_tracker", None, origin="here")
    assert trackers._installed("planted_tracker")


def test_a_training_tells_the_bar_and_every_tracker(planted: Planted) -> None:
    seen: list[str] = []
    progress = Progress(
        on_begin=lambda seed, fold, key, identity: seen.append(f"begin {seed}"),
        on_epoch=lambda one: seen.append(f"epoch {one.number}"),
        on_end=lambda run, trained: seen.append(f"end {trained}"),
    )
    one = Recorder()

    def go(seeds: tuple[int, ...]) -> Any:
        return train(
            planted.store, ["text"], config=AdapterConfig(max_epochs=2), protocol="official", seeds=seeds,
            progress=tracked(progress, [one]),
        )  # fmt: skip

    (run,) = go((0,)).runs
    begin, *epochs, end = one.told
    assert begin[:3] == ("begin", run.key, f"mlp {run.key} seed 0 fold 1")
    assert begin[3] == begin[3] | {"lr": 1e-3, "hidden": "256, 128", "seed": 0, "protocol": "official"}
    assert [(name, told.number) for name, told in epochs] == [("epoch", 1), ("epoch", 2)]
    assert [told.train_loss for _, told in epochs] == pytest.approx(run.epochs()["train_loss"].to_list())
    assert (end[0], end[1].key) == ("end", run.key)
    assert seen == ["begin 0", "epoch 1", "epoch 2", "end True"]
    one.told.clear()
    go((0,))
    assert one.told == []  # it was finished before: its curves are there
    assert seen[-1] == "end False"


@pytest.mark.parametrize("fails", ["begin", "epoch", "end"])
def test_a_tracker_that_fails_is_left_out_with_a_warning(fails: str, tmp_path: Path) -> None:
    broken, sound = Recorder(fails), Recorder()
    told = tracked(Progress(), [broken, sound])
    run = planted_run(FileLayer(str(tmp_path)), "a", ids=["u"], true=["joy"], predicted=["joy"])
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        told.on_begin(0, 0, "a", {"trainer": "mlp"})
        told.on_epoch(epoch(1))
        told.on_epoch(epoch(2))
        told.on_end(run, True)
    (warning,) = shown
    assert str(warning.message) == f"Recorder is left out, since its {fails} failed: OSError: disk full"
    assert [name for name, *_ in sound.told] == ["begin", "epoch", "epoch", "end"]
    assert [name for name, *_ in broken.told][-1] == fails
    assert [name for name, *_ in broken.told].count(fails) == 1


def test_an_interrupt_goes_through_and_closes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    one = Recorder()
    module = ModuleType("planted_kind")
    module.Kind = lambda folder: one.told.append(folder) or one
    monkeypatch.setitem(sys.modules, "planted_kind", module)
    monkeypatch.setitem(trackers.TRACKERS, "planted", ("planted", "planted_kind", "Kind"))

    def interrupted() -> None:
        with tracking(["planted"], store) as opened:
            assert opened == [one]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert one.told == [Path(store.root) / "planted", ("close",)]


def test_of_a_store_elsewhere_they_write_into_the_cache(tmp_path: Path) -> None:
    files = FileLayer("memory://bucket/store")
    with tracking(["tensorboard"], Store(files, tmp_path / "cache")) as (board,):
        assert board.where() == f"tensorboard --logdir {tmp_path / 'cache' / 'tensorboard'}"


def test_parameters_are_plain_and_digests_are_left_out() -> None:
    identity = {
        "trainer": "mamba",
        "settings": {"lr": 1e-5, "class_weights": {"fear": 15.0}, "hidden": [64, 32], "pooled": True},
        "inputs": [{"name": "text", "width": 768}, {"name": "face", "width": 128}],
        "verdict": {"name": "strict", "ids": "f" * 64},
        "views": ["a" * 64],
        "snapshot": "b" * 64,
        "join": None,
    }
    assert flat(identity) == {
        "trainer": "mamba",
        "lr": 1e-5,
        "class_weights.fear": 15.0,
        "hidden": "64, 32",
        "pooled": True,
        "slots": "text, face",
        "verdict": "strict",
        "join": "None",
    }


def test_the_command_writes_curves_unless_told_not_to(planted: Planted) -> None:
    app = typer.Typer()
    app.command()(train_command)

    def told(*words: str) -> str:
        given = ["--slots", "text", "--set", "max_epochs=2", "--root", planted.store.root, *words]
        result = CliRunner().invoke(app, given, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    folder = Path(planted.store.root) / "tensorboard"
    assert "curves:" not in told("--seeds", "0", "--log", "none")
    assert not folder.exists()
    assert "tensorboard --logdir" in told("--seeds", "0,1").replace("\n", "")
    # Seed 0 had been finished before, without curves.
    assert [path.name for path in folder.iterdir()] == [
        record["key"] for record in json.loads(told("--seeds", "1", "--json"))
    ]
