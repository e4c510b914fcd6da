"""The paired comparison against brute force: every draw and every exchange of a few rows, scored by scikit-learn."""

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from trainers.runs import comparison
from trainers.runs.comparison import compare, intervals, mcnemar, mean_interval
from trainers.runs.predictions import Predictions

CLASSES = ("neutral", "joy", "anger")


def predictions(name: str, true: list[int], *predicted: list[int]) -> Predictions:
    ids = tuple(f"u{row:04}" for row in range(len(true)))
    return Predictions(name, ids, np.array(true), np.array(predicted), CLASSES, tuple(range(len(predicted))))


def scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    labels = np.unique(true)
    _, recall, f1, support = precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    return {
        "accuracy": float((true == predicted).mean()),
        "weighted_f1": float(np.average(f1, weights=support)),
        "macro_f1": float(f1.mean()),
        "uar": float(recall.mean()),
    }


def mean_scores(true: np.ndarray, seeds: np.ndarray) -> dict[str, float]:
    each = [scores(true, predicted) for predicted in seeds]
    return {name: float(np.mean([one[name] for one in each])) for name in each[0]}


FIRST = predictions("A", [0, 0, 1, 1, 2], [0, 1, 1, 0, 0], [0, 0, 0, 0, 2])
SECOND = predictions("B", [0, 0, 1, 1, 2], [0, 0, 1, 0, 2])


def test_scores_are_the_means_over_seeds() -> None:
    found = compare(FIRST, SECOND, resamples=10)
    assert (found.rows, found.seeds) == (5, (2, 1))
    for name, score in found.scores.items():
        ours, theirs = (
            [scores(each.true, seed)[name] for seed in each.predicted] for each in (FIRST, SECOND)
        )
        assert score.first == pytest.approx(ours)
        assert score.second == pytest.approx(theirs)
        assert score.difference == pytest.approx(theirs[0] - (ours[0] + ours[1]) / 2)


def test_the_interval_is_of_all_resamples_of_the_rows() -> None:
    """Each of the 5^5 resamples is as likely; the ends must lie where the exact distribution passes 10 and 90 %."""
    every, likely = [], []
    for drawn in itertools.combinations_with_replacement(range(5), 5):
        rows = np.array(drawn)
        a, b = (mean_scores(each.true[rows], each.predicted[:, rows]) for each in (FIRST, SECOND))
        every.append({name: b[name] - a[name] for name in a})
        orders = math.factorial(5) / math.prod(math.factorial(drawn.count(row)) for row in range(5))
        likely.append(orders / 5**5)
    assert sum(likely) == pytest.approx(1)
    found = compare(FIRST, SECOND, resamples=20_000, level=0.8)
    for name, score in found.scores.items():
        exact, weight = np.array([one[name] for one in every]), np.array(likely)
        for end, share in ((score.low, 0.1), (score.high, 0.9)):
            assert weight[exact < end - 1e-9].sum() <= share + 0.01
            assert weight[exact <= end + 1e-9].sum() >= share - 0.01
        assert score.low < score.high


def test_each_sets_own_interval_is_of_all_resamples_too() -> None:
    likely: list[float] = []
    every: list[list[dict[str, float]]] = [[], []]
    for drawn in itertools.combinations_with_replacement(range(5), 5):
        rows = np.array(drawn)
        for own, each in zip(every, (FIRST, SECOND), strict=True):
            own.append(mean_scores(each.true[rows], each.predicted[:, rows]))
        likely.append(
            math.factorial(5) / math.prod(math.factorial(drawn.count(row)) for row in range(5)) / 5**5
        )
    found = compare(FIRST, SECOND, resamples=20_000, level=0.8)
    assert intervals(FIRST, resamples=20_000, level=0.8) == {
        name: score.first_interval for name, score in found.scores.items()
    }
    for name, score in found.scores.items():
        for own, ends in zip(every, (score.first_interval, score.second_interval), strict=True):
            exact, weight = np.array([one[name] for one in own]), np.array(likely)
            for end, share in zip(ends, (0.1, 0.9), strict=True):
                assert weight[exact < end - 1e-9].sum() <= share + 0.01
                assert weight[exact <= end + 1e-9].sum() >= share - 0.01


def test_p_is_of_all_exchanges_of_the_rows() -> None:
    """Each of the 2^7 exchanges is as likely; every seed of one set is beside every seed of the other."""
    true = [0, 0, 0, 1, 1, 2, 2]
    first = predictions("A", true, [0, 1, 1, 0, 0, 2, 0], [0, 0, 1, 0, 1, 0, 0])
    second = predictions("B", true, [0, 0, 0, 1, 0, 2, 2])
    truth = np.array(true)

    def apart(exchange: np.ndarray) -> dict[str, float]:
        both = []
        for one, other in itertools.product(first.predicted, second.predicted):
            a = scores(truth, np.where(exchange, other, one))
            b = scores(truth, np.where(exchange, one, other))
            both.append({name: b[name] - a[name] for name in a})
        return {name: float(np.mean([each[name] for each in both])) for name in both[0]}

    observed = apart(np.zeros(7, bool))
    every = [apart(np.array(which)) for which in itertools.product((False, True), repeat=7)]
    found = compare(first, second, resamples=20_000)
    for name, score in found.scores.items():
        exact = np.mean([abs(one[name]) >= abs(observed[name]) - 1e-9 for one in every])
        assert score.difference == pytest.approx(observed[name])
        assert score.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)
        assert 0 < score.p < 1


def test_the_interval_of_many_rows_is_the_normal_one() -> None:
    """For accuracy the bootstrap's deviation is that of a mean of differences: sqrt(var / rows)."""
    random = np.random.default_rng(3)
    true = random.integers(0, 3, 3000)
    said = [np.where(random.random(3000) < share, true, (true + 1) % 3) for share in (0.60, 0.63)]
    first, second = (predictions(name, true, one) for name, one in zip("AB", said, strict=True))
    found = compare(first, second).scores["accuracy"]
    apart = (said[1] == true).astype(float) - (said[0] == true)
    error = 1.959964 * np.sqrt(apart.var() / 3000)
    assert found.low == pytest.approx(apart.mean() - error, abs=0.001)
    assert found.high == pytest.approx(apart.mean() + error, abs=0.001)
    assert (found.p < 0.05) == (found.low > 0)


def test_the_order_of_the_two_only_turns_the_sign() -> None:
    there, back = compare(FIRST, SECOND, resamples=500), compare(SECOND, FIRST, resamples=500)
    for name, score in there.scores.items():
        assert back.scores[name].difference == pytest.approx(-score.difference)
        assert back.scores[name].low == pytest.approx(-score.high)
        assert back.scores[name].p == pytest.approx(score.p)


def test_alike_is_no_difference_and_p_1() -> None:
    found = compare(FIRST, FIRST, resamples=100)
    for score in found.scores.values():
        assert (score.difference, score.low, score.high, score.p) == (0, 0, 0, 1)


def test_the_least_p_is_one_in_all_draws() -> None:
    true = [0, 1] * 60
    right, wrong = predictions("A", true, true), predictions("B", true, [2] * 120)
    found = compare(wrong, right, resamples=99)
    assert found.scores["accuracy"].p == 1 / 100
    assert (found.only_first, found.only_second) == (0, 120)


@pytest.mark.parametrize("at_once", [1, 13, 1 << 22])
def test_the_draws_held_at_once_change_nothing_but_memory(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three rows differ, each by half a hit; all three the same way in 2 of 8 exchanges."""
    monkeypatch.setattr(comparison, "_WEIGHTS_AT_ONCE", at_once)
    found = compare(FIRST, SECOND, resamples=2000).scores["accuracy"]
    assert found.p == pytest.approx(0.25, abs=0.04)
    assert found.p * 2001 == pytest.approx(round(found.p * 2001))


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert compare(FIRST, SECOND, resamples=200) == compare(FIRST, SECOND, resamples=200)
    assert compare(FIRST, SECOND, resamples=200) != compare(FIRST, SECOND, resamples=200, seed=1)


def test_mcnemar_by_hand() -> None:
    """One row that only the first got right, six that only the second did: 2 (C(7,0) + C(7,1)) / 2^7."""
    first = [True] * 5 + [True] + [False] * 6 + [False] * 3
    second = [True] * 5 + [False] + [True] * 6 + [False] * 3
    assert mcnemar(first, second) == (1, 6, pytest.approx(16 / 128))
    assert mcnemar([True, False], [True, False]) == (0, 0, 1.0)
    one, other = predictions("A", [0, 1, 2], [0, 1, 0]), predictions("B", [0, 1, 2], [0, 2, 2])
    found = compare(one, other, resamples=10)
    assert (found.only_first, found.only_second, found.mcnemar) == (1, 1, 1.0)
    assert compare(FIRST, SECOND, resamples=10).mcnemar is None  # which seeds would it pair?


def test_students_interval_of_a_mean() -> None:
    """Deviation 0.1 over sqrt(3), times 4.302653: the 97.5 % point of t with 2 degrees, of any printed table."""
    mean, half = mean_interval([0.5, 0.6, 0.7])
    assert mean == pytest.approx(0.6)
    assert half == pytest.approx(0.1 / np.sqrt(3) * 4.302653, rel=1e-6)
    assert mean_interval([0.5, 0.6, 0.7], level=0.9)[1] == pytest.approx(
        0.1 / np.sqrt(3) * 2.919986, rel=1e-6
    )
    assert mean_interval([0.4]) == (0.4, None)
