"""The figures of a verdict: how the measures are distributed about their thresholds, and what was removed where."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from extractors.quality.plot_style import (
    BLACK,
    BLUE,
    ORANGE,
    SERIES,
    THRESHOLD,
    new_figure,
)

_BIN = 0.025  # of a similarity
_SPEAKERS = 20  # rows of the figure of speakers
_SPLITS = ("train", "dev", "test", "all")


def alignment_figure(frame: pl.DataFrame, cosine_at: float, levenshtein_at: float, encoder: str) -> Any:
    """Fig. 4 of papers/000: both measures of alignment by split, with the thresholds.

    Args:
        frame: ``split, alignment_cosine, alignment_levenshtein``, one row per utterance.
        cosine_at: threshold of the cosine.
        levenshtein_at: threshold of the Levenshtein similarity.
        encoder: the text encoder's name, since a cosine means something else in another space.
    """
    figure = new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    _histogram(left, frame, "alignment_cosine", cosine_at)
    left.set(title="Transcript against text: cosine", xlabel=f"cosine similarity ({encoder})")
    _histogram(right, frame, "alignment_levenshtein", levenshtein_at)
    right.set(title="Transcript against text: Levenshtein", xlabel="normalised Levenshtein similarity")
    return figure


def face_figure(frame: pl.DataFrame, similarity_at: float, embedder: str) -> Any:
    """How like the speaker the best face of each utterance is, by where it was found.

    Args:
        frame: ``match_similarity`` and, where there is one, ``offsetmatch_similarity``, one row per utterance; null
            where no face was seen or nobody knows the speaker.
        similarity_at: the threshold.
        embedder: the face embedder's name.
    """
    base = _numbers(frame, "match_similarity")
    near = _numbers(frame, "offsetmatch_similarity")
    # The search around the frames counts where those frames did not do.
    found_near = (near >= similarity_at) & ~(base >= similarity_at)
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    parts = [base[~found_near], near[found_near]]
    labels = ["in the sampled frames", "found by the offset search"]
    known = [part[np.isfinite(part)] for part in parts]
    names = [f"{label} ({len(part):,})" for label, part in zip(labels, known, strict=True)]
    axes.hist(known, bins=_edges(known), stacked=True, color=[BLUE, ORANGE], label=names)
    _threshold(axes, similarity_at, int(sum((part < similarity_at).sum() for part in known)))
    unknown = frame.height - sum(len(part) for part in known)
    axes.set(
        title="Best face of each utterance against its speaker's reference",
        xlabel=f"cosine similarity ({embedder}); {unknown:,} utterances without a face or a reference not shown",
        ylabel="utterances",
    )
    axes.legend(loc="upper left")
    return figure


def reason_figure(reasons: pl.Series, labels: Mapping[str, str]) -> Any:
    """How many utterances each check removed, by the first check that failed.

    Args:
        reasons: the first reason of each utterance, null where it passed.
        labels: reason to words, in the paper's order.
    """
    counts = [int((reasons == reason).sum()) for reason in labels]
    total = len(reasons)
    figure = new_figure(7.2, 0.36 * len(labels) + 1.2)
    axes = figure.subplots()
    places = np.arange(len(labels))
    axes.barh(places, counts, color=_colours(labels), height=0.7)
    for place, count in zip(places, counts, strict=True):
        share = 100 * count / max(total, 1)
        axes.annotate(
            f"{count:,} ({share:.1f} %)", (count, place), (4, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(places, list(labels.values()))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, max([*counts, 1]) * 1.22)
    axes.set(
        title=f"Removed: {sum(counts):,} of {total:,} utterances, by the first reason", xlabel="utterances"
    )
    return figure


def group_figure(
    groups: pl.Series, reasons: pl.Series, labels: Mapping[str, str], title: str, rows: Sequence[str]
) -> Any:
    """Which share of each group was removed, and why.

    Args:
        groups: the group of each utterance.
        reasons: its first reason, null where it passed.
        labels: reason to words, in the paper's order.
        title: of the figure.
        rows: the groups that are shown, from the top.
    """
    frame = pl.DataFrame({"group": groups, "reason": reasons})
    sizes = dict(frame.group_by("group").len().iter_rows())
    removed = {
        (group, reason): count for group, reason, count in frame.group_by("group", "reason").len().rows()
    }
    used = {code: words for code, words in labels.items() if (frame["reason"] == code).any()}
    figure = new_figure(7.2, 0.27 * len(rows) + 1.5)
    axes = figure.subplots()
    places = np.arange(len(rows))
    ends = np.zeros(len(rows))
    colours = dict(zip(labels, _colours(labels), strict=True))
    for code, words in used.items():
        shares = np.array([100 * removed.get((row, code), 0) / sizes[row] for row in rows])
        axes.barh(places, shares, left=ends, color=colours[code], height=0.72, label=words)
        ends += shares
    for place, row, end in zip(places, rows, ends, strict=True):
        gone = sum(removed.get((row, code), 0) for code in used)
        axes.annotate(
            f"{gone:,} of {sizes[row]:,}", (end, place), (4, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(places, list(rows))
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, max([*ends, 1.0]) * 1.2)
    axes.set(title=title, xlabel="% of the group's utterances, by the first reason")
    if used:
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _histogram(axes: Any, frame: pl.DataFrame, column: str, at: float) -> None:
    """One line a split, on a logarithmic axis: nearly all utterances are at 1, and the few others are the matter."""
    splits = [split for split in _SPLITS if (frame["split"] == split).any()]
    values = [_numbers(frame.filter(pl.col("split") == split), column) for split in splits]
    known = [part[np.isfinite(part)] for part in values]
    edges = _edges(known)
    for place, (split, part) in enumerate(zip(splits, known, strict=True)):
        counts, _ = np.histogram(part, edges)
        axes.stairs(counts, edges, color=SERIES[place], linewidth=1.4, label=f"{split} ({len(part):,})")
    if any(len(part) for part in known):
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.8)
    axes.grid(False, axis="x")
    axes.set_ylabel("utterances")
    _threshold(axes, at, int(sum((part < at).sum() for part in known)))
    axes.legend(loc="upper left")


def _threshold(axes: Any, at: float, below: int) -> None:
    axes.axvline(
        at, color=THRESHOLD, linestyle="--", linewidth=1.3, label=f"threshold {at:g}: {below:,} below"
    )


def _numbers(frame: pl.DataFrame, column: str) -> npt.NDArray[np.float64]:
    if column not in frame.columns:
        return np.full(frame.height, np.nan)
    return frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _edges(parts: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Bins from the least value, or 0, to 1; the threshold's usual places are edges."""
    least = min([0.0, *(float(part.min()) for part in parts if len(part))])
    first = np.floor(least / _BIN)
    return np.asarray(np.arange(first, round(1 / _BIN) + 1) * _BIN, np.float64)


def _colours(labels: Mapping[str, str]) -> list[str]:
    palette = [*SERIES, BLACK, "#8C564B", "#17BECF"]
    return [palette[place % len(palette)] for place in range(len(labels))]
