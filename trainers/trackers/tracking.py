"""Where a training's progress goes beside the store: TensorBoard, MLflow, Weights & Biases."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from feature_repo.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from feature_repo.store import Store
    from trainers.runs.run import Run
    from trainers.train import Progress
    from trainers.training_loop import Epoch

# Name -> the package that it needs, and our class; only a tracker that is asked for is imported.
TRACKERS: Mapping[str, tuple[str, str, str]] = {
    "tensorboard": ("tensorboard", "trainers.trackers.tensorboard_tracker", "TensorBoardTracker"),
    "mlflow": ("mlflow", "trainers.trackers.mlflow_tracker", "MLflowTracker"),
    "wandb": ("wandb", "trainers.trackers.wandb_tracker", "WandbTracker"),
}
NONE = "none"

LogOption = Annotated[
    str | None,
    typer.Option(
        "--log",
        help="Where curves go beside the store, by commas: [cyan]tensorboard[/cyan], [cyan]mlflow[/cyan],"
        " [cyan]wandb[/cyan] (offline unless WANDB_MODE says otherwise), or [cyan]none[/cyan].",
        show_default="tensorboard where installed",
    ),
]


class Tracker(Protocol):
    """Is told of one run after the other."""

    def __init__(self, folder: Path) -> None:
        """Take the local folder that belongs to this tracker; it is made when something is written."""

    def begin(self, key: str, name: str, parameters: Mapping[str, Any]) -> None:
        """A run begins, or goes on after it was stopped.

        Args:
            key: the run's key; the same when it goes on.
            name: what people call it.
            parameters: what it was asked for: numbers, words and truth values by name.
        """

    def epoch(self, epoch: Epoch) -> None:
        """An epoch of that run has ended."""

    def end(self, run: Run) -> None:
        """The run is finished."""

    def close(self) -> None:
        """Nothing more comes; a run that has not ended was stopped."""

    def where(self) -> str:
        """How to look at it, in one line."""


def installed_trackers() -> list[str]:
    """The trackers whose package is installed."""
    return [name for name, (package, _, _) in TRACKERS.items() if _installed(package)]


def chosen_trackers(asked: str | None) -> list[str]:
    """The trackers that ``--log`` means.

    Args:
        asked: names by commas, or ``none``; None asks for TensorBoard where it is installed.

    Raises:
        UnknownNameError: no such tracker.
        BadInputError: its package is not installed, or ``none`` beside a name.
    """
    there = installed_trackers()
    if asked is None:
        return [name for name in ("tensorboard",) if name in there]
    names = list(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
    for name in names:
        if name not in (*TRACKERS, NONE):
            raise UnknownNameError("tracker", name, (*TRACKERS, NONE))
        if name != NONE and name not in there:
            package = TRACKERS[name][0]
            raise BadInputError(
                f"tracker {name!r}: {package} is not installed (pip install {package}); allowed here:"
                f" {', '.join((*there, NONE))}"
            )
    if NONE in names and len(names) > 1:
        raise BadInputError(f"--log {asked}: none is of its own")
    return [name for name in names if name != NONE]


@contextlib.contextmanager
def tracking(names: Sequence[str], store: Store) -> Iterator[list[Tracker]]:
    """These trackers, closed whatever happens within.

    What they write lies in ``<root>/<tracker>/`` of a local store, else below the store's cache folder.

    Args:
        names: of ``TRACKERS``.
        store: the store whose runs are trained.
    """
    base = store.files.local_path("") or store.cache
    trackers = [
        getattr(importlib.import_module(module), kind)(base / name)
        for name, (_, module, kind) in ((name, TRACKERS[name]) for name in names)
    ]
    try:
        yield trackers
    finally:
        _each(trackers, "close")


def tracked(progress: Progress, trackers: list[Tracker]) -> Progress:
    """A progress that tells the trackers too.

    A tracker that fails (a full disk, a server that is away) is left out with a warning: no training ends because its
    curves can't be shown.

    Args:
        progress: whose callbacks are called first.
        trackers: of :func:`tracking`.
    """
    from trainers.train import Progress as Told

    def on_begin(seed: int, fold: int, key: str, identity: Mapping[str, Any]) -> None:
        _call(progress.on_begin, seed, fold, key, identity)
        name = f"{identity['trainer']} {key} seed {seed} fold {fold + 1}"
        _each(trackers, "begin", key, name, flat(identity))

    def on_epoch(epoch: Epoch) -> None:
        _call(progress.on_epoch, epoch)
        _each(trackers, "epoch", epoch)

    def on_end(run: Run, trained: bool) -> None:
        _call(progress.on_end, run, trained)
        if trained:
            _each(trackers, "end", run)

    return Told(on_begin=on_begin, on_epoch=on_epoch, on_end=on_end, on_part=progress.on_part)


def flat(identity: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """What a run was asked for as numbers, words and truth values: settings by their own names, ``class_weights.fear``.

    Digests of what was pulled are left out; the run's record has them.
    """
    told: dict[str, bool | int | float | str] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, each in value.items():
                add(f"{name}.{key}" if name else str(key), each)
        elif isinstance(value, bool | int | float | str):
            told[name] = value
        else:
            told[name] = ", ".join(map(str, value)) if isinstance(value, Sequence) else str(value)

    for name, value in identity.items():
        if name == "settings":
            add("", value)
        elif name == "verdict":
            add(name, value["name"])
        elif name == "inputs":
            add("slots", [slot["name"] for slot in value])
        elif name not in ("views", "snapshot"):
            add(name, value)
    return told


def scalars(epoch: Epoch) -> dict[str, float]:
    """An epoch's numbers by the names under which every tracker shows them."""
    scores = ("accuracy", "weighted_f1", "macro_f1", "uar")
    return {
        "lr": epoch.lr,
        "loss/train": epoch.train_loss,
        "loss/validation": epoch.validation_loss,
        **{f"validation/{name}": float(getattr(epoch, name)) for name in scores},
    }


def test_scores(run: Run) -> dict[str, float]:
    """A finished run's test scores by the names under which every tracker shows them."""
    return {f"test/{name}": float(value) for name, value in run.record["scores"]["test"].items()}


def _installed(package: str) -> bool:
    try:
        found = find_spec(package)
    except ValueError:  # it is imported, but nobody knows from where
        return False
    # Folders that these packages write are named after them; a folder alone is no installation.
    return found is not None and found.origin is not None


def _call(callback: Callable[..., None] | None, *arguments: Any) -> None:
    if callback:
        callback(*arguments)


def _each(trackers: list[Tracker], method: str, *arguments: Any) -> None:
    for tracker in list(trackers):
        try:
            getattr(tracker, method)(*arguments)
        except Exception as error:
            trackers.remove(tracker)
            name = type(tracker).__name__
            warnings.warn(
                f"{name} is left out, since its {method} failed: {type(error).__name__}: {error}",
                stacklevel=2,
            )
