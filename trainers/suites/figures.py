"""Figures of suites: scores of the variants seed by seed, and curves by the chance that a slot is missing at test."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_repo.plot_style import BLACK, SERIES, new_figure, save, styled
from trainers.runs.tables import HEADLINE
from trainers.suites.tables import curve

if TYPE_CHECKING:
    from trainers.suites.suite_run import SuiteResult

_MARKERS = "osD^vPX*"
_TITLE_LETTERS = 72  # that fit the figures' width


def write_suite_figures(result: SuiteResult, folder: Path, suffixes: Sequence[str] = ("png",)) -> list[Path]:
    """Draw what the suite came to.

    Args:
        result: of the suite.
        folder: made if absent.
        suffixes: ``png``, ``svg``, ``pdf``.

    Returns:
        The files: ``<suite>_scores``, and ``<suite>_missing`` where slots are dropped at test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(result.path).stem
    with styled():
        written = save(scores_figure(result), folder / f"{stem}_scores", suffixes)
        if result.suite.drop:
            written += save(missing_figure(result), folder / f"{stem}_missing", suffixes)
    return written


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


def _title(result: SuiteResult) -> str:
    corpora = ", ".join(result.variants[0].trained.runs[0].record["corpora"])
    return "\n".join(textwrap.wrap(f"{result.suite.title} ({corpora})", _TITLE_LETTERS))
