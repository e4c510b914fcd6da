"""What the command line prints of suites: the variants' scores, the test against the first, cost, curves of missing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.console import Table, console
from trainers.complexity import BATCH_SIZES
from trainers.runs.comparison import LEVEL, RESAMPLES, Comparison
from trainers.runs.tables import HEADLINE

if TYPE_CHECKING:
    from trainers.suites.suite_run import SuiteResult, VariantResult

_NONE = "–"


def suite_tables(result: SuiteResult) -> None:
    """Print every table that the suite has something for."""
    scores_table(result)
    if result.suite.cost:
        cost_table(result)
    if result.suite.drop:
        curves_table(result)


def scores_table(result: SuiteResult) -> None:
    """Print each variant's mean ± deviation over the seeds, and its difference to the first with interval and p."""
    against = result.against_first()
    first, selection = result.variants[0], result.selection
    record = first.trained.runs[0].record
    name = HEADLINE.get(selection, selection.replace("_", " "))
    table = Table(title=f"{result.suite.title}: {', '.join(record['corpora'])}, test, {record['protocol']}")
    table.add_column("variant", no_wrap=True)
    table.add_column("seeds", justify="right")
    for title in HEADLINE.values():
        table.add_column(title, justify="right")
    table.add_column(f"{name} against {first.name} [{100 * LEVEL:.0f} %]", justify="right")
    table.add_column("p", justify="right")
    for variant in result.variants:
        reached = variant.trained.summary()
        table.add_row(
            variant.name,
            str(len(variant.trained.by_seed())),
            *(_spread(*reached[score]) for score in HEADLINE),
            *_difference(against.get(variant.name), selection),
        )
    console.print(table)
    console.print(
        f"interval: paired bootstrap; p: paired randomisation, {RESAMPLES} draws each, over the test rows, all seeds'"
        " predictions of a row together",
        style="dim",
        highlight=False,
    )
    for other, told in against.items():
        if isinstance(told, str):
            console.print(f"{other} can't be compared: {told}", style="yellow", highlight=False)


def cost_table(result: SuiteResult) -> None:
    """Print parameters, operations and latency of each variant's model."""
    table = Table(title="Cost of a forward pass, on examples spread over the data")
    table.add_column("variant", no_wrap=True)
    for name in ("parameters", "MFLOPs per example", *(f"ms, batch {size}" for size in BATCH_SIZES)):
        table.add_column(name, justify="right")
    for variant in result.variants:
        if (cost := variant.cost) is not None:
            latency = (f"{cost.latency_ms[size]:.2f}" for size in BATCH_SIZES)
            table.add_row(variant.name, f"{cost.parameters:,}", f"{cost.flops / 1e6:.3f}", *latency)
    console.print(table)


def curves_table(result: SuiteResult) -> None:
    """Print each variant's score by the chance of a slot to be missing at test."""
    score = result.selection
    name = HEADLINE.get(score, score.replace("_", " "))
    table = Table(title=f"{name} by the chance that a slot is missing at test, never all of a row")
    table.add_column("variant", no_wrap=True)
    for rate in result.suite.drop:
        table.add_column(f"{rate:g}", justify="right")
    for variant in result.variants:
        table.add_row(
            variant.name, *(_spread(mean, deviation) for _, mean, deviation in curve(variant, score))
        )
    console.print(table)
    if len({run.record["fold"] for run in result.variants[0].trained.runs}) > 1:
        console.print(
            "curves are the mean of the folds' scores; above, the folds' predictions are scored together",
            style="dim",
            highlight=False,
        )


def curve(variant: VariantResult, score: str) -> Sequence[tuple[float, float, float | None]]:
    """Per rate the mean over seeds, of each the mean over folds and draws, and its deviation over seeds.

    Args:
        variant: with slots dropped at test.
        score: its name.
    """
    assert variant.dropped is not None
    seeds = {run.key: run.record["seed"] for run in variant.trained.runs}
    by_seed = (
        variant.dropped.with_columns(seed=pl.col("run").replace_strict(seeds, return_dtype=pl.Int64))
        .group_by("rate", "seed")
        .agg(pl.col(score).mean())
    )
    points = []
    for rate in sorted(by_seed["rate"].unique()):
        reached = by_seed.filter(pl.col("rate") == rate)[score].to_list()
        deviation = statistics.stdev(reached) if len(reached) > 1 else None
        points.append((rate, statistics.fmean(reached), deviation))
    return points


def _spread(mean: float, deviation: float | None) -> str:
    return f"{mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def _difference(told: Comparison | str | None, score: str) -> tuple[str, str]:
    if not isinstance(told, Comparison):
        return _NONE, _NONE
    found = told.scores[score]
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]", f"{found.p:.4f}"
