"""Figures of runs, read off the artists that draw them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.files import FileLayer
from feature_repo.plot_style import styled
from tests.trainers.planted_runs import planted_run
from trainers.runs.figures import confusion_figure, curves_figure, per_class_figure, write_run_figures
from trainers.runs.groups import RunGroup, group_runs
from trainers.runs.run import finished_runs

# Nobody is angry in the test rows. True -> predicted of each seed.
TRUE = ["neutral"] * 4 + ["joy"] * 2
SAID = (
    ["neutral", "neutral", "neutral", "joy", "joy", "anger"],
    ["neutral", "neutral", "neutral", "neutral", "joy", "joy"],
)


@pytest.fixture
def group(tmp_path: Path) -> RunGroup:
    files = FileLayer(str(tmp_path))
    for seed, said in enumerate(SAID):
        planted_run(
            files, f"a{seed}", ids=[f"u{row}" for row in range(6)], true=TRUE, predicted=said, seed=seed
        )
    (found,) = group_runs(finished_runs(files))
    return found


def test_confusion_has_shares_of_the_true_class_and_mean_counts(group: RunGroup) -> None:
    with styled():
        axes, bar = confusion_figure(group).axes
    shares = np.asarray(axes.images[0].get_array())
    assert shares == pytest.approx(np.array([[7 / 8, 1 / 8, 0], [0, 3 / 4, 1 / 4]]))
    words = [text.get_text() for text in axes.texts]
    assert words == ["87.5\n3.5", "12.5\n0.5", "0.0\n0", "0.0\n0", "75.0\n1.5", "25.0\n0.5"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["neutral (4)", "joy (2)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["neutral", "joy", "anger"]
    # Recalls 3/4, 1/2 and 1, 1: UAR is 0.625 and 1; accuracy 4/6 and 1.
    heading = axes.get_title(loc="left")
    assert "accuracy 83.3 %" in heading
    assert "UAR 81.2 %,\nmean of 2 seeds" in heading  # three classes are too narrow for one line
    assert "%" in bar.get_ylabel()


def test_words_are_white_on_dark_cells(group: RunGroup) -> None:
    with styled():
        axes = confusion_figure(group).axes[0]
    assert [text.get_color() for text in axes.texts][:2] == ["white", "#000000"]


def test_curves_of_each_seed_with_the_kept_epoch(group: RunGroup) -> None:
    with styled():
        figure = curves_figure(group)
    losses, scores, rates = figure.axes
    training, validation, mark, *_ = losses.get_lines()
    assert list(training.get_ydata()) == [1.2, 0.9, 0.7]
    assert list(validation.get_ydata()) == [1.1, 0.95, 1.0]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([2], [0.95])
    assert list(scores.get_lines()[0].get_ydata()) == [
        0.35,
        0.58,
        0.5,
    ]  # weighted F1, which the settings select on
    assert scores.get_ylabel() == "validation weighted F1"
    assert list(rates.get_lines()[0].get_ydata()) == [1e-3, 1e-3, 1e-4]
    assert len(rates.get_lines()) == 2
    assert len({line.get_color() for line in rates.get_lines()}) == 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["training loss", "validation", "kept", "seed 0", "seed 1"]


def test_what_is_validated_by_steps_is_drawn_along_them(group: RunGroup) -> None:
    run = group.first
    table = run.epochs().with_columns(step=pl.Series([50, 100, 150]))
    run.files.write(f"runs/{run.key}/epochs.csv", table.write_csv().encode())
    with styled():
        losses, _, rates = curves_figure(RunGroup(run.key, (run,))).axes
    assert list(losses.get_lines()[0].get_xdata()) == [50, 100, 150]
    assert list(losses.get_lines()[2].get_xdata()) == [100]
    assert rates.get_xlabel() == "step"


def test_scores_per_class_are_means_with_a_deviation(group: RunGroup) -> None:
    with styled():
        recall, precision, _ = per_class_figure([group]).axes
    assert [bar.get_height() for bar in recall.patches] == pytest.approx([7 / 8, 3 / 4])
    assert [bar.get_height() for bar in precision.patches] == pytest.approx([1, 3 / 4])  # 1/2 and 1 of joy
    (whiskers,) = recall.collections
    ends = [segment[:, 1] for segment in whiskers.get_segments()]
    assert ends[0] == pytest.approx([7 / 8 - 0.1767767, 7 / 8 + 0.1767767])  # 3/4 and 1: 0.25 / sqrt 2
    labels = [label.get_text() for label in per_class_figure([group]).axes[-1].get_xticklabels()]
    assert labels == ["neutral\n4", "joy\n2"]


def test_several_groups_stand_side_by_side(group: RunGroup) -> None:
    single = RunGroup("a0", group.runs[:1])
    with styled():
        figure = per_class_figure([single, group])
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx([3 / 4, 1 / 2, 7 / 8, 3 / 4])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "mlp on text, toy (a0)",
        "mlp on text, toy (000000000000)",
    ]


def test_files_are_named_after_the_group_and_the_same_again(group: RunGroup, tmp_path: Path) -> None:
    first, second = (write_run_figures([group], tmp_path / name, ["svg"]) for name in "ab")
    assert [path.name for path in first] == [
        f"{name}_000000000000.svg" for name in ("confusion", "curves", "per_class")
    ]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_group_without_a_whole_seed_has_its_curves_alone(group: RunGroup, tmp_path: Path) -> None:
    files = FileLayer(str(tmp_path / "other"))
    for place in (0, 1):
        planted_run(
            files, f"b{place}", ids=["u"], true=["joy"], predicted=["joy"], seed=place, fold=place, folds=2
        )
    (found,) = group_runs(finished_runs(files))
    assert [path.stem for path in write_run_figures([found], tmp_path / "drawn")] == ["curves_000000000000"]
