"""Test predictions of several runs in one order, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer
from tests.trainers.planted_runs import planted_run
from trainers.runs.predictions import common_rows, predictions_of, same_rows

TRUE = {"u0": "joy", "u1": "anger", "u2": "neutral", "u3": "joy"}


@pytest.fixture
def files(tmp_path: Path) -> FileLayer:
    return FileLayer(str(tmp_path))


def run(files: FileLayer, key: str, predicted: dict[str, str], **options):
    truth = options.pop("truth", TRUE)
    return planted_run(
        files, key, ids=list(predicted), true=[truth[name] for name in predicted],
        predicted=list(predicted.values()), **options,
    )  # fmt: skip


def test_folds_are_one_prediction_and_seeds_are_rows_of_the_same_order(files: FileLayer) -> None:
    runs = [
        run(files, "b1", {"u3": "joy", "u1": "joy"}, seed=7, fold=1, folds=2),
        run(files, "a1", {"u2": "neutral", "u0": "anger"}, seed=2, fold=1, folds=2),
        run(files, "b0", {"u0": "joy", "u2": "joy"}, seed=7, fold=0, folds=2),
        run(files, "a0", {"u1": "anger", "u3": "neutral"}, seed=2, fold=0, folds=2),
    ]
    found = predictions_of(runs, "all")
    assert found.seeds == (2, 7)
    assert found.ids == ("u0", "u1", "u2", "u3")
    names = [[found.classes[index] for index in row] for row in found.predicted]
    assert names == [["anger", "anger", "neutral", "neutral"], ["joy", "joy", "joy", "joy"]]
    assert [found.classes[index] for index in found.true] == list(TRUE.values())
    assert [scores.accuracy for scores in found.scores()] == [0.5, 0.5]


def test_an_utterance_is_tested_once_a_seed(files: FileLayer) -> None:
    runs = [run(files, key, {"u0": "joy"}) for key in ("a", "b")]
    with pytest.raises(BadInputError, match="of seed 0 the runs a, b test 'u0' twice"):
        predictions_of(runs, "both")


def test_seeds_of_other_folds_are_refused(files: FileLayer) -> None:
    runs = [run(files, "a", {"u0": "joy", "u1": "joy"}, seed=0), run(files, "b", {"u0": "joy"}, seed=1)]
    with pytest.raises(
        BadInputError, match="both: seed 0 tests 2 rows, seed 1 1, and 1 are in both .'u1' is only in"
    ):
        predictions_of(runs, "both")
    with pytest.raises(BadInputError, match="no runs"):
        predictions_of([], "none")


def test_rows_that_differ_are_named_and_the_common_ones_taken_on_request(files: FileLayer) -> None:
    one = predictions_of([run(files, "a", {"u0": "joy", "u1": "anger", "u2": "joy"})], "A")
    other = predictions_of([run(files, "b", {"u2": "anger", "u3": "joy", "u0": "neutral"})], "B")
    with pytest.raises(BadInputError) as refused:
        same_rows(one, other)
    assert "A tests 3 rows, B 3, and 2 are in both ('u1' is only in A)" in str(refused.value)
    assert "--common" in str(refused.value)
    left, right = common_rows([one, other])
    assert left.ids == right.ids == ("u0", "u2")
    assert [left.classes[index] for index in left.predicted[0]] == ["joy", "joy"]
    assert [right.classes[index] for index in right.predicted[0]] == ["neutral", "anger"]
    with pytest.raises(BadInputError, match="A, B, C have no test row in common"):
        common_rows([one, other, predictions_of([run(files, "c", {"u1": "joy"})], "C")])


def test_the_same_classes_in_another_order_are_renumbered(files: FileLayer) -> None:
    said = {"u0": "anger", "u1": "anger", "u2": "joy", "u3": "joy"}
    one = predictions_of([run(files, "a", said)], "A")
    other = predictions_of([run(files, "b", said, classes=("joy", "anger", "neutral"))], "B")
    assert not np.array_equal(one.true, other.true)
    right = same_rows(one, other)
    assert right.classes == one.classes
    assert np.array_equal(one.true, right.true)
    assert np.array_equal(one.predicted, right.predicted)


def test_other_classes_and_other_targets_are_refused(files: FileLayer) -> None:
    one = predictions_of([run(files, "a", {"u0": "joy"})], "A")
    four = run(files, "b", {"u0": "joy"}, classes=("joy", "sadness"))
    with pytest.raises(BadInputError, match="A has the classes neutral, joy, anger, B has joy, sadness"):
        same_rows(one, predictions_of([four], "B"))
    moved = run(files, "c", {"u0": "joy"}, truth={"u0": "anger"}, seed=1)
    with pytest.raises(BadInputError, match="other targets for 1 rows, such as 'u0': joy and anger"):
        same_rows(one, predictions_of([moved], "C"))
    with pytest.raises(BadInputError, match="other targets"):
        predictions_of([run(files, "d", {"u0": "joy"}), moved], "mixed")
    with pytest.raises(BadInputError, match="b has joy, sadness"):
        predictions_of([run(files, "e", {"u0": "joy"}), four], "mixed")
