"""The command that holds a saved split against what is stored: ``leakage``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from feature_repo.console import JsonOption, RootOption, Table, console, err
from feature_repo.manifest_command import count_cell

if TYPE_CHECKING:
    from feature_repo.leakage import LeakageReport
    from feature_repo.splits import SavedSplit

LimitOption = Annotated[int, typer.Option("--limit", help="Show at most this many leaks.", min=1)]
# Column of a report's `recurring` to its header.
_TOLD = {
    "test": "utterances",
    "test_speakers": "speakers",
    "speakers_in_train": "also in train",
    "no_speaker": "nobody knows who",
    "texts_in_own_train": "text also in train",
    "texts_in_train": "of any corpus",
}


def leakage(
    name: Annotated[str, typer.Argument(help="A saved split.")],
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    root: RootOption = None,
) -> None:
    """Hold a saved split against the manifest: nobody (where promised), no dialogue, no recording may be in two parts.

    Texts that stand in test and in train are counted, not forbidden. Ends with 1 where anything leaks.

    Example: [cyan]affectstore leakage audio-text[/cyan]
    """
    from feature_repo.leakage import check_leakage
    from feature_repo.store import open_store

    store = open_store(root)
    saved = store.splits.load(name)
    there = [corpus for corpus in saved.corpora if corpus in store.corpora()]
    report = check_leakage(saved, store.manifest(there))
    if as_json:
        typer.echo(json.dumps(_as_json(saved, report)))
    else:
        print_leakage(report, limit)
    if report.leaks:
        raise typer.Exit(1)


def print_leakage(report: LeakageReport, limit: int) -> None:
    """Tell what leaks, what recurs, and what the split and the manifest don't both know."""
    table = Table("corpus", title="Of the test part")
    for header in _TOLD.values():
        table.add_column(header, justify="right")
    table.add_column("speakers apart")
    for row in report.recurring.iter_rows(named=True):
        table.add_row(
            row["corpus"],
            *(count_cell(row[column]) for column in _TOLD),
            "promised" if row["promised"] else "not promised",
        )
    if report.recurring.height:
        console.print(table)
    if report.unknown or report.new:
        err.print(
            f"{report.unknown:,} utterances of the split are in no manifest any more, {report.new:,} of its corpora"
            " came later and are in no part: make it again with --replace",
            style="yellow",
            soft_wrap=True,
        )
    if not report.leaks:
        console.print(
            "no leak: no speaker where promised, no dialogue and no identical recording is in two parts"
        )
        return
    table = Table("kind", "of", "corpus", "utterances", "such as", title=f"{len(report.leaks):,} leaks")
    for leak in report.leaks[:limit]:
        counts = ", ".join(f"{part} {count:,}" for part, count in leak.rows.items())
        cells = (leak.kind, leak.value, ", ".join(leak.corpora), counts, ", ".join(leak.examples))
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    if len(report.leaks) > limit:
        console.print(f"and {len(report.leaks) - limit:,} more: --limit {len(report.leaks)}")


def _as_json(saved: SavedSplit, report: LeakageReport) -> dict[str, object]:
    return {
        "split": saved.name,
        "digest": saved.digest,
        "made": dict(saved.made),
        "leaks": [
            {
                "kind": leak.kind,
                "of": leak.value,
                "corpora": list(leak.corpora),
                "rows": dict(leak.rows),
                "examples": list(leak.examples),
            }
            for leak in report.leaks
        ],
        "test": report.recurring.to_dicts(),
        "unknown": report.unknown,
        "new": report.new,
    }
