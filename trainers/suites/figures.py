"""Figures of suites: scores seed by seed, bars with intervals, confusions, and curves by missing slots."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_repo.errors import BadInputError
from feature_repo.plot_style import BLACK, SERIES, VERMILION, new_figure, save, styled
from trainers.runs.comparison import LEVEL
from trainers.runs.figures import confusion_of
from trainers.runs.predictions import predictions_of
from trainers.runs.tables import HEADLINE
from trainers.suites.suite_report import on_selection
from trainers.suites.tables import curve

if TYPE_CHECKING:
    from trainers.suites.suite_report import ScoreTable, SuiteReport
    from trainers.suites.suite_results import SuiteResult, VariantResult

_MARKERS = "osD^vPX*"
_TITLE_LETTERS = 72  # that fit the figures' width


def write_suite_figures(report: SuiteReport, folder: Path, suffixes: Sequence[str] = ("png",)) -> list[Path]:
    """Draw what the suite came to.

    Args:
        report: its numbers.
        folder: made if absent.
        suffixes: ``png``, ``svg``, ``pdf``.

    Returns:
        The files: ``<suite>_scores``; ``<suite>_bars`` and ``<suite>_confusion_<variant>``, where selections are scored
        by themselves one of each, its name behind; ``<suite>_held_out`` where corpora are left out; ``<suite>_missing``
        where slots are dropped at test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = report.result
    stem = Path(result.path).stem
    tables = [table for table in report.tables if table.selection] or list(report.tables)
    with styled():
        written = save(scores_figure(result), folder / f"{stem}_scores", suffixes)
        for table in tables:
            behind = f"_{table.selection}" if table.selection else ""
            written += save(bars_figure(report, table), folder / f"{stem}_bars{behind}", suffixes)
            for variant in result.variants:
                if figure := _confusion(report, variant, table):
                    written += save(figure, folder / f"{stem}_confusion_{variant.name}{behind}", suffixes)
        if report.held_out:
            written += save(held_out_figure(report), folder / f"{stem}_held_out", suffixes)
        if result.suite.drop:
            written += save(missing_figure(result), folder / f"{stem}_missing", suffixes)
    return written


def bars_figure(report: SuiteReport, table: ScoreTable) -> Any:
    """Accuracy, weighted F1 and UAR of each variant: means over the seeds with their bootstrap intervals.

    What a paper reports for a variant is a line across its bar.

    Args:
        report: the suite's numbers.
        table: the rows that are shown.
    """
    rows = table.rows
    names = [row.variant for row in rows]
    figure = new_figure(max(6.4, 1.3 + 0.95 * len(rows)), 3.9)
    axes = figure.subplots()
    width = 0.8 / len(HEADLINE)
    papers = False
    for number, (score, words) in enumerate(HEADLINE.items()):
        at = np.arange(len(rows)) + (number - (len(HEADLINE) - 1) / 2) * width
        reached = [row.reached[score] for row in rows]
        colour = SERIES[number % len(SERIES)]
        axes.bar(at, [each.mean for each in reached], width * 0.92, color=colour, label=words)
        for place, each, row in zip(at, reached, rows, strict=True):
            top = each.mean
            if each.low is not None and each.high is not None:
                ends = [[max(0.0, each.mean - each.low)], [max(0.0, each.high - each.mean)]]
                axes.errorbar(place, each.mean, ends, fmt="none", ecolor=BLACK, elinewidth=0.9, capsize=2)
                top = max(top, each.high)
            axes.annotate(
                f"{100 * each.mean:.1f}",
                (place, top),
                (0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
            if score in row.paper:
                papers = True
                half = width * 0.46
                axes.plot(
                    [place - half, place + half], [row.paper[score]] * 2, color=VERMILION, linewidth=1.8
                )
    if papers:
        axes.plot([], [], color=VERMILION, linewidth=1.8, label="the paper's")
    axes.set_xticks(range(len(rows)), names)
    axes.grid(axis="x", visible=False)
    reach = max(max(each.high or 0, each.mean) for row in rows for each in row.reached.values())
    reach = max([reach, *(value for row in rows for value in row.paper.values())])
    axes.set_ylim(0, min(1.08, 1.15 * reach))
    axes.set(ylabel=f"mean over seeds, {100 * LEVEL:.0f} % interval over rows")
    axes.tick_params(axis="x", length=0)
    figure.legend(loc="outside lower center", ncols=4)
    where = f": {table.selection}" if table.selection else ""
    figure.suptitle(_title(report.result, where), x=0.01, ha="left", fontsize=10, weight="bold")
    return figure


def held_out_figure(report: SuiteReport) -> Any:
    """Each variant's score on each corpus that its training was without; a dotted line at their mean."""
    result, held_out = report.result, report.held_out
    score = result.selection
    corpora = list(dict.fromkeys(name for each in held_out for name in each.corpora))
    figure = new_figure(max(6.4, 1.3 + 1.1 * len(corpora)), 3.6)
    axes = figure.subplots()
    width = 0.8 / len(held_out)
    for number, each in enumerate(held_out):
        colour = SERIES[number % len(SERIES)]
        at = np.arange(len(corpora)) + (number - (len(held_out) - 1) / 2) * width
        there = [
            (place, each.corpora[name][score])
            for place, name in zip(at, corpora, strict=True)
            if name in each.corpora  # variants may read slots that only some corpora have
        ]
        means = [reached.mean for _, reached in there]
        axes.bar([place for place, _ in there], means, width * 0.92, color=colour, label=each.variant)
        for place, reached in there:
            deviation = reached.deviation or 0.0
            if deviation:
                axes.errorbar(
                    place, reached.mean, deviation, fmt="none", ecolor=BLACK, elinewidth=0.9, capsize=2
                )
            at_top = (place, reached.mean + deviation)
            told = f"{100 * reached.mean:.1f}"
            axes.annotate(told, at_top, (0, 2), textcoords="offset points", ha="center", fontsize=7)
        if each.mean is not None:
            axes.axhline(each.mean[score].mean, color=colour, linestyle=":", linewidth=1.2, zorder=0.9)
    rows = {name: count for each in held_out for name, count in each.rows.items()}
    axes.set_xticks(range(len(corpora)), [f"{name}\n{rows[name]:,}" for name in corpora])
    axes.grid(axis="x", visible=False)
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel=f"{_told(score)}, ± deviation over seeds", xlabel="held out, and its rows; dotted: mean")
    if len(held_out) > 1:
        figure.legend(loc="outside lower center", ncols=4)
    figure.suptitle(_title(result), x=0.01, ha="left", fontsize=10, weight="bold")
    return figure


def _confusion(report: SuiteReport, variant: VariantResult, table: ScoreTable) -> Any:
    """A variant's confusion matrix on the table's rows; None where it has none."""
    row = next((row for row in table.rows if row.variant == variant.name), None)
    if row is None:
        return None
    ids = None if table.selection is None else report.result.selections[table.selection]
    try:
        every = predictions_of(variant.trained.runs, variant.name)
    except BadInputError:
        return None
    some = on_selection(every, ids)
    assert some is not None
    seeds = some.scores()
    means = ", ".join(f"{words} {100 * row.reached[score].mean:.1f} %" for score, words in HEADLINE.items())
    where = table.selection or "test"
    title = "\n".join(textwrap.wrap(variant.experiment.title, _TITLE_LETTERS))
    return confusion_of(seeds, title, f"{where}: {means}")


def scores_figure(result: SuiteResult) -> Any:
    """A line per variant: a point per seed, the mean as a bar across them."""
    score = result.selection
    figure = new_figure(6.4, 1.3 + 0.42 * len(result.variants))
    axes = figure.subplots()
    for place, variant in enumerate(result.variants):
        reached = [scores.summary()[score] for scores in variant.trained.by_seed().values()]
        axes.scatter(reached, [place] * len(reached), color=SERIES[place % len(SERIES)], s=30, alpha=0.8)
        mean = variant.trained.summary()[score][0]
        axes.plot([mean, mean], [place - 0.3, place + 0.3], color=BLACK, linewidth=1.5)
        axes.annotate(
            f"{mean:.3f}",
            (mean, place - 0.3),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
        )
    axes.set_yticks(range(len(result.variants)), [variant.name for variant in result.variants])
    axes.set_ylim(len(result.variants) - 0.4, -0.8)
    axes.grid(axis="y", visible=False)
    axes.set(xlabel=f"{_told(score)} on test: a point per seed, a bar at their mean")
    figure.suptitle(_title(result), x=0.01, ha="left", fontsize=10, weight="bold")
    return figure


def missing_figure(result: SuiteResult) -> Any:
    """The score by the chance that a slot is missing: mean over folds, draws and seeds; bars: deviation over seeds."""
    score = result.selection
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    several = False
    for place, variant in enumerate(result.variants):
        rates, means, deviations = zip(*curve(variant, score), strict=True)
        spread = None if deviations[0] is None else deviations
        several = several or spread is not None
        axes.errorbar(
            [100 * rate for rate in rates],
            means,
            yerr=spread,
            label=variant.name,
            color=SERIES[place % len(SERIES)],
            marker=_MARKERS[place % len(_MARKERS)],
            markersize=4,
            linewidth=1.4,
            capsize=2,
            elinewidth=0.8,
        )
    axes.set(
        xlabel="chance that a slot is missing at test, %; a row keeps one at least",
        ylabel=f"{_told(score)}, mean ± deviation over seeds" if several else f"{_told(score)} of one seed",
    )
    axes.legend()
    figure.suptitle(_title(result), x=0.01, ha="left", fontsize=10, weight="bold")
    return figure


def _told(score: str) -> str:
    return HEADLINE.get(score, score.replace("_", " "))


def _title(result: SuiteResult, where: str = "") -> str:
    corpora = ", ".join(result.variants[0].trained.runs[0].record["corpora"])
    return "\n".join(
        textwrap.wrap(f"{result.suite.title} ({corpora}){where}", _TITLE_LETTERS, break_on_hyphens=False)
    )
