"""Runs that differ in nothing but seed and fold: one setting, of which each seed is a draw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.files import FileLayer
from feature_repo.recipe import digest
from trainers.metrics import Scores
from trainers.runs.predictions import Predictions, predictions_of
from trainers.runs.run import Run, finished_run, finished_runs

# What of a record tells settings apart, in the order in which a table shows it; then each entry of `settings`.
_TOLD = (
    *("trainer", "base", "slots", "views", "corpora", "labels", "verdict", "join"),
    *("train_corpora", "train_on", "row_weights", "start"),
    *("protocol", "split", "folds", "snapshot", "code_version", "parameters"),
)


@dataclass(frozen=True)
class RunGroup:
    """Runs of one setting, or a single run that was asked for by its own key.

    Attributes:
        name: the group's digest, which the command line takes; a single run's key.
        runs: by seed, then fold.
    """

    name: str
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """Any of the runs, for what they have in common."""
        return self.runs[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of the confusion matrix."""
        return tuple(self.first.record["classes"])

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that any seed has, ascending."""
        return tuple(sorted({run.record["fold"] for run in self.runs}))

    @property
    def whole(self) -> tuple[Run, ...]:
        """The runs of the seeds that have all those folds: their scores are of the same rows."""
        by_seed: dict[int, set[int]] = {}
        for run in self.runs:
            by_seed.setdefault(run.record["seed"], set()).add(run.record["fold"])
        seeds = {seed for seed, folds in by_seed.items() if folds == set(self.folds)}
        return tuple(run for run in self.runs if run.record["seed"] in seeds)

    @cached_property
    def by_seed(self) -> dict[int, Scores]:
        """Test scores of each whole seed, its folds' predictions taken together."""
        counts: dict[int, Any] = {}
        for run in self.whole:
            seed = run.record["seed"]
            counts[seed] = counts.get(seed, 0) + np.array(run.record["confusion"], np.int64)
        return {seed: Scores(each, self.classes) for seed, each in counts.items()}

    def score(self, name: str) -> list[float]:
        """A test score of each whole seed."""
        return [float(getattr(scores, name)) for scores in self.by_seed.values()]

    def settings(self) -> dict[str, Any]:
        """What tells one group from another: data, model and each setting, as plain values."""
        record = self.first.record
        told = {name: record[name] for name in _TOLD if name in record}
        if "verdict" in told:
            told["verdict"] = record["verdict"]["name"]  # its thresholds and ids are of that name
        for name in ("train_on", "row_weights"):
            if name in told:
                told[name] = record[name]["name"]
        if "start" in told:  # another run of it for each seed
            begun = finished_run(self.first.files, told["start"])
            told["start"] = told["start"] if begun is None else group_name(begun)
        return told | run_values(self.first)

    def predictions(self) -> Predictions:
        """Test predictions of the whole seeds.

        Raises:
            BadInputError: no seed has all folds.
        """
        if not self.whole:
            raise BadInputError(
                f"{self.name}: no seed has all of the folds {', '.join(str(fold + 1) for fold in self.folds)} that its"
                " runs are of; train what is missing, or name runs by their keys"
            )
        return predictions_of(self.whole, self.name)


def group_runs(runs: Sequence[Run]) -> list[RunGroup]:
    """Runs by what they have in common, in the order of each group's newest run.

    Of a seed and fold that were run twice (an adapter below them was trained again) the newest is taken.

    Args:
        runs: oldest first.
    """
    found: dict[str, dict[tuple[int, int], Run]] = {}
    for run in runs:
        name, place = group_name(run), (run.record["seed"], run.record["fold"])
        found[name] = {**found.pop(name, {}), place: run}  # moved to the end
    return [RunGroup(name, _ordered(each.values())) for name, each in found.items()]


def group_name(run: Run) -> str:
    """12 hexadecimal digits of everything that decides a run's numbers but its seed and fold.

    A record says it itself; of one that was written before records did, it is what its settings say.
    """
    if "group" in run.record:
        return str(run.record["group"])
    names = ("trainer", "protocol", "folds", "labels", "snapshot", "fingerprints", "verdict", "code_version")
    identity = {name: run.record.get(name) for name in names}
    return digest(identity | {"settings": run_values(run)})[:12]


def find_runs(files: FileLayer, name: str) -> RunGroup:
    """The runs that a name on the command line means.

    Args:
        files: the store's file layer.
        name: a run's key, a group's name, the beginning of either that no other has, or several of them by commas,
            whose runs are then taken together.

    Raises:
        UnknownNameError: a name that means none, or several.
        BadInputError: runs that were joined by commas but are of different settings.
    """
    runs = finished_runs(files)
    # A single run by its key, all runs of a setting by the group's name.
    known = {run.key: RunGroup(run.key, (run,)) for run in runs} | {
        group.name: group for group in group_runs(runs)
    }
    parts = [part.strip() for part in name.split(",") if part.strip()]
    meant = [_meant(known, part) for part in parts]
    if not meant:
        raise UnknownNameError("finished run", name, known)
    if len(meant) == 1:
        return meant[0]
    chosen = {run.key: run for group in meant for run in group.runs}
    of = {group_name(run) for run in chosen.values()}
    if len(of) > 1:
        raise BadInputError(
            f"{name}: these runs are of {len(of)} settings ({', '.join(sorted(of))}); allowed: by commas, the seeds and"
            " folds of one"
        )
    return RunGroup(name, _ordered(chosen.values()))


def settings_that_differ(groups: Sequence[RunGroup]) -> dict[str, list[str]]:
    """Per setting that the groups do not share its value in each, as words; "–" where one has no such setting."""
    told = [group.settings() for group in groups]
    names = dict.fromkeys(name for each in told for name in each)
    rows = {name: [_words(each[name]) if name in each else "–" for each in told] for name in names}
    apart = {name: row for name, row in rows.items() if len(set(row)) > 1}
    # What other lines say already: the views name their slots, and anything makes another snapshot.
    if "views" in apart:
        apart.pop("slots", None)
    if len(apart) > 1:
        apart.pop("snapshot", None)
    return apart


def run_values(run: Run) -> dict[str, Any]:
    """A run's settings; of an early record, from its ``config.yaml``."""
    if "settings" in run.record:
        return dict(run.record["settings"])
    return {name: entry["value"] for name, entry in run.config()["settings"].items()}


def _ordered(runs: Iterable[Run]) -> tuple[Run, ...]:
    return tuple(sorted(runs, key=lambda run: (run.record["seed"], run.record["fold"])))


def _meant(known: Mapping[str, RunGroup], part: str) -> RunGroup:
    """What one name means: itself, or the only one that begins so."""
    begin = [part] if part in known else [name for name in known if name.startswith(part)]
    if len(begin) != 1:
        raise UnknownNameError("finished run", part, begin or known)
    return known[begin[0]]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_words(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)
