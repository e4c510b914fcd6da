"""What ``affectstore quality`` prints: thresholds, Table I's counterpart, the funnel, emotions, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from extractors.quality.composition import TOTAL, Composition
from feature_repo.console import Table, console, err
from feature_repo.measures import Measures
from feature_repo.quality_config import QualityConfig, Threshold
from feature_repo.verdict import REASONS, UNMEASURED, command_for


def print_quality(found: Sequence[Composition], measures: Measures, config: QualityConfig) -> None:
    """Print everything for a person."""
    print_thresholds(used_thresholds(found, measures, config))
    print_splits(found)
    for one in found:
        print_funnel(one)
        print_emotions(one)
    for one in found:
        print_missing(one)


def used_thresholds(
    found: Sequence[Composition], measures: Measures, config: QualityConfig
) -> dict[str, Threshold]:
    """The thresholds of the checks that decided in any of the corpora."""
    checks = {check for one in found for check in one.checks}
    table_of = {"text": "alignment"}  # the others' tables are called as the checks
    told = config.thresholds(measures.embedder, measures.encoder)
    kept = {}
    for key, threshold in told.items():
        table = key.partition(".")[0]
        if table_of.get(table, table) in checks:
            kept[key] = threshold
    return kept


def print_thresholds(thresholds: dict[str, Threshold]) -> None:
    """Print which thresholds decided, and where each is from."""
    if not thresholds:
        return
    table = Table("threshold", title="Thresholds")
    table.add_column("passes from", justify="right")
    table.add_column("where from")
    for key, threshold in thresholds.items():
        table.add_row(escape(key), f"{threshold.value:g}", escape(threshold.source))
    console.print(table)


def print_splits(found: Sequence[Composition]) -> None:
    """Print Table I's counterpart (papers/000)."""
    lacking = any(one.splits["unmeasured"].sum() for one in found)
    table = Table("corpus", "split", title="Before and after quality control")
    for name in ("original", "verified", "%", *(["not measured"] if lacking else [])):
        table.add_column(name, justify="right")
    for one in found:
        for place, row in enumerate(one.splits.iter_rows(named=True)):
            last = row["split"] == TOTAL or one.splits.height == 1
            cells = [f"{row['original']:,}", f"[green]{row['verified']:,}[/]"]
            cells.append(_share(row["verified"], row["original"]))
            if lacking:
                cells.append(f"[yellow]{row['unmeasured']:,}[/]" if row["unmeasured"] else "·")
            table.add_row(
                escape(one.corpus) if place == 0 else "",
                row["split"],
                *cells,
                style="bold" if row["split"] == TOTAL else "",
                end_section=last,
            )
    console.print(table)


def print_funnel(one: Composition) -> None:
    """Print what each check took, by the first reason, in the paper's order."""
    if not one.funnel.height:
        console.print(f"{escape(one.corpus)}: no check is asked for, every utterance passes")
        return
    table = Table("check", "first reason", title=f"{escape(one.corpus)}: the funnel, by first reason")
    for name in ("removed", "%", "left"):
        table.add_column(name, justify="right")
    table.add_row("", "all utterances", "", "", f"{one.original:,}", style="dim")
    before = ""
    for row in one.funnel.iter_rows(named=True):
        waits = row["reason"] == UNMEASURED
        style = "yellow" if waits else ("red" if row["removed"] else "dim")
        table.add_row(
            "" if row["check"] == before else row["check"] or "",
            REASONS[row["reason"]],
            f"[{style}]{row['removed']:,}[/]" if row["removed"] else "·",
            _share(row["removed"], one.original) if row["removed"] else "",
            f"{row['left']:,}",
        )
        before = row["check"]
    table.add_section()
    table.add_row("", "verified", "", _share(one.verified, one.original), f"{one.verified:,}", style="bold")
    console.print(table)


def print_emotions(one: Composition) -> None:
    """Print verified of original utterances by emotion and split."""
    splits = [name for name in one.splits["split"] if name != TOTAL]
    table = Table("emotion", title=f"{escape(one.corpus)}, by emotion")
    for name in (*splits, *([TOTAL] if len(splits) > 1 else []), "%"):
        table.add_column(name, justify="right")
    counts = {(row[0], row[1]): (row[3], row[2]) for row in one.emotions.iter_rows()}
    for emotion in one.emotions["emotion"].unique(maintain_order=True):
        cells = [counts.get((emotion, split), (0, 0)) for split in splits]
        total = (sum(cell[0] for cell in cells), sum(cell[1] for cell in cells))
        shown = [*cells, *([total] if len(splits) > 1 else [])]
        table.add_row(
            escape(emotion),
            *(f"{kept:,} of {all_:,}" if all_ else "·" for kept, all_ in shown),
            _share(*total),
        )
    console.print(table)


def print_missing(one: Composition) -> None:
    """Tell what could not be judged, and the commands that would change that."""
    for check, count in one.unmeasured.items():
        err.print(
            f"{one.corpus}: {count:,} utterances lack the measure of check {check}: {command_for(check)}",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if one.unsearched:
        err.print(
            f"{one.corpus}: around the frames of {one.unsearched:,} utterances without a matching face nobody has "
            "looked at this threshold: affectstore derive, with the same --set",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def as_json(found: Sequence[Composition], measures: Measures, config: QualityConfig) -> dict[str, Any]:
    """The same as JSON data."""
    thresholds = used_thresholds(found, measures, config)
    return {
        "views": dict(measures.views),
        "embedder": measures.embedder,
        "encoder": measures.encoder,
        "thresholds": {key: {"value": one.value, "source": one.source} for key, one in thresholds.items()},
        "corpora": {
            one.corpus: {
                "checks": list(one.checks),
                "original": one.original,
                "verified": one.verified,
                "splits": one.splits.to_dicts(),
                "funnel": one.funnel.to_dicts(),
                "emotions": one.emotions.to_dicts(),
                "unmeasured": one.unmeasured,
                "unsearched": one.unsearched,
            }
            for one in found
        },
    }


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else ""
