"""The figures of a verdict: how the measures are distributed about their thresholds, and what was removed where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.labels import EMOTIONS
from feature_repo.manifest import SPLITS
from feature_repo.measures import Measures
from feature_repo.plot_style import (
    BLUE,
    ORANGE,
    REASON_COLOURS,
    SERIES,
    THRESHOLD,
    new_figure,
    save,
    styled,
)
from feature_repo.quality_config import QualityConfig, Threshold
from feature_repo.verdict import REASONS, UNMEASURED

Numbers = npt.NDArray[np.float32]

SPEAKERS = 20  # rows of the figure of speakers
_BIN = 0.025  # of a similarity
_NOBODY = "nobody in particular"
_UNLABELLED = "no emotion"


def write_figures(
    folder: Path, measures: Measures, judged: pl.DataFrame, config: QualityConfig
) -> list[Path]:
    """Write the figures that the measures allow, each as PNG and SVG; returns the files.

    ``alignment`` and ``faces`` show the measures of all utterances with the thresholds; ``removed_by_reason``,
    ``_by_split``, ``_by_speaker`` (those who lose most) and ``_by_emotion`` the verdict.

    Args:
        folder: made if absent.
        measures: what was judged.
        judged: of ``feature_repo.verdict.judge``.
        config: the thresholds that it was judged by.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frame = measures.frame
    written: list[Path] = []
    with styled():
        if "alignment_cosine" in frame.columns:
            of_texts = config.texts.get(measures.encoder or "")
            figure = alignment_figure(
                frame, of_texts, config.levenshtein_threshold, measures.encoder or "unknown encoder"
            )
            written += save(figure, folder / "alignment")
        if "match_similarity" in frame.columns:
            of_faces = config.faces.get(measures.embedder or "")
            figure = face_figure(frame, of_faces, measures.embedder or "unknown embedder")
            written += save(figure, folder / "faces")
        rows = _groups(frame).hstack([judged["reason"]])
        written += save(reason_figure(rows["reason"]), folder / "removed_by_reason")
        losing = _losing(rows)
        most = f"the {SPEAKERS} who lose most" if len(losing) == SPEAKERS else "those who lose any"
        for name, order, which in (
            ("split", _splits(rows), ""),
            ("speaker", losing, f": {most}"),
            ("emotion", _emotions(rows), ""),
        ):
            figure = group_figure(rows[name], rows["reason"], f"Removed by {name}{which}", order)
            written += save(figure, folder / f"removed_by_{name}")
    return written


def alignment_figure(
    frame: pl.DataFrame, cosine: Threshold | None, levenshtein: Threshold | None, encoder: str
) -> Any:
    """Fig. 4 of papers/000: both measures of alignment by split, with the thresholds.

    Args:
        frame: ``split, alignment_cosine, alignment_levenshtein``, one row per utterance; null where not measured.
        cosine: threshold of the cosine; None draws none.
        levenshtein: threshold of the Levenshtein similarity; None draws none.
        encoder: the text encoder's name, since a cosine means something else in another space.
    """
    figure = new_figure(9.0, 4.0)
    left, right = figure.subplots(1, 2)
    _histogram(left, frame, "alignment_cosine", cosine)
    left.set(title="Transcript against text: cosine", xlabel=f"cosine similarity ({encoder})")
    _histogram(right, frame, "alignment_levenshtein", levenshtein)
    right.set(title="Transcript against text: Levenshtein", xlabel="normalised Levenshtein similarity")
    return figure


def face_figure(frame: pl.DataFrame, threshold: Threshold | None, embedder: str) -> Any:
    """How like the speaker the best face of each utterance is, by where it was found.

    Args:
        frame: ``match_similarity`` and, where there is one, ``offsetmatch_similarity``, one row per utterance; null
            where no face was seen or nobody knows the speaker.
        threshold: of the similarity; None draws none.
        embedder: the face embedder's name.
    """
    base, near = _numbers(frame, "match_similarity"), _numbers(frame, "offsetmatch_similarity")
    # The verdict takes the better of the two.
    found_near = np.isfinite(near) & ~(base >= near)
    known = [base[~found_near & np.isfinite(base)], near[found_near]]
    labels = ("in the sampled frames", "in the frames around them")
    unknown = frame.height - sum(len(part) for part in known)
    figure = new_figure(7.2, 4.0)
    axes = figure.subplots()
    axes.hist(
        known,
        bins=_edges(known),
        stacked=True,
        color=[BLUE, ORANGE],
        label=[f"{label} ({len(part):,})" for label, part in zip(labels, known, strict=True)],
    )
    _draw_threshold(axes, threshold, known)
    axes.set(
        title="Best face of each utterance against the speaker's reference",
        xlabel=f"cosine similarity ({embedder})\n{unknown:,} utterances without a face or a reference are not shown",
        ylabel="utterances",
    )
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def reason_figure(reasons: pl.Series) -> Any:
    """How many utterances each reason removed, counted by the first that holds, in the paper's order.

    Args:
        reasons: a code of ``REASONS`` for each utterance, null where it passed.
    """
    counts = {code: int((reasons == code).sum()) for code in REASONS}
    counts = {code: count for code, count in counts.items() if count}
    removed = sum(count for code, count in counts.items() if code != UNMEASURED)
    figure = new_figure(7.6, 0.34 * len(counts) + 1.2)
    axes = figure.subplots()
    places = np.arange(len(counts))
    axes.barh(places, list(counts.values()), color=[REASON_COLOURS[code] for code in counts], height=0.7)
    for place, count in zip(places, counts.values(), strict=True):
        words = f"{count:,} ({100 * count / len(reasons):.1f} %)"
        axes.annotate(words, (count, place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(places, [REASONS[code] for code in counts])
    _finish_bars(axes, max([*counts.values(), 1]))
    axes.set(
        title=f"Removed: {removed:,} of {len(reasons):,} utterances", xlabel="utterances, by the first reason"
    )
    return figure


def group_figure(groups: pl.Series, reasons: pl.Series, title: str, order: Sequence[str]) -> Any:
    """Which share of each group was removed, and why.

    Args:
        groups: the group of each utterance.
        reasons: its first reason, null where it passed.
        title: of the figure.
        order: the groups that are shown, from the top.
    """
    frame = pl.DataFrame({"group": groups, "reason": reasons})
    sizes = dict(frame.group_by("group").len().iter_rows())
    counts = {
        (group, code): count for group, code, count in frame.group_by("group", "reason").len().iter_rows()
    }
    used = [code for code in REASONS if any((group, code) in counts for group in order)]
    figure = new_figure(7.6, 0.28 * len(order) + 1.4 + 0.2 * -(-len(used) // 2))
    axes = figure.subplots()
    places = np.arange(len(order))
    ends = np.zeros(len(order))
    for code in used:
        shares = np.array([100 * counts.get((group, code), 0) / sizes[group] for group in order])
        look = {"color": REASON_COLOURS[code], "edgecolor": "white", "linewidth": 0.4}
        axes.barh(places, shares, left=ends, height=0.74, label=REASONS[code], **look)
        ends += shares
    for place, group, end in zip(places, order, ends, strict=True):
        gone = sum(counts.get((group, code), 0) for code in used if code != UNMEASURED)
        words = f"{gone:,} of {sizes[group]:,}"
        axes.annotate(words, (end, place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(places, list(order))
    _finish_bars(axes, max([*ends, 1.0]))
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= 100])
    axes.set(title=title, xlabel="% of the group's utterances, by the first reason")
    if used:
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _groups(frame: pl.DataFrame) -> pl.DataFrame:
    """Split, speaker and emotion of each utterance as words; corpora are told apart where there are several."""
    split = pl.col("split")
    if frame["corpus"].n_unique() > 1:
        split = pl.format("{} {}", "corpus", "split")
    return frame.select(
        split=split,
        speaker=pl.coalesce("speaker_id", pl.lit(_NOBODY)),
        emotion=pl.coalesce("emotion", pl.lit(_UNLABELLED)),
    )


def _splits(rows: pl.DataFrame) -> list[str]:
    def place(group: str) -> tuple[str, int]:
        corpus, _, split = group.rpartition(" ")
        return corpus, SPLITS.index(split)

    return sorted(rows["split"].unique(), key=place)


def _losing(rows: pl.DataFrame) -> list[str]:
    """The speakers who lose most utterances, those who lose nothing left out."""
    removed = rows.filter(pl.col("reason").is_not_null() & (pl.col("reason") != UNMEASURED))
    counts = removed.group_by("speaker").len().sort("len", "speaker", descending=[True, False])
    return counts["speaker"].head(SPEAKERS).to_list()


def _emotions(rows: pl.DataFrame) -> list[str]:
    there = set(rows["emotion"])
    return [emotion for emotion in (*EMOTIONS, _UNLABELLED) if emotion in there]


def _histogram(axes: Any, frame: pl.DataFrame, column: str, threshold: Threshold | None) -> None:
    """One line a split, on a logarithmic axis: nearly all utterances are at 1, and the few others are the matter."""
    splits = [split for split in SPLITS if (frame["split"] == split).any()]
    values = [_numbers(frame.filter(pl.col("split") == split), column) for split in splits]
    known = [part[np.isfinite(part)] for part in values]
    edges = _edges(known)
    for place, (split, part) in enumerate(zip(splits, known, strict=True)):
        counts, _ = np.histogram(part, edges)
        axes.stairs(counts, edges, color=SERIES[place], linewidth=1.4, label=f"{split} ({len(part):,})")
    if any(len(part) for part in known):
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.8)
        axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("utterances")
    _draw_threshold(axes, threshold, known)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def _draw_threshold(axes: Any, threshold: Threshold | None, parts: Sequence[Numbers]) -> None:
    if threshold is None:
        return
    below = int(sum((part < threshold.value).sum() for part in parts))
    words = f"threshold {threshold.value:g}: {below:,} below"
    axes.axvline(threshold.value, color=THRESHOLD, linestyle="--", linewidth=1.3, label=words)


def _finish_bars(axes: Any, longest: float) -> None:
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, longest * 1.22)  # room for the counts


def _numbers(frame: pl.DataFrame, column: str) -> Numbers:
    """The column as it is stored, float32: what equals a threshold or an edge counts as the verdict counts it."""
    if column not in frame.columns:
        return np.full(frame.height, np.nan, np.float32)
    return frame[column].cast(pl.Float32).fill_null(np.nan).to_numpy()


def _edges(parts: Sequence[Numbers]) -> Numbers:
    """Bins from the least value, or 0, to 1; the thresholds' usual places are edges."""
    least = min([0.0, *(float(part.min()) for part in parts if len(part))])
    return (np.arange(np.floor(least / _BIN), round(1 / _BIN) + 1) * _BIN).astype(np.float32)
