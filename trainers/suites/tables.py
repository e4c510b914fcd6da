"""A suite's tables in words: scores, what held-out corpora come to, cost, curves of missing slots."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from trainers.complexity import BATCH_SIZES
from trainers.runs.comparison import LEVEL, RESAMPLES
from trainers.runs.group_tables import p_words
from trainers.runs.tables import HEADLINE
from trainers.suites.grid import Grid

if TYPE_CHECKING:
    from trainers.suites.suite_report import HeldOut, Reached, Row, ScoreTable, SuiteReport
    from trainers.suites.suite_results import SuiteResult, VariantResult

_NONE = "–"
_HOW = (
    f"intervals: paired bootstrap; p: paired randomisation, {RESAMPLES} draws each, over the test rows, all seeds'"
    " predictions of a row together; ±: deviation over the seeds"
)
_CURVES = "curves are the mean of the folds' scores; above, the folds' predictions are scored together"


def suite_grids(report: SuiteReport) -> list[Grid]:
    """Every table that the suite has something for.

    Args:
        report: its numbers.
    """
    result = report.result
    grids = [_scores_grid(result, table) for table in report.tables if table.rows]
    if report.held_out:
        grids.append(_held_out_grid(report.held_out))
    if report.across_folds:
        rows = [
            [each.variant, str(each.folds), *(_spread(each.reached[score]) for score in HEADLINE)]
            for each in report.across_folds
        ]
        title = "Fold by fold: mean ± deviation over the folds, each the mean of its seeds"
        grids.append(Grid(title, ["variant", "folds", *HEADLINE.values()], rows))
    if result.suite.cost:
        grids.append(_cost_grid(result))
    if result.suite.drop:
        grids.append(_curves_grid(result))
    return grids


def suite_notes(report: SuiteReport) -> list[str]:
    """What stands below the tables, a sentence each: how the numbers were made, and what they are not."""
    told = [_HOW]
    result = report.result
    several = len({run.record["fold"] for run in result.variants[0].trained.runs}) > 1
    if result.suite.drop and several:
        told.append(_CURVES)
    return [*told, *report.notes]


def print_tables(report: SuiteReport) -> None:
    """Print the tables and what is below them."""
    from feature_repo.console import Table, console  # rich: not for a caller in Python

    for place, grid in enumerate(suite_grids(report)):
        if place:
            console.print()
        table = Table(title=grid.title)
        table.add_column(grid.columns[0], no_wrap=True)
        for title in grid.columns[1:]:
            table.add_column(title, justify="right")
        for number, row in enumerate(grid.rows):
            if number in grid.rules and number:
                table.add_section()
            table.add_row(*row, style="bold" if number in grid.strong else None)
        console.print(table)
    how, *notes = suite_notes(report)
    console.print(how, style="dim", highlight=False)
    for note in notes:
        console.print(note, style="yellow", highlight=False, markup=False)


def _scores_grid(result: SuiteResult, table: ScoreTable) -> Grid:
    """Each variant's mean ± deviation, its interval, the paper's values, and its difference to the first."""
    selection = result.selection
    name = HEADLINE.get(selection, selection.replace("_", " "))
    first = table.rows[0].variant
    record = result.variants[0].trained.runs[0].record
    where = ", ".join(record["corpora"]) if table.selection is None else table.selection
    level = f"{100 * LEVEL:.0f} %"
    # The paper's own columns, of the scores that it reports for any of the variants.
    papers = [score for score in HEADLINE if any(score in row.paper for row in table.rows)]
    columns = ["variant", "seeds", "rows", *HEADLINE.values(), f"{name} [{level}]"]
    columns += [f"paper {HEADLINE[score]}" for score in papers]
    several = len(table.rows) > 1
    columns += [f"{name} against {first} [{level}]", "p"] if several else []
    relative = result.suite.relative and several
    columns += [f"{HEADLINE[score]}, change %" for score in HEADLINE] if relative else []
    rows = []
    for row in table.rows:
        cells = [row.variant + (" *" if row.stand_ins else ""), str(row.seeds), f"{row.rows:,}"]
        cells += [_spread(row.reached[score]) for score in HEADLINE]
        cells.append(_ends(row.reached[selection]))
        cells += [f"{row.paper[score]:.4f}" if score in row.paper else _NONE for score in papers]
        cells += _difference(row, selection) if several else []
        cells += [_percent(row.relative(score)) for score in HEADLINE] if relative else []
        rows.append(cells)
    return Grid(f"{result.suite.title}: {where}, test, {record['protocol']}", columns, rows)


def _held_out_grid(held_out: Sequence[HeldOut]) -> Grid:
    rows: list[list[str]] = []
    rules, strong = [], []
    for each in held_out:
        rules.append(len(rows))
        for corpus, reached in each.corpora.items():
            spread = (_spread(reached[score]) for score in HEADLINE)
            rows.append([each.variant, corpus, f"{each.rows[corpus]:,}", *spread])
        if each.mean is not None:
            strong.append(len(rows))
            rows.append([each.variant, "mean", "", *(_spread(each.mean[score]) for score in HEADLINE)])
    columns = ["variant", "held out", "rows", *HEADLINE.values()]
    return Grid("On each corpus by models that were trained without it", columns, rows, rules, strong)


def _cost_grid(result: SuiteResult) -> Grid:
    """Parameters, operations and latency of each variant's model."""
    rows = []
    for variant in result.variants:
        if (cost := variant.cost) is not None:
            latency = (f"{cost.latency_ms[size]:.2f}" for size in BATCH_SIZES)
            rows.append([variant.name, f"{cost.parameters:,}", f"{cost.flops / 1e6:.3f}", *latency])
    sizes = (f"ms, batch {size}" for size in BATCH_SIZES)
    columns = ["variant", "parameters", "MFLOPs per example", *sizes]
    return Grid("Cost of a forward pass, on examples spread over the data", columns, rows)


def _curves_grid(result: SuiteResult) -> Grid:
    """Each variant's score by the chance of a slot to be missing at test."""
    score = result.selection
    name = HEADLINE.get(score, score.replace("_", " "))
    rows = [
        [variant.name, *(_words(mean, deviation) for _, mean, deviation in curve(variant, score))]
        for variant in result.variants
    ]
    columns = ["variant", *(f"{rate:g}" for rate in result.suite.drop)]
    return Grid(f"{name} by the chance that a slot is missing at test, never all of a row", columns, rows)


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


def _spread(reached: Reached) -> str:
    return _words(reached.mean, reached.deviation)


def _words(mean: float, deviation: float | None) -> str:
    return f"{mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def _ends(reached: Reached) -> str:
    return _NONE if reached.low is None else f"{reached.low:.4f} to {reached.high:.4f}"


def _difference(row: Row, score: str) -> list[str]:
    if row.against is None or isinstance(row.against, str):
        return [_NONE, _NONE]
    found = row.against[score]
    return [f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]", p_words(found.p)]


def _percent(change: float | None) -> str:
    return _NONE if change is None else f"{change:+.1f}"
