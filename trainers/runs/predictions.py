"""The test predictions of a set of runs, seed by seed, in one order of utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError
from trainers.metrics import Scores, score
from trainers.runs.run import Run


@dataclass(frozen=True)
class Predictions:
    """What a set of runs predicted for its test rows; the folds of a seed are one prediction of all their rows.

    Attributes:
        name: what the set is called in an error.
        ids: utterances ``[rows]``, sorted.
        true: class indices ``[rows]``.
        predicted: class indices ``[seeds, rows]``.
        classes: names of the classes, in the order of their indices.
        seeds: the seeds, ascending.
    """

    name: str
    ids: tuple[str, ...]
    true: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    seeds: tuple[int, ...]

    def scores(self) -> list[Scores]:
        """Scores per seed."""
        return [score(self.true, predicted, self.classes) for predicted in self.predicted]

    def among(self, ids: pl.Series) -> Predictions:
        """The same of these utterances alone.

        Raises:
            BadInputError: none of them is tested.
        """
        rows = np.flatnonzero(pl.Series(self.ids).is_in(ids.implode()).to_numpy())
        if not len(rows):
            raise BadInputError(f"{self.name}: none of these {len(ids)} utterances is a test row of it")
        return self.only(rows)

    def only(self, rows: npt.NDArray[np.int64]) -> Predictions:
        """The same of these rows alone, by their indices."""
        ids = tuple(self.ids[row] for row in rows)
        return Predictions(self.name, ids, self.true[rows], self.predicted[:, rows], self.classes, self.seeds)


def predictions_of(runs: Sequence[Run], name: str) -> Predictions:
    """Gather the test predictions of runs that are one setting's seeds and folds.

    Args:
        runs: one per seed and fold.
        name: what the set is called in an error.

    Raises:
        BadInputError: no run, an utterance that two runs of a seed test, seeds that test other rows than each other,
            or runs of other classes or targets.
    """
    if not runs:
        raise BadInputError(f"{name}: no runs to compare")
    classes = tuple(runs[0].record["classes"])
    by_seed: dict[int, list[Run]] = {}
    for run in runs:
        if set(run.record["classes"]) != set(classes):
            raise BadInputError(_classes_differ(runs[0].key, classes, run.key, run.record["classes"]))
        by_seed.setdefault(run.record["seed"], []).append(run)
    frames = {seed: _of_seed(seed, by_seed[seed], name) for seed in sorted(by_seed)}
    first, *others = frames
    for seed in others:
        if difference := _rows_differ(
            frames[first]["utterance_id"], frames[seed]["utterance_id"], f"seed {first}", f"seed {seed}"
        ):
            raise BadInputError(f"{name}: {difference}; allowed: seeds with the same folds")
        if not frames[first]["true"].equals(frames[seed]["true"]):
            raise BadInputError(f"{name}: seed {first} and seed {seed} have other targets for the same rows")
    number = {emotion: index for index, emotion in enumerate(classes)}

    def indices(column: pl.Series) -> npt.NDArray[np.int64]:
        return np.array([number[emotion] for emotion in column], np.int64)

    predicted = np.stack([indices(frame["predicted"]) for frame in frames.values()])
    ids = tuple(frames[first]["utterance_id"])
    return Predictions(name, ids, indices(frames[first]["true"]), predicted, classes, tuple(frames))


def common_rows(sets: Sequence[Predictions]) -> list[Predictions]:
    """Each of them on the rows that all have.

    Raises:
        BadInputError: there is no such row.
    """
    shared = sorted(set.intersection(*(set(each.ids) for each in sets)))
    if not shared:
        raise BadInputError(f"{', '.join(each.name for each in sets)} have no test row in common")
    return [each.only(np.searchsorted(each.ids, shared)) for each in sets]


def same_rows(first: Predictions, second: Predictions) -> Predictions:
    """The second in the first's numbering of classes.

    Raises:
        BadInputError: rows, targets or classes that differ.
    """
    if set(first.classes) != set(second.classes):
        raise BadInputError(_classes_differ(first.name, first.classes, second.name, second.classes))
    if difference := _rows_differ(pl.Series(first.ids), pl.Series(second.ids), first.name, second.name):
        raise BadInputError(
            f"{difference}; allowed: runs of the same test rows, or only the rows that all have (--common)"
        )
    renumbered = np.array([first.classes.index(name) for name in second.classes])
    true = renumbered[second.true]
    if len(wrong := np.flatnonzero(true != first.true)):
        row = int(wrong[0])
        raise BadInputError(
            f"{first.name} and {second.name} have other targets for {len(wrong)} rows, such as {first.ids[row]!r}:"
            f" {first.classes[first.true[row]]} and {first.classes[true[row]]}; allowed: runs of the same labels"
        )
    return Predictions(
        second.name, second.ids, true, renumbered[second.predicted], first.classes, second.seeds
    )


def _of_seed(seed: int, runs: Sequence[Run], name: str) -> pl.DataFrame:
    columns = ("utterance_id", "true", "predicted")
    frame = pl.concat([run.predictions().select(columns) for run in runs]).sort("utterance_id")
    twice = frame.filter(pl.col("utterance_id").is_duplicated())["utterance_id"]
    if len(twice):
        keys = ", ".join(run.key for run in runs)
        raise BadInputError(
            f"{name}: of seed {seed} the runs {keys} test {twice[0]!r} twice; allowed: one run for each seed and fold"
            " of the same settings"
        )
    return frame


def _classes_differ(one: str, its: Sequence[str], other: str, others: Sequence[str]) -> str:
    return f"{one} has the classes {', '.join(its)}, {other} has {', '.join(others)}; allowed: runs of the same labels"


def _rows_differ(one: pl.Series, other: pl.Series, name: str, other_name: str) -> str | None:
    """What differs, in words; None where both have the same rows."""
    left, right = set(one), set(other)
    if left == right:
        return None
    told = f"{name} tests {len(left)} rows, {other_name} {len(right)}, and {len(left & right)} are in both"
    for mine, yours, who in ((left, right, name), (right, left, other_name)):
        if mine - yours:
            return f"{told} ({min(mine - yours)!r} is only in {who})"
    raise AssertionError("unreachable")
