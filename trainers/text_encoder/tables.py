"""What the command line prints of a fine-tuning: the texts by source and emotion, and the scores."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from feature_repo.console import Table, console
from feature_repo.splits import PARTS
from trainers.runs.run import Run
from trainers.text_encoder.balanced import Sample

_SCORES = {"accuracy": "accuracy", "weighted_f1": "weighted F1", "macro_f1": "macro F1", "uar": "UAR"}


def sample_table(sample: Sample) -> None:
    """Print source by emotion, the parts by emotion, what is missing and what was left out."""
    table = Table(title=f"Texts taken (of how many), {sample.per_emotion:,} wanted of each emotion")
    table.add_column("corpus")
    for name in (*sample.classes, "all"):
        table.add_column(name, justify="right")
    told = {(row["corpus"], row["label"]): row for row in sample.counts.iter_rows(named=True)}
    for corpus in sorted({corpus for corpus, _ in told}):
        cells = [told[corpus, label] for label in sample.classes]
        shown = [f"{cell['taken']:,} ({cell['available']:,})" if cell["available"] else "-" for cell in cells]
        table.add_row(corpus, *shown, f"{sum(cell['taken'] for cell in cells):,}")
    table.add_section()
    taken = {
        label: sum(row["taken"] for (_, other), row in told.items() if other == label)
        for label in sample.classes
    }
    _counts_row(table, "all", [taken[label] for label in sample.classes], style="bold")
    table.add_section()
    for part in PARTS:
        rows = sample.rows.filter(pl.col("part") == part)
        _counts_row(table, part, [_count(rows, label) for label in sample.classes])
    if sample.rows["times"].max() != 1:
        rows = sample.part("train")
        _counts_row(table, "train, oversampled", [_count(rows, label) for label in sample.classes])
    console.print(table)
    if missing := sample.missing():
        listed = ", ".join(f"{name} {count:,}" for name, count in missing.items())
        console.print(f"too few texts, missing: {listed}", style="yellow", highlight=False)
    for reason, count in sample.left_out.items():
        console.print(f"{count:,} rows left out: {reason}", style="yellow", highlight=False)


def scores_table(run: Run) -> None:
    """Print the scores on the held-out texts of the corpora."""
    record = run.record
    table = Table(title=f"Run {run.key}: texts of {', '.join(record['corpora'])} that training did not see")
    table.add_column("part")
    for name in ("texts", *_SCORES.values()):
        table.add_column(name, justify="right")
    for part, reached in record["scores"].items():
        table.add_row(part, f"{record['rows'][part]:,}", *(f"{reached[name]:.4f}" for name in _SCORES))
    console.print(table)
    best = run.epochs().row(record["best_epoch"] - 1, named=True)
    console.print(
        f"best of {record['epochs']} checkpoints was {record['best_epoch']}: step {best['step']:,} of"
        f" {record['steps']:,}, validation loss {best['validation_loss']:.4f}",
        highlight=False,
    )


def _counts_row(table: Table, name: str, counts: Sequence[int], style: str | None = None) -> None:
    table.add_row(name, *(f"{count:,}" for count in counts), f"{sum(counts):,}", style=style)


def _count(rows: pl.DataFrame, label: str) -> int:
    return rows.filter(pl.col("label") == label).height
