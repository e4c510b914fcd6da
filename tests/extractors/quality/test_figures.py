"""Figures, read off the artists that draw them: heights of bars, places of lines, words."""

from pathlib import Path

import polars as pl
import pytest

from extractors.quality.figures import (
    alignment_figure,
    face_figure,
    group_figure,
    reason_figure,
    write_figures,
)
from feature_repo.labels import EMOTIONS
from feature_repo.measures import Measures
from feature_repo.plot_style import REASON_COLOURS, styled
from feature_repo.quality_config import Threshold, load_quality_config
from feature_repo.verdict import REASONS

FIGURES = (
    *("alignment", "faces", "removed_by_reason", "removed_by_split"),
    *("removed_by_speaker", "removed_by_emotion"),
)
CONFIG = load_quality_config(overrides=["face.MobileFaceNet.similarity=0.45"])


def at(value: float) -> Threshold:
    return Threshold(value, "test")


def frame() -> pl.DataFrame:
    """Six utterances of two splits; one without a transcript, one without a face."""
    return pl.DataFrame(
        {
            "utterance_id": [f"c/{number}" for number in range(6)],
            "corpus": ["c"] * 6,
            "split": ["train", "train", "train", "train", "test", "test"],
            "speaker_id": ["c/ann", "c/ann", "c/bob", None, "c/bob", "c/cid"],
            "emotion": ["joy", "joy", "anger", None, "anger", "joy"],
            "alignment_cosine": [1.0, 0.9, 0.1, None, 0.25, 0.8],
            "alignment_levenshtein": [1.0, 0.9, 0.5, None, 0.2, 0.8],
            "match_similarity": [0.8, 0.3, 0.7, None, -0.2, 0.6],
            "offsetmatch_similarity": [None, 0.5, None, None, -0.3, None],
        }
    )


def judged() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "utterance_id": frame()["utterance_id"],
            "reason": [None, None, "cosine", "composite", "cosine", None],
        }
    )


def measures(rows: pl.DataFrame | None = None) -> Measures:
    return Measures(frame() if rows is None else rows, {}, "MobileFaceNet", "all-mpnet-base-v2")


def bars(axes) -> dict[float, float]:
    """Middle of each bar to its length, of horizontal bars stacked to their end."""
    ends: dict[float, float] = {}
    for bar in axes.patches:
        middle = round(bar.get_y() + bar.get_height() / 2, 3)
        ends[middle] = max(ends.get(middle, 0.0), bar.get_x() + bar.get_width())
    return ends


def words(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_both_measures_by_split_with_their_thresholds() -> None:
    with styled():
        left, right = alignment_figure(frame(), at(0.25), at(0.3), "all-mpnet-base-v2").axes
    for axes, column, value, below in (
        (left, "alignment_cosine", 0.25, 1),
        (right, "alignment_levenshtein", 0.3, 1),
    ):
        (line,) = axes.get_lines()
        assert set(line.get_xdata()) == {value}
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == ["train (3)", "test (2)", f"threshold {value:g}: {below} below"]
        stairs = {patch.get_label(): patch.get_data() for patch in axes.patches}
        for split in ("train", "test"):
            (steps,) = [data for label, data in stairs.items() if label.startswith(split)]
            values = frame().filter(split=split)[column].drop_nulls()
            places = [min(int(value * 40 + 1e-6), 39) for value in values]  # bins of 0.025, the last with 1
            assert [int(steps.values[place]) for place in range(40)] == [
                places.count(place) for place in range(40)
            ]
            assert steps.values.sum() == (3 if split == "train" else 2)
    assert "all-mpnet-base-v2" in left.get_xlabel()


def test_faces_are_the_better_of_frame_and_search() -> None:
    with styled():
        (axes,) = face_figure(frame(), at(0.45), "MobileFaceNet").axes
    labels = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert labels == ["in the sampled frames (4)", "in the frames around them (1)", "threshold 0.45: 1 below"]
    assert "1 utterances without a face" in axes.get_xlabel()
    assert sum(bar.get_height() for bar in axes.patches) == 5


def test_reasons_in_the_papers_order_with_counts() -> None:
    reasons = pl.Series(["cosine", "no_face", None, "cosine", "composite", "unmeasured", None, None])
    with styled():
        (axes,) = reason_figure(reasons).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        REASONS[code] for code in ("composite", "cosine", "no_face", "unmeasured")
    ]
    assert words(axes) == ["1 (12.5 %)", "2 (25.0 %)", "1 (12.5 %)", "1 (12.5 %)"]
    assert axes.get_title(loc="left") == "Removed: 4 of 8 utterances"  # what was not measured was not removed
    assert axes.yaxis_inverted()


def test_shares_of_a_group() -> None:
    groups = pl.Series(["train"] * 4 + ["test"] * 2)
    with styled():
        (axes,) = group_figure(groups, judged()["reason"], "Removed by split", ["train", "test"]).axes
    assert bars(axes) == {0.0: 50.0, 1.0: 50.0}
    assert words(axes) == ["2 of 4", "1 of 2"]
    assert max(axes.get_xticks()) <= 100


def test_every_reason_has_a_colour_of_its_own() -> None:
    assert list(REASON_COLOURS) == list(REASONS)
    assert len(set(REASON_COLOURS.values())) == len(REASONS)


def test_all_figures_are_written_and_are_the_same_again(tmp_path: Path) -> None:
    first, second = (write_figures(tmp_path / name, measures(), judged(), CONFIG) for name in ("a", "b"))
    assert [path.name for path in first] == [f"{name}{end}" for name in FIGURES for end in (".png", ".svg")]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    import matplotlib

    assert matplotlib.rcParams["svg.hashsalt"] is None  # the user's own settings are as they were


def test_only_what_was_measured(tmp_path: Path) -> None:
    rows = frame().drop("^(alignment|match|offsetmatch)_.*$")
    written = write_figures(tmp_path, measures(rows), judged(), CONFIG)
    assert {path.stem for path in written} == set(FIGURES[2:])


def test_nothing_removed_and_nothing_measured(tmp_path: Path) -> None:
    rows = frame().with_columns(
        pl.lit(None, pl.Float32).alias(name) for name in ("alignment_cosine", "match_similarity")
    )
    nothing = judged().with_columns(reason=pl.lit(None, pl.String))
    assert len(write_figures(tmp_path, measures(rows), nothing, CONFIG)) == 2 * len(FIGURES)


@pytest.mark.parametrize("corpora", [1, 2])
def test_splits_of_several_corpora_are_told_apart(tmp_path: Path, corpora: int, monkeypatch) -> None:
    from extractors.quality import figures

    shown = {}
    monkeypatch.setattr(
        figures,
        "group_figure",
        lambda g, r, title, order: shown.update({title: order}) or group_figure(g, r, title, order),
    )
    rows = frame() if corpora == 1 else frame().with_columns(corpus=pl.Series(["d", *"ccccc"]))
    write_figures(tmp_path, measures(rows), judged(), CONFIG)
    assert shown["Removed by split"] == (
        ["train", "test"] if corpora == 1 else ["c train", "c test", "d train"]
    )
    assert shown["Removed by speaker: those who lose any"] == ["c/bob", "nobody in particular"]
    assert shown["Removed by emotion"] == [*(e for e in EMOTIONS if e in ("joy", "anger")), "no emotion"]
