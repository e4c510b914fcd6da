"""The bar of a training on a terminal: a run's epochs, with the last validation score."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from feature_repo.console import err

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from trainers.runs.run import Run
    from trainers.train import Progress
    from trainers.training_loop import Epoch

_SECONDS_BETWEEN_MOVES = 0.2


def training_bar() -> Bar:
    """A bar on standard error; its tasks have a field ``told``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )


def shown(bar: Bar, max_epochs: int, selection: str, what: str = "") -> Progress:
    """Callbacks that show a training on the bar.

    Args:
        bar: of :func:`training_bar`.
        max_epochs: of a run.
        selection: the score that is told.
        what: stands before seed and fold, such as a suite's variant.
    """
    from trainers.train import Progress

    tasks: list[TaskID] = []
    moved = 0.0
    before = f"{what}, " if what else ""

    def on_begin(seed: int, fold: int, key: str, identity: Mapping[str, Any]) -> None:
        tasks.append(bar.add_task(f"{before}seed {seed}, fold {fold + 1}", total=max_epochs, told=""))

    def on_end(run: Run, trained: bool) -> None:
        if trained:
            bar.remove_task(tasks.pop())
        else:
            record = run.record
            err.print(
                f"run {run.key} ({before}seed {record['seed']}, fold {record['fold'] + 1}) was finished before",
                style="dim",
                highlight=False,
            )

    def on_epoch(epoch: Epoch) -> None:
        told = f"epoch {epoch.number}, validation {selection} {getattr(epoch, selection):.4f}"
        bar.update(tasks[-1], completed=epoch.number, told=told)

    def on_part(epochs: float) -> None:
        nonlocal moved
        # A light model's steps are shorter than drawing them.
        if time.monotonic() - moved >= _SECONDS_BETWEEN_MOVES:
            bar.update(tasks[-1], completed=epochs)
            moved = time.monotonic()

    return Progress(on_begin, on_epoch, on_end, on_part)
