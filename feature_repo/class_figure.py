"""The figure of how emotions are distributed over corpora (papers/000 Fig. 2)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from feature_repo.corpus_domains import ACTED, CONVERSATIONAL, DOMAINS, FACE, TEXT
from feature_repo.manifest_census import LEFT_OUT, Census, emotion_columns
from feature_repo.plot_style import GREY, SERIES, new_figure, save, styled

_PANELS = {FACE: "Faces", ACTED: "Acted speech", CONVERSATIONAL: "Conversations", TEXT: "Text"}
_HATCHES = ("", "///", "...", "xxx")  # where a panel has more corpora than the palette has colours


def write_class_figure(found: Census, folder: Path, suffixes: Sequence[str] = ("png",)) -> list[Path]:
    """Draw the distribution of emotions into a folder, as ``class_distribution``.

    Args:
        found: counts of the manifest.
        folder: made if absent.
        suffixes: ``png``, ``svg``, ``pdf``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with styled():
        return save(class_figure(found), folder / "class_distribution", suffixes)


def class_figure(found: Census) -> Any:
    """A panel per domain: labelled utterances of each emotion, corpus upon corpus.

    Utterances that a policy left out are no bar, and are counted in the panel's title.

    Args:
        found: counts of the manifest; one row or more.
    """
    domains = dict(found.corpora.select("corpus", "domain").iter_rows())
    panels = [name for name in DOMAINS if name in domains.values()]
    emotions = [name for name in emotion_columns(found.emotions["emotion"]) if name != LEFT_OUT]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(5.4 * columns + (2.0 if columns == 1 else 0), 3.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, domain in enumerate(panels):
        corpora = [corpus for corpus, its in domains.items() if its == domain]
        _panel(axes[place], found, _PANELS.get(domain, domain), corpora, emotions)
    for unused in axes[len(panels) :]:
        unused.set_visible(False)
    return figure


def _panel(axes: Any, found: Census, title: str, corpora: Sequence[str], emotions: Sequence[str]) -> None:
    counts = found.emotions.filter(pl.col("corpus").is_in(list(corpora)))
    # The largest corpus at the bottom, so that the others are told from it.
    sizes = dict(counts.group_by("corpus").agg(pl.col("utterances").sum()).iter_rows())
    ordered = sorted(corpora, key=lambda corpus: (-sizes.get(corpus, 0), corpus))
    bottom = [0] * len(emotions)
    for number, corpus in enumerate(ordered):
        own = dict(counts.filter(corpus=corpus).select("emotion", "utterances").iter_rows())
        heights = [own.get(emotion, 0) for emotion in emotions]
        axes.bar(
            range(len(emotions)),
            heights,
            0.78,
            bottom=bottom,
            color=SERIES[number % len(SERIES)],
            hatch=_HATCHES[number // len(SERIES) % len(_HATCHES)],
            edgecolor="white",
            linewidth=0.6,
            label=corpus,
        )
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    labelled = sum(bottom)
    for place, count in enumerate(bottom):
        share = f"{100 * count / labelled:.0f} %" if labelled else ""
        if count:
            axes.annotate(
                f"{count:,}\n{share}",
                (place, count),
                (0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
        else:
            axes.annotate(
                "none", (place, 0), (0, 2), textcoords="offset points", ha="center", fontsize=7, color=GREY
            )
    axes.set_xticks(range(len(emotions)), emotions, rotation=20, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    if len(ordered) > 1:
        axes.legend(fontsize=7.5, loc="upper right", ncols=min(4, len(ordered)))
        title = f"{title}, {len(ordered)} corpora"
    else:
        title = f"{title}, {ordered[0]}"
    # Room for the numbers, and above them for the names.
    axes.margins(y=0.2 + 0.07 * -(-len(ordered) // 4))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylabel("utterances")
    left = counts.filter(pl.col("emotion") == LEFT_OUT)["utterances"].sum()
    told = f"{title}: {labelled:,} labelled" + (f", {left:,} left out" if left else "")
    axes.set_title("\n".join(textwrap.wrap(told, 52)))
