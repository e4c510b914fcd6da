"""A progress bar over rows that are written or read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from feature_repo.console import err

_FROM = 2_000  # rows from which a bar is worth looking at


@contextmanager
def rows_bar(what: str, rows: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, for what takes long enough to look at."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=rows < _FROM) as progress:
        task = progress.add_task(what, total=rows)
        yield lambda done: progress.advance(task, done)
