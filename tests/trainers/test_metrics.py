"""Scores against scikit-learn over a grid of sizes, classes and absences."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from trainers.metrics import confusion_matrix, score

NAMES = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")


@pytest.mark.parametrize("rows", [1, 7, 500])
@pytest.mark.parametrize("classes", [2, 4, 7])
@pytest.mark.parametrize(
    "absent", [(), (0,), (1,)]
)  # classes that the truth lacks, though they may be predicted
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_equal_scikit_learn_over_the_classes_present(
    rows: int, classes: int, absent: tuple[int, ...], seed: int
) -> None:
    random = np.random.default_rng(seed)
    true = random.choice([index for index in range(classes) if index not in absent], rows)
    predicted = np.where(random.random(rows) < 0.4, true, random.integers(0, classes, rows))
    present = np.unique(true)
    got = score(true, predicted, NAMES[:classes])

    precision, recall, f1, support = reference.precision_recall_fscore_support(
        true, predicted, labels=present, zero_division=0
    )
    assert got.accuracy == pytest.approx(reference.accuracy_score(true, predicted))
    assert got.weighted_f1 == pytest.approx(
        reference.f1_score(true, predicted, labels=present, average="weighted", zero_division=0)
    )
    assert got.macro_f1 == pytest.approx(
        reference.f1_score(true, predicted, labels=present, average="macro", zero_division=0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of predicted classes that the truth lacks
        assert got.uar == pytest.approx(reference.balanced_accuracy_score(true, predicted))
    assert (got.confusion == reference.confusion_matrix(true, predicted, labels=range(classes))).all()
    told = got.per_class()
    assert list(told) == [NAMES[index] for index in present]
    for index, name in enumerate(told):
        assert told[name]["recall"] == pytest.approx(recall[index])
        assert told[name]["precision"] == pytest.approx(precision[index])
        assert told[name]["f1"] == pytest.approx(f1[index])
        assert told[name]["support"] == support[index]


def test_a_class_without_rows_is_nan_and_enters_no_mean() -> None:
    got = score([0, 0, 1, 1], [0, 2, 1, 1], NAMES[:3])
    assert np.isnan([got.recall[2], got.precision[2], got.f1[2]]).all()
    assert got.uar == 0.75
    assert got.macro_f1 == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize(
    ("true", "predicted"), [([0, 1], [0]), ([0, 3], [0, 0]), ([0, 0], [0, -1]), ([[0]], [[0]])]
)
def test_shapes_that_differ_and_classes_that_do_not_exist_are_refused(
    true: object, predicted: object
) -> None:
    with pytest.raises(ValueError, match=r"one-dimensional|allowed: 0 to 2"):
        confusion_matrix(true, predicted, 3)  # type: ignore[arg-type]
