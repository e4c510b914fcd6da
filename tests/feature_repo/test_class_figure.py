"""The figure of emotions by corpus: its bars are the counts, its files are there."""

from pathlib import Path

import polars as pl

from feature_repo.class_figure import class_figure, write_class_figure
from feature_repo.manifest_census import census
from feature_repo.plot_style import styled

# corpus, emotion, utterances
COUNTS = [
    ("meld", "neutral", 6),
    ("meld", "joy", 2),
    ("ravdess", "joy", 3),
    ("cremad-standin", "joy", 5),
    ("cremad-standin", None, 4),
    ("goemotions", "anger", 1),
]


def _manifest() -> pl.DataFrame:
    rows = [
        {"utterance_id": f"{corpus}/{emotion}{row}", "corpus": corpus, "emotion": emotion}
        for corpus, emotion, count in COUNTS
        for row in range(count)
    ]
    frame = pl.DataFrame(rows, schema={"utterance_id": pl.String, "corpus": pl.String, "emotion": pl.String})
    empty = {name: pl.lit(None, pl.String) for name in ("split", "dialogue_id", "speaker_id", "language")}
    return frame.with_columns(**empty)


def _bars(axes) -> dict[str, list[tuple[float, float]]]:
    return {
        container.get_label(): [(bar.get_y(), bar.get_height()) for bar in container]
        for container in axes.containers
    }


def test_each_domains_bars_are_its_counts_corpus_upon_corpus() -> None:
    with styled():
        figure = class_figure(census(_manifest()))
    acted, talk, text = (axes for axes in figure.axes if axes.get_visible())
    # Emotions in the order of the seven classes: neutral, joy, anger.
    assert [label.get_text() for label in acted.get_xticklabels()] == ["neutral", "joy", "anger"]
    assert _bars(acted) == {
        "cremad-standin": [(0, 0), (0, 5), (0, 0)],
        "ravdess": [(0, 0), (5, 3), (0, 0)],
    }
    assert _bars(talk) == {"meld": [(0, 6), (0, 2), (0, 0)]}
    assert _bars(text) == {"goemotions": [(0, 0), (0, 0), (0, 1)]}
    assert acted.get_title(loc="left") == "Acted speech, 2 corpora: 8 labelled, 4 left out"
    assert talk.get_title(loc="left") == "Conversations, meld: 8 labelled"
    told = {text.get_text() for text in talk.texts}
    assert {"6\n75 %", "2\n25 %", "none"} <= told


def test_it_is_written_as_asked(tmp_path: Path) -> None:
    paths = write_class_figure(census(_manifest()), tmp_path / "new", ("png", "svg"))
    assert [path.name for path in paths] == ["class_distribution.png", "class_distribution.svg"]
    assert all(path.stat().st_size > 5_000 for path in paths)
