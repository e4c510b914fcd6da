"""Suites: an experiment in several variants that are run on the same rows and compared, in YAML."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.experiments.experiment import Experiment, experiment_of, merged, set_settings, with_base
from trainers.experiments.settings_file import read_settings_file, unknown_key
from trainers.suites.variant import Variant, in_order, variant_of

SUITES = Path(__file__).parent
KEYS = ("title", "paper", "prepare", "experiment", "variants", "cost", "drop", "relative")
_NEEDED = ("title", "variants")
_SUFFIXES = (".yaml", ".yml")
_FLAGS = ("cost", "relative")


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
        relative: whether the change against the first is told in percent too.
        prepare: commands that bring what the variants read into the store, in words.
    """

    name: str
    title: str
    paper: str
    values: Mapping[str, Any]
    variants: tuple[Variant, ...]
    cost: bool = False
    drop: tuple[float, ...] = ()
    relative: bool = False
    prepare: tuple[str, ...] = ()

    def changed(self, given: Mapping[str, Any], settings: Sequence[str] = ()) -> Suite:
        """The suite on other data, or with other settings, below what its variants change.

        Where the variants are of several models, a setting goes to those that have it.

        Args:
            given: keys of an experiment.
            settings: ``key=value`` each, values in YAML.

        Raises:
            BadInputError: an unknown key, a value of another type, or a setting without ``=``.
        """
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
        values = merged(self.values, plain, f"suite {self.name}")
        values["settings"] = set_settings(values["settings"], settings)
        return dataclasses.replace(self, values=values)

    def of_experiment(self, experiment: Experiment) -> Suite:
        """The suite's variants of this experiment, in place of the suite's own data.

        Raises:
            BadInputError: variants that are experiments by themselves.
        """
        if own := [variant.name for variant in self.variants if variant.base]:
            raise BadInputError(
                f"suite {self.name}: its variants are experiments by themselves ({', '.join(own)}); allowed: options"
                " such as --corpus and --set on top of them, no --experiment"
            )
        return self.changed(experiment.values())

    def only(self, names: Sequence[str]) -> Suite:
        """The suite with some of its variants, and those that they begin from.

        Raises:
            UnknownNameError: no variant has that name.
        """
        known = {variant.name: variant for variant in self.variants}
        wanted: set[str] = set()

        def want(name: str) -> None:
            if name not in known:
                raise UnknownNameError(f"variant of suite {self.name}", name, known)
            wanted.add(name)
            for start in known[name].start:
                want(start)

        for name in names:
            want(name)
        return dataclasses.replace(
            self, variants=tuple(each for each in self.variants if each.name in wanted)
        )

    def experiments(self) -> dict[str, Experiment]:
        """What each variant trains, in the order of the file.

        A variant that begins from another has its seeds; where it may choose between several, those of the first until
        the choice is made.

        Raises:
            BadInputError: a variant that is no experiment; the message names it and the key.
        """
        made: dict[str, Experiment] = {}
        known = {variant.name: self._known(variant) for variant in self.variants}
        some = set[str]().union(*known.values())
        for variant in in_order(self.variants):
            where = f"suite {self.name}, variant {variant.name}"
            asked = self.values.get("settings", {}).items()
            fits = {key: value for key, value in asked if key in known[variant.name] or key not in some}
            own = {**self.values, "settings": fits}
            values = merged(merged(variant.below, own, where), variant.changes, where)
            title = {"title": f"{self.title}: {variant.name}"}
            one = experiment_of(f"{self.name}-{variant.name}", where, {**values, **title})
            seeds = tuple(seed + variant.other_seeds for seed in one.seeds)
            if variant.start:
                seeds = made[variant.start[0]].seeds
            made[variant.name] = dataclasses.replace(one, seeds=seeds)
        return {variant.name: made[variant.name] for variant in self.variants}

    def _known(self, variant: Variant) -> set[str]:
        """The settings that a variant's model has; none of a model that does not exist, which is told later."""
        from trainers.models import model_config, model_names

        model = {**variant.below, **self.values, **variant.changes}.get("model")
        return (
            {item.name for item in dataclasses.fields(model_config(model))}
            if model in model_names()
            else set()
        )


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
    return _checked(path, read_settings_file(path))


def _checked(path: Path, given: Mapping[str, Any]) -> Suite:
    from trainers.experiments.reference import check_comparable

    where = path.name
    for key in given:
        if key not in KEYS:
            raise unknown_key(where, key, KEYS)
    for key in _NEEDED:
        if not given.get(key):
            raise BadInputError(f"{where}: key {key!r} is missing; needed: {', '.join(_NEEDED)}")
    for key in ("experiment", "variants"):
        if not isinstance(given.get(key, {}), dict):
            raise BadInputError(f"{where}: key {key!r} is {given[key]!r}; allowed: a mapping")
    for key in _FLAGS:
        if type(given.get(key, False)) is not bool:
            raise BadInputError(f"{where}: key {key!r} is {given[key]!r}; allowed: true, false")
    prepare = given.get("prepare") or []
    if not isinstance(prepare, list) or not all(isinstance(line, str) for line in prepare):
        raise BadInputError(f"{where}: key 'prepare' is {prepare!r}; allowed: a list of commands")
    suite = Suite(
        name=path.stem,
        title=str(given["title"]),
        paper=str(given.get("paper") or ""),
        values=with_base(given.get("experiment", {}), f"{where}: experiment", path.parent),
        variants=tuple(
            variant_of(where, str(name), told, given["variants"], path.parent)
            for name, told in given["variants"].items()
        ),
        cost=given.get("cost", False),
        drop=_rates(where, given.get("drop") or []),
        relative=given.get("relative", False),
        prepare=tuple(prepare),
    )
    in_order(suite.variants, where)
    made = suite.experiments()  # a slip is told before anything is trained
    check_comparable([cell for one in made.values() for cell in one.reference], where)
    return suite


def _rates(where: str, given: Any) -> tuple[float, ...]:
    numbers = isinstance(given, list) and all(type(rate) in (int, float) for rate in given)
    if not numbers or not all(0 <= rate < 1 for rate in given) or sorted(set(given)) != given:
        raise BadInputError(
            f"{where}: key 'drop' is {given!r}; allowed: shares from 0 to below 1, ascending, such as [0, 0.5]"
        )
    return tuple(float(rate) for rate in given)
