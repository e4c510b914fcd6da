"""A prediction as a person reads it on a terminal, and as a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.markup import escape

from feature_repo.console import Table, console, err
from feature_repo.errors import StoreWriteError

if TYPE_CHECKING:
    from trainers.prediction.new_clips import Predicted
    from trainers.runs.groups import RunGroup

ENDINGS = (".csv", ".parquet", ".json")
_SHOWN = 20  # rows, and reasons


def with_notes(told: Predicted) -> pl.DataFrame:
    """The rows with a column ``note``: the slots that each lacks and why, empty where none."""
    return told.rows.with_columns(note=pl.Series(told.notes(), dtype=pl.String))


def write_prediction(told: Predicted, output: Path) -> None:
    """Write all rows to a file that appears whole or not at all; its ending is one of ``ENDINGS``.

    Raises:
        StoreWriteError: it can't be written.
    """
    frame = with_notes(told)
    staged = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        if output.suffix == ".csv":
            frame.write_csv(staged)
        elif output.suffix == ".parquet":
            frame.write_parquet(staged)
        else:
            frame.write_json(staged)
        staged.replace(output)
    except OSError as error:
        raise StoreWriteError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        staged.unlink(missing_ok=True)


def show_prediction(told: Predicted, group: RunGroup, output: Path | None) -> None:
    """Print the first rows, counts, and what was lacking and why."""
    slots = [name.removeprefix("present_") for name in told.rows.columns if name.startswith("present_")]
    table = Table("utterance", "predicted")
    for name in ("p", "next", "p"):
        table.add_column(name, justify="right" if name == "p" else "left")
    table.add_column("from")
    for row in told.rows.head(_SHOWN).iter_rows(named=True):
        table.add_row(*_cells(row, group.classes, slots))
    console.print(table)
    if len(group.runs) > 1:
        keys = ", ".join(run.key for run in group.runs)
        console.print(f"the mean of {len(group.runs)} runs: {keys}", style="dim", highlight=False)
    predicted = told.rows["predicted"].drop_nulls()
    more = told.rows.height - _SHOWN
    if more > 0:
        where = "" if output else "; --output FILE writes all"
        console.print(f"... and {more:,} more{where}", style="dim", highlight=False)
    counts = predicted.value_counts(sort=True).sort(["count", "predicted"], descending=[True, False])
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.iter_rows())
    of = f"{predicted.len():,} of {told.rows.height:,} predicted"
    if told.rows.height > 1:
        console.print(f"{of}{': ' if listed else ''}{listed}", highlight=False)
    _show_absent(told)
    for remark in told.remarks:
        err.print(remark, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if output:
        console.print(f"wrote [bold]{escape(str(output))}[/bold]", highlight=False, soft_wrap=True)


def _cells(row: Mapping[str, Any], classes: Sequence[str], slots: Sequence[str]) -> list[str]:
    name = escape(row["utterance_id"])
    there = ", ".join(slot for slot in slots if row[f"present_{slot}"]) or "nothing"
    if row["predicted"] is None:
        return [name, "[yellow]not predicted[/yellow]", "", "", "", there]
    first, second = sorted(classes, key=lambda each: -row[f"p_{each}"])[:2]
    return [
        name,
        f"[bold]{first}[/bold]",
        f"{row[f'p_{first}']:.2f}",
        second,
        f"{row[f'p_{second}']:.2f}",
        there,
    ]


def _show_absent(told: Predicted) -> None:
    """What utterances lack, those of one reason in one line."""
    slots_of: dict[tuple[str, str], list[str]] = {}
    for slot, reasons in told.absent.items():
        for utterance_id, reason in reasons.items():
            slots_of.setdefault((utterance_id, reason), []).append(slot)
    lines: dict[tuple[str, str], list[str]] = {}
    for (utterance_id, reason), lacking in slots_of.items():
        lines.setdefault((", ".join(lacking), reason), []).append(utterance_id)
    for number, ((slots, reason), ids) in enumerate(lines.items()):
        if number == _SHOWN:
            err.print(f"... and {len(lines) - _SHOWN:,} more reasons", style="yellow", highlight=False)
            break
        who = ids[0] if len(ids) == 1 else f"{len(ids):,} utterances, such as {ids[0]}"
        err.print(
            f"{who}: no {slots}: {reason}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )
