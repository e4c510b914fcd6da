"""Suites: an experiment in several variants that are run on the same rows and compared, in YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.experiments.experiment import Experiment, experiment_of, merged, set_settings, with_base
from trainers.experiments.settings_file import read_settings_file, unknown_key, unknown_value

SUITES = Path(__file__).parent
KEYS = ("title", "paper", "experiment", "variants", "cost", "drop")
_NEEDED = ("title", "experiment", "variants")
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Variant:
    """One of the variants.

    Attributes:
        name: how tables call it.
        changes: keys of an experiment that it changes.
        adapt: adapter that is trained for every slot but text's, its layer standing for the slot; None for the slots
            as they are.
    """

    name: str
    changes: Mapping[str, Any]
    adapt: str | None = None


@dataclass(frozen=True)
class Suite:
    """What a suite's file describes.

    Attributes:
        name: the file's name without its ending.
        title: one line.
        paper: what in the papers it is about.
        values: keys of the experiment that the variants change.
        variants: the first is what the others are compared with.
        cost: whether parameters, operations and latency are measured.
        drop: shares of slots that are taken away at test, ascending; none if empty.
    """

    name: str
    title: str
    paper: str
    values: Mapping[str, Any]
    variants: tuple[Variant, ...]
    cost: bool = False
    drop: tuple[float, ...] = ()

    def changed(self, given: Mapping[str, Any], settings: Sequence[str] = ()) -> Suite:
        """The suite on other data, or with other settings, below what its variants change.

        Args:
            given: keys of an experiment.
            settings: ``key=value`` each, values in YAML.

        Raises:
            BadInputError: an unknown key, a value of another type, or a setting without ``=``.
        """
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
        values = merged(self.values, plain, f"suite {self.name}")
        values["settings"] = set_settings(values["settings"], settings)
        return Suite(self.name, self.title, self.paper, values, self.variants, self.cost, self.drop)

    def experiments(self) -> dict[str, Experiment]:
        """What each variant trains, in the order of the file.

        Raises:
            BadInputError: a variant that is no experiment; the message names it and the key.
        """
        made = {}
        for variant in self.variants:
            where = f"suite {self.name}, variant {variant.name}"
            values = merged(self.values, variant.changes, where)
            title = {"title": f"{self.title}: {variant.name}"}
            made[variant.name] = experiment_of(f"{self.name}-{variant.name}", where, {**values, **title})
        return made


def suite_names() -> list[str]:
    """Names of the suites that come with the package, sorted."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """The suite of a name, or of a file of one's own.

    Args:
        name: of one that comes with the package, or the path of a ``.yaml`` file.

    Raises:
        UnknownNameError: no suite has that name.
        BadInputError: the file can't be read, or holds what is not allowed; the message names file and key.
    """
    if name.endswith(_SUFFIXES):
        path = Path(name).expanduser()
    elif name in suite_names():
        path = SUITES / f"{name}.yaml"
    else:
        raise UnknownNameError("suite (or .yaml file)", name, suite_names())
    given, where = read_settings_file(path), path.name
    for key in given:
        if key not in KEYS:
            raise unknown_key(where, key, KEYS)
    for key in _NEEDED:
        if not given.get(key):
            raise BadInputError(f"{where}: key {key!r} is missing; needed: {', '.join(_NEEDED)}")
    for key in ("experiment", "variants"):
        if not isinstance(given[key], dict):
            raise BadInputError(f"{where}: key {key!r} is {given[key]!r}; allowed: a mapping")
    if type(given.get("cost", False)) is not bool:
        raise BadInputError(f"{where}: key 'cost' is {given['cost']!r}; allowed: true, false")
    suite = Suite(
        name=path.stem,
        title=str(given["title"]),
        paper=str(given.get("paper") or ""),
        values=with_base(given["experiment"], f"{where}: experiment", path.parent),
        variants=tuple(_variant(where, name, told) for name, told in given["variants"].items()),
        cost=given.get("cost", False),
        drop=_rates(where, given.get("drop") or []),
    )
    suite.experiments()  # a slip is told before anything is trained
    return suite


def _variant(where: str, name: object, told: Any) -> Variant:
    from trainers.adapters.registry import ADAPTERS

    if not isinstance(told, dict):
        raise BadInputError(f"{where}: variant {name!r} is {told!r}; allowed: a mapping, {{}} for no change")
    adapt = told.get("adapt")
    if adapt is not None and adapt not in ADAPTERS:
        raise unknown_value(f"{where}: variant {name!r}", "adapt", str(adapt), ADAPTERS)
    return Variant(str(name), {key: value for key, value in told.items() if key != "adapt"}, adapt)


def _rates(where: str, given: Any) -> tuple[float, ...]:
    numbers = isinstance(given, list) and all(type(rate) in (int, float) for rate in given)
    if not numbers or not all(0 <= rate < 1 for rate in given) or sorted(set(given)) != given:
        raise BadInputError(
            f"{where}: key 'drop' is {given!r}; allowed: shares from 0 to below 1, ascending, such as [0, 0.5]"
        )
    return tuple(float(rate) for rate in given)
