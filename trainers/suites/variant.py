"""One variant of a suite: what it changes, what it begins from, and what it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError
from trainers.experiments.experiment import Experiment, load_experiment
from trainers.experiments.settings_file import unknown_value

_RUNS = re.compile(r"[0-9a-f]{4,12}(,[0-9a-f]{4,12})*")  # what begins a run's key or a group's name
# Keys of a variant that are no keys of an experiment.
_OWN = ("base", "adapt", "start", "needs", "train_domains", "other_seeds")


@dataclass(frozen=True)
class Variant:
    """One of the variants.

    Attributes:
        name: how tables call it.
        changes: keys of an experiment that it changes.
        adapt: adapter that is trained for every slot but text's, its layer standing for the slot; None for the slots
            as they are.
        base: the experiment that it is; None for the suite's own.
        below: that experiment's values, which the suite's and the options go on top of.
        start: variants whose trained weights it begins with; of several, of the one that is best on validation.
        needs: corpora without which it is left out; a stand-in of one will do.
        train_domains: domains whose corpora alone train and select; all if empty.
        other_seeds: added to each seed, so that it is a replica of a variant with the same settings.
    """

    name: str
    changes: Mapping[str, Any]
    adapt: str | None = None
    base: str | None = None
    below: Mapping[str, Any] = field(default_factory=dict)
    start: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    train_domains: tuple[str, ...] = ()
    other_seeds: int = 0


def variant_of(where: str, name: str, told: Any, names: Mapping[str, Any], folder: Path) -> Variant:
    """A variant from its file.

    Args:
        where: what an error names.
        name: the variant's.
        told: its keys.
        names: of all variants of the suite. A ``start`` that is none of them is an experiment's key: a run's name.
        folder: where an experiment of one's own is looked for.

    Raises:
        UnknownNameError: a base that does not exist.
        BadInputError: no mapping, or a value that is not allowed; the message names the key.
    """
    from trainers.adapters.registry import ADAPTERS

    if not isinstance(told, dict):
        raise BadInputError(f"{where}: variant {name!r} is {told!r}; allowed: a mapping, {{}} for no change")
    here = f"{where}: variant {name!r}"
    adapt = told.get("adapt")
    if adapt is not None and adapt not in ADAPTERS:
        raise unknown_value(here, "adapt", str(adapt), ADAPTERS)
    other_seeds = told.get("other_seeds", 0)
    if type(other_seeds) is not int or other_seeds < 0:
        raise BadInputError(f"{here}: key 'other_seeds' is {other_seeds!r}; allowed: a whole number from 0")
    start = _names(here, "start", told)
    others = [other for other in names if other != name]
    if all(_RUNS.fullmatch(each) for each in start) and not set(start) & set(others):
        start = ()  # runs of the store, as an experiment has them
    for each in start:
        if each not in others:
            raise unknown_value(here, "start", each, others)
    base = told.get("base")
    if base is not None and not isinstance(base, str):
        raise BadInputError(f"{here}: key 'base' is {base!r}; allowed: the name of an experiment")
    own = [key for key in _OWN if key != "start" or start]
    return Variant(
        name,
        {key: value for key, value in told.items() if key not in own},
        adapt,
        base,
        {} if base is None else _experiment(base, folder).values(),
        start,
        _names(here, "needs", told),
        _names(here, "train_domains", told),
        other_seeds,
    )


def _experiment(base: str, folder: Path) -> Experiment:
    beside = folder / base
    return load_experiment(str(beside) if beside.is_file() else base)


def in_order(variants: Sequence[Variant], where: str = "suite") -> list[Variant]:
    """The variants, each after those that it begins from, else in the file's order.

    Raises:
        BadInputError: variants that begin from each other.
    """
    placed: list[Variant] = []
    left = list(variants)
    while left:
        done = {variant.name for variant in placed}
        ready = [variant for variant in left if set(variant.start) <= done]
        if not ready:
            round_about = ", ".join(variant.name for variant in left)
            raise BadInputError(f"{where}: variants {round_about} begin from each other; allowed: no circle")
        placed.append(ready[0])
        left.remove(ready[0])
    return placed


def _names(where: str, key: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    given = told.get(key, ())
    listed = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list | tuple) else None
    if listed is None or not all(isinstance(each, str) and each for each in listed):
        raise BadInputError(f"{where}: key {key!r} is {given!r}; allowed: a name, or a list of names")
    return listed
