"""Scores on corpora that were left out, and their mean."""

import pytest

from feature_repo.console import console
from feature_repo.files import FileLayer
from tests.trainers.planted_runs import planted_run
from trainers.runs.held_out import global_means, held_out_scores, held_out_table

N, J = "neutral", "joy"


def _runs(files: FileLayer, seeds: tuple[int, ...] = (0, 1)) -> list:
    """Corpus a has four rows and b one: the mean over corpora is not the mean over rows."""
    made = []
    for seed in seeds:
        hits = [N, N, N, J] if seed == 0 else [J, J, N, J]
        made += [
            planted_run(
                files,
                f"a{seed}",
                ids=["a/1", "a/2", "a/3", "a/4"],
                true=[N, N, N, J],
                predicted=hits,
                seed=seed,
                fold=0,
                folds=2,
                tested="a",
                test_texts_in_train=3,
            ),
            planted_run(
                files,
                f"b{seed}",
                ids=["b/1"],
                true=[N],
                predicted=[J],
                seed=seed,
                fold=1,
                folds=2,
                tested="b",
            ),
        ]
    return made


@pytest.fixture
def files(tmp_path):
    return FileLayer(str(tmp_path))


def test_each_corpus_counts_the_same_in_the_mean(files: FileLayer) -> None:
    found = held_out_scores(_runs(files))
    assert list(found) == ["a", "b"]
    assert {seed: scores.accuracy for seed, scores in found["a"].items()} == {0: 1.0, 1: 0.5}
    # (1 + 0) / 2 and (0.5 + 0) / 2; over rows it would be 4/5 and 2/5.
    assert global_means(found, "accuracy") == {0: 0.5, 1: 0.25}


def test_a_seed_that_lacks_a_corpus_has_no_mean(files: FileLayer) -> None:
    found = held_out_scores(_runs(files)[:3])
    assert list(global_means(found, "accuracy")) == [0]


def test_the_table_has_a_line_per_corpus_and_the_mean(
    files: FileLayer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 160)
    held_out_table(_runs(files))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (a,) = [line for line in lines if "a" in line and "4" in line]
    assert "3" in a  # of them with a text of train
    assert any({"mean", "over", "corpora", "0.3750"} <= set(line) for line in lines)


def test_runs_of_another_protocol_have_none(files: FileLayer, capsys: pytest.CaptureFixture[str]) -> None:
    held_out_table([planted_run(files, "a", ids=["u"], true=[N], predicted=[N])])
    assert capsys.readouterr().out == ""
    assert global_means({}, "uar") == {}
