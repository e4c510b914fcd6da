"""Paired comparison of two sets of runs on the same test rows: is one better than chance would make it?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainers.metrics import Counts, Shares
from trainers.runs.predictions import Predictions, same_rows

RESAMPLES = 9_999  # with the observed one 10,000, so that the least p is 1 in 10,000
LEVEL = 0.95
# Draws times rows that are held at once: tens of MiB.
_WEIGHTS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Difference:
    """One score of both sets on the rows that were compared.

    Attributes:
        first: the first set's score by seed.
        second: the second set's.
        low: lower end of the difference's interval.
        high: its upper end.
        p: chance of a difference at least as large, either way, if the two were alike.
        first_interval: of the first set's mean over its seeds.
        second_interval: of the second's.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    low: float
    high: float
    p: float
    first_interval: tuple[float, float]
    second_interval: tuple[float, float]

    @property
    def difference(self) -> float:
        """The second set's mean over its seeds less the first's: above 0 where the second is better."""
        return statistics.fmean(self.second) - statistics.fmean(self.first)


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    Attributes:
        rows: test rows that both were scored on.
        seeds: number of seeds of the first and of the second set.
        level: of the intervals.
        scores: by score's name.
        only_first: rows that the first set alone got right; None with several seeds.
        only_second: rows that the second set alone got right; None with several seeds.
        mcnemar: exact McNemar p-value of the accuracies; None with several seeds.
    """

    rows: int
    seeds: tuple[int, int]
    level: float
    scores: Mapping[str, Difference]
    only_first: int | None = None
    only_second: int | None = None
    mcnemar: float | None = None


def compare(
    first: Predictions,
    second: Predictions,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """Compare two sets of predictions by utterance.

    A set's score is the mean over its seeds. What is drawn again is the test rows, all seeds' predictions of a row
    together, so interval and p-value speak for other utterances of the same kind with *these* trained models; how much
    the models of a setting differ among themselves is what the deviation over seeds tells.

    Interval: paired percentile bootstrap (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13):
    rows drawn with replacement, the same for both sets; the inner ``level`` of the differences.

    p: paired approximate randomisation, two-sided (Noreen 1989; Yeh 2000, More accurate tests for the statistical
    significance of result differences): in each row the two sets' predictions change places with chance one half. Each
    seed of one set is paired with each of the other, so that their numbers may differ. The observed difference counts
    as one of the draws (Phipson and Smyth 2010), hence p is never 0.

    Args:
        first: predictions per seed.
        second: predictions per seed of the same rows (:func:`trainers.runs.predictions.common_rows` where they differ).
        resamples: draws for each of both.
        level: of the intervals, such as 0.95.
        seed: of the draws; the same seed gives the same numbers.

    Raises:
        BadInputError: rows, targets or classes that differ.
    """
    second = same_rows(first, second)
    counted = _Counted(first, second)
    drawn, swapped = np.random.default_rng(seed).spawn(2)
    resampled = _joined(counted.weighted(weights) for weights in _draws(drawn, len(first.ids), resamples))
    exchanged = _joined(counted.exchanged(swaps) for swaps in _swaps(swapped, len(first.ids), resamples))
    by_seed = [[reached.summary() for reached in each.scores()] for each in (first, second)]
    scores = {}
    for name in resampled:
        one, other = (tuple(summary[name] for summary in each) for each in by_seed)
        observed = abs(statistics.fmean(other) - statistics.fmean(one))
        ends = _ends(resampled[name][1] - resampled[name][0], level)
        by_chance = np.abs(exchanged[name][1] - exchanged[name][0])
        # Sums in another order differ in the last digits; what is equal to the observed counts as large.
        p = (int((by_chance >= observed - 1e-9).sum()) + 1) / (resamples + 1)
        own = (_ends(reached, level) for reached in resampled[name])
        scores[name] = Difference(one, other, *ends, p, *own)
    seeds = (len(first.seeds), len(second.seeds))
    told: dict[str, Any] = {}
    if seeds == (1, 1):
        right = [(each.predicted[0] == each.true) for each in (first, second)]
        told = dict(zip(("only_first", "only_second", "mcnemar"), mcnemar(*right), strict=True))
    return Comparison(len(first.ids), seeds, level, scores, **told)


def intervals(
    predictions: Predictions, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap interval of each score's mean over the seeds, rows drawn as :func:`compare` draws them.

    Args:
        predictions: of a row or more.
        resamples: draws.
        level: of the intervals.
        seed: of the draws; the same gives what ``compare`` of the same rows and seed says.
    """
    counted = _Counted(predictions, predictions)
    drawn, _ = np.random.default_rng(seed).spawn(2)
    reached = _joined(counted.weighted(weights) for weights in _draws(drawn, len(predictions.ids), resamples))
    return {name: _ends(own, level) for name, (own, _) in reached.items()}


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[int, int, float]:
    """Exact McNemar test of two classifiers on the same rows, two-sided.

    Of the rows that only one got right each is as likely the first's as the second's, if they are equally accurate:
    a binomial test (McNemar 1947; Dietterich 1998, Approximate statistical tests, section 3.1).

    Args:
        first: whether the first was right ``[rows]``.
        second: whether the second was right ``[rows]``.

    Returns:
        Rows that only the first got right, that only the second did, and p; p is 1 where they never differ.
    """
    from scipy.stats import binomtest  # a second, and only a comparison needs it

    one, other = np.asarray(first, bool), np.asarray(second, bool)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    apart = only_first + only_second
    return only_first, only_second, float(binomtest(only_first, apart).pvalue) if apart else 1.0


def mean_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float | None]:
    """Mean over seeds, and how far its interval reaches to either side.

    Student's t interval of a mean with unknown deviation (Student 1908): with 3 seeds it is 4.3 standard errors wide to
    a side, with 5 it is 2.8.

    Args:
        values: a score per seed.
        level: of the interval.

    Returns:
        The mean, and half the interval's width; None of one seed, which says nothing of the spread.
    """
    from scipy.stats import t

    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    error = statistics.stdev(values) / math.sqrt(len(values))
    return mean, float(t.ppf((1 + level) / 2, len(values) - 1)) * error


def _ends(reached: Shares, level: float) -> tuple[float, float]:
    low, high = np.quantile(reached, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


_BySet = dict[str, tuple[Shares, Shares]]


class _Counted:
    """Both sets' hits and predictions by row, so that a draw's counts are one matrix product."""

    def __init__(self, first: Predictions, second: Predictions) -> None:
        self.classes = len(first.classes)
        self.seeds = (len(first.seeds), len(second.seeds))
        eye = np.eye(self.classes, dtype=np.float32)
        columns = [eye[first.true]]
        for each in (first, second):
            for predicted in each.predicted:
                columns += [eye[first.true] * (predicted == first.true)[:, None], eye[predicted]]
        self.columns = np.concatenate(columns, axis=1)

    def weighted(self, weights: npt.NDArray[np.float32]) -> _BySet:
        """Mean scores of both sets, ``[draws]`` each, where row ``j`` counts ``weights[:, j]`` times."""
        return _means(*self._sums(weights))

    def exchanged(self, swaps: npt.NDArray[np.float32]) -> _BySet:
        """Mean scores of both sets, ``[draws]`` each, after they changed places where ``swaps [draws, rows]`` is 1."""
        whole = np.ones((1, swaps.shape[1]), np.float32)
        support, one, other = self._sums(whole)
        _, moved_one, moved_other = self._sums(swaps)
        # Each seed of one set beside each of the other, ``[draws, seeds, seeds, 2, classes]``.
        first = (one - moved_one)[:, :, None] + moved_other[:, None]
        second = (other - moved_other)[:, None] + moved_one[:, :, None]
        pairs = (len(swaps), -1, 2, self.classes)
        return _means(support, first.reshape(pairs), second.reshape(pairs))

    def _sums(self, weights: npt.NDArray[np.float32]) -> tuple[Shares, Shares, Shares]:
        """Rows by class ``[draws, classes]``, and per set ``[draws, seeds, 2 (hits, predictions), classes]``."""
        # Whole numbers below 2^24, so float32 adds them exactly.
        sums = (weights @ self.columns).astype(np.float64)
        support, rest = sums[:, : self.classes], sums[:, self.classes :]
        by_seed = rest.reshape(len(weights), -1, 2, self.classes)
        return support, by_seed[:, : self.seeds[0]], by_seed[:, self.seeds[0] :]


def _means(support: Shares, first: Shares, second: Shares) -> _BySet:
    reached = _scores(support, first), _scores(support, second)
    return {name: (reached[0][name].mean(axis=1), reached[1][name].mean(axis=1)) for name in reached[0]}


def _scores(support: Shares, sums: Shares) -> dict[str, Shares]:
    """The scores of :class:`trainers.metrics.Scores` for many counts at once: ``[draws, seeds]`` by name."""
    rows = support[:, None]
    hits, predictions = sums[:, :, 0], sums[:, :, 1]
    present = rows > 0
    recall = np.divide(hits, rows, out=np.zeros(hits.shape), where=present)
    f1 = np.divide(2 * hits, rows + predictions, out=np.zeros(hits.shape), where=present)
    every, classes = rows.sum(axis=2), present.sum(axis=2)
    return {
        "accuracy": hits.sum(axis=2) / every,
        "weighted_f1": (f1 * rows).sum(axis=2) / every,
        "macro_f1": f1.sum(axis=2) / classes,
        "uar": recall.sum(axis=2) / classes,
    }


def _draws(random: np.random.Generator, rows: int, resamples: int) -> Iterator[npt.NDArray[np.float32]]:
    """How often each row is drawn, ``[draws, rows]`` at a time."""
    for draws in _shares_of(resamples, rows):
        drawn = random.integers(0, rows, (draws, rows)) + rows * np.arange(draws)[:, None]
        counts: Counts = np.bincount(drawn.ravel(), minlength=draws * rows)
        yield counts.reshape(draws, rows).astype(np.float32)


def _swaps(random: np.random.Generator, rows: int, resamples: int) -> Iterator[npt.NDArray[np.float32]]:
    """Which rows change places, ``[draws, rows]`` at a time."""
    for draws in _shares_of(resamples, rows):
        yield random.integers(0, 2, (draws, rows), np.uint8).astype(np.float32)


def _shares_of(resamples: int, rows: int) -> Iterator[int]:
    at_once = max(1, _WEIGHTS_AT_ONCE // max(1, rows))
    for start in range(0, resamples, at_once):
        yield min(at_once, resamples - start)


def _joined(parts: Iterator[_BySet]) -> _BySet:
    every = list(parts)
    return {
        name: (
            np.concatenate([part[name][0] for part in every]),
            np.concatenate([part[name][1] for part in every]),
        )
        for name in every[0]
    }
