"""What ``runs --slices`` prints: a group's scores slice by slice."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from feature_repo.console import Table, console
from trainers.runs.comparison import LEVEL
from trainers.runs.groups import RunGroup
from trainers.runs.slices import Slice
from trainers.runs.tables import HEADLINE


def slices_table(group: RunGroup, found: Sequence[Slice]) -> None:
    """Print rows, and each score's mean over the seeds with its interval, of all test rows and of every slice.

    Args:
        group: runs of one setting.
        found: its slices.
    """
    record = group.first.record
    seeds = len(group.by_seed)
    table = Table(
        title=f"{record['trainer']} on {' + '.join(record['slots'])}: where it errs, mean of {seeds} seed(s)"
        f" [{LEVEL:.0%}]"
    )
    for name in ("test rows by", "slice"):
        table.add_column(name, no_wrap=True)
    for name in ("rows", *HEADLINE.values()):
        table.add_column(name, justify="right")
    rows = int(next(iter(group.by_seed.values())).support.sum())
    whole = (f"{statistics.fmean(group.score(score)):.4f}" for score in HEADLINE)
    table.add_row("all", "", f"{rows:,}", *whole, style="bold")
    before = ""
    for one in found:
        if one.what != before:
            table.add_section()
        told = (_told(one, score) for score in HEADLINE)
        table.add_row(one.what if one.what != before else "", one.name, f"{one.rows:,}", *told)
        before = one.what
    console.print(table)
    console.print(
        "interval: bootstrap over the slice's rows, none of fewer than ten; a slice's UAR and F1 are over the classes"
        " that it has",
        style="dim",
        highlight=False,
    )


def _told(one: Slice, score: str) -> str:
    ends = one.intervals[score] if one.intervals else None
    return f"{one.scores[score]:.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")
