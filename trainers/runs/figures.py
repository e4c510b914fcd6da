"""Figures of runs: confusion matrix (papers/000 fig. 5), curves over epochs, scores per class."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from feature_repo.plot_style import BLACK, BLUE, GREY, SERIES, new_figure, save, styled
from trainers.metrics import Scores
from trainers.runs.groups import RunGroup

_SCORES = {"accuracy": "accuracy", "weighted_f1": "weighted F1", "macro_f1": "macro F1", "uar": "UAR"}
_PER_CLASS = {"recall": "recall", "precision": "precision", "f1": "F1"}
_DARK = 0.68  # share from which a cell's words are white
_MANY = 8  # lines in one picture from which each is thin


def write_run_figures(
    groups: Sequence[RunGroup], folder: Path, suffixes: Sequence[str] = ("png",)
) -> list[Path]:
    """Draw each group's confusion matrix and curves, and the scores per class of all groups side by side.

    Args:
        groups: runs of one setting each.
        folder: made if absent.
        suffixes: ``png``, ``svg``, ``pdf``.

    Returns:
        The files: ``confusion_<name>``, ``curves_<name>`` of each group, ``per_class_<names>``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with styled():
        for group in groups:
            if group.by_seed:
                written += save(confusion_figure(group), folder / f"confusion_{_file_name(group)}", suffixes)
            written += save(curves_figure(group), folder / f"curves_{_file_name(group)}", suffixes)
        scored = [group for group in groups if group.by_seed]
        if scored:
            name = "_".join(_file_name(group) for group in scored)
            written += save(per_class_figure(scored), folder / f"per_class_{name}", suffixes)
    return written


def confusion_figure(group: RunGroup) -> Any:
    """Fig. 5 of papers/000: of each true class, the share predicted as each, with counts.

    Counts are summed over folds and averaged over seeds; a row's shares add up to 100 %. Classes that the test rows do
    not have are left out as rows.
    """
    means = ", ".join(
        f"{_SCORES[name]} {100 * statistics.fmean(group.score(name)):.1f} %"
        for name in ("accuracy", "weighted_f1", "uar")
    )
    return confusion_of(list(group.by_seed.values()), _title(group), f"test: {means}")


def confusion_of(seeds: Sequence[Scores], title: str, told: str) -> Any:
    """The figure of :func:`confusion_figure`, of any scores.

    Args:
        seeds: of the same rows, one per seed.
        title: of the figure.
        told: below it; how many seeds it is a mean of is added.
    """
    counts = np.mean([scores.confusion for scores in seeds], axis=0)
    present = counts.sum(axis=1) > 0
    shares = counts[present] / counts[present].sum(axis=1, keepdims=True)
    columns = seeds[0].classes
    rows = [name for name, there in zip(columns, present, strict=True) if there]
    figure = new_figure(0.78 * len(columns) + 2.6, 0.6 * len(rows) + 2.0)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(shares.shape):
        share, count = shares[row, column], counts[present][row, column]
        words = f"{100 * share:.1f}\n{_count(count)}"
        colour = "white" if share > _DARK else BLACK
        weight = "bold" if rows[row] == columns[column] else "normal"
        axes.text(column, row, words, ha="center", va="center", fontsize=7.5, color=colour, weight=weight)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(len(rows)),
        [f"{name} ({_count(n)})" for name, n in zip(rows, counts[present].sum(1), strict=True)],
    )
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted; in each cell % of the true class, and utterances", ylabel="true (utterances)")
    over = f", mean of {len(seeds)} seeds" if len(seeds) > 1 else ""
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, weight="bold")
    # A heading as wide as the cells below it, broken behind commas.
    whole = f"{told}{over}".replace(", ", ",\n").replace(" ", "\u00a0").replace("\n", " ")
    heading = [line.replace("\u00a0", " ") for line in textwrap.wrap(whole, 36 + 9 * len(columns))]
    axes.set_title("\n".join(heading), fontsize=8.5, weight="normal")
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("% of the true class")
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    bar.outline.set_visible(False)
    return figure


def curves_figure(group: RunGroup) -> Any:
    """Loss, the validation score that the epoch was chosen by, and learning rate over epochs; a line per run.

    The kept epoch is marked; several runs are thin lines in the colours of their seeds.
    """
    selection = str(group.settings().get("selection", "weighted_f1"))
    figure = new_figure(7.2, 6.4)
    losses, scores, rates = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1.3])
    seeds = sorted({run.record["seed"] for run in group.runs})
    width = 1.6 if len(group.runs) == 1 else 1.1 if len(group.runs) < _MANY else 0.8
    for run in group.runs:
        epochs, best = run.epochs(), run.record["best_epoch"]
        # A text encoder is validated every so many steps, any other model once an epoch.
        along = "step" if "step" in epochs.columns else "number"
        colour = SERIES[seeds.index(run.record["seed"]) % len(SERIES)]
        line: dict[str, Any] = {"color": colour, "linewidth": width}
        losses.plot(epochs[along], epochs["train_loss"], linestyle=(0, (4, 1.5)), **line)
        losses.plot(epochs[along], epochs["validation_loss"], **line)
        scores.plot(epochs[along], epochs[selection], **line)
        rates.plot(epochs[along], epochs["lr"], drawstyle="steps-mid", **line)
        kept = epochs.filter(pl.col("number") == best)
        for axes, column in ((losses, "validation_loss"), (scores, selection)):
            axes.plot(kept[along], kept[column], "o", color=colour, markersize=5.5, markeredgecolor="white")
    losses.set_ylabel("cross-entropy loss")
    words = _SCORES.get(selection, selection)
    scores.set_ylabel(f"validation {words}")
    rates.set(xlabel="step" if along == "step" else "epoch", ylabel="learning rate", yscale="log")
    for axes in (losses, scores, rates):
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(_title(group), x=0.01, ha="left", fontsize=10, weight="bold")
    figure.legend(handles=_curve_legend(seeds, group), loc="outside lower center", ncols=4)
    return figure


def per_class_figure(groups: Sequence[RunGroup]) -> Any:
    """Recall, precision and F1 of each class; several seeds as their mean with a whisker of one deviation.

    Args:
        groups: one or more, drawn side by side in each class.

    Only classes that the first group's test rows have are shown.
    """
    first = next(iter(groups[0].by_seed.values()))
    names = list(first.per_class())
    support = [int(first.per_class()[name]["support"]) for name in names]
    figure = new_figure(max(6.4, 0.95 * len(names) + 1.2), 6.2)
    panels = figure.subplots(3, 1, sharex=True)
    places, bar = np.arange(len(names)), 0.8 / len(groups)
    for axes, (score, words) in zip(panels, _PER_CLASS.items(), strict=True):
        for number, group in enumerate(groups):
            each = [scores.per_class() for scores in group.by_seed.values()]
            reached = [[one[name][score] for one in each if name in one] for name in names]
            means = [statistics.fmean(one) if one else 0.0 for one in reached]
            spread = [statistics.stdev(one) if len(one) > 1 else 0.0 for one in reached]
            at = places + (number - (len(groups) - 1) / 2) * bar
            axes.bar(at, means, bar * 0.92, color=SERIES[number % len(SERIES)], label=_label(group))
            if any(spread):
                axes.errorbar(at, means, spread, fmt="none", ecolor=BLACK, elinewidth=0.9, capsize=2)
            if len(groups) < 3:
                for place, mean, whisker in zip(at, means, spread, strict=True):
                    axes.annotate(
                        f"{mean:.2f}",
                        (place, mean + whisker),
                        (0, 2),
                        textcoords="offset points",
                        ha="center",
                        va="bottom",
                        fontsize=7,
                        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
                    )
            average = statistics.fmean(means)
            axes.axhline(
                average, color=SERIES[number % len(SERIES)], linestyle=":", linewidth=1.1, zorder=0.9
            )
        axes.set(ylabel=words, ylim=(0, 1.08), yticks=[0, 0.25, 0.5, 0.75, 1])
        axes.grid(False, axis="x")
    panels[-1].set_xticks(places, [f"{name}\n{count:,}" for name, count in zip(names, support, strict=True)])
    whiskers = "; whisker: one deviation over seeds" if any(len(each.by_seed) > 1 for each in groups) else ""
    panels[-1].set_xlabel(f"class and its test rows; dotted: mean over classes{whiskers}")
    panels[-1].tick_params(axis="x", length=0)
    title = _title(groups[0]) if len(groups) == 1 else "Scores per class on test"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, weight="bold")
    if len(groups) > 1:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=1)
    return figure


def _curve_legend(seeds: Sequence[int], group: RunGroup) -> list[Any]:
    from matplotlib.lines import Line2D

    neutral = BLUE if len(seeds) == 1 else GREY
    handles = [
        Line2D([], [], color=neutral, linestyle=(0, (4, 1.5)), label="training loss"),
        Line2D([], [], color=neutral, label="validation"),
        Line2D([], [], color=neutral, marker="o", linestyle="", markeredgecolor="white", label="kept"),
    ]
    if len(seeds) > 1:
        handles += [
            Line2D([], [], color=SERIES[place % len(SERIES)], label=f"seed {seed}")
            for place, seed in enumerate(seeds)
        ]
    return handles


def _title(group: RunGroup) -> str:
    record = group.first.record
    return f"{record['trainer']} on {' + '.join(record['slots'])}, {', '.join(record['corpora'])}"


def _label(group: RunGroup) -> str:
    return f"{_title(group)} ({group.name[:12]})"


def _count(count: float) -> str:
    return f"{count:,.0f}" if float(count).is_integer() or count >= 10 else f"{count:.1f}"


def _file_name(group: RunGroup) -> str:
    return group.name.replace(",", "_").replace(" ", "")
