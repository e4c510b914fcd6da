"""Experiment files: one row of a paper's table each, in YAML that says only what differs from its base."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.config import TrainingConfig, resolve
from trainers.experiments.keys import KINDS
from trainers.experiments.settings_file import read_settings_file, unknown_key, unknown_value

EXPERIMENTS = Path(__file__).parent
JOINS = ("inner", "outer")
_NO_EXPERIMENT = ("reference",)
_SUFFIXES = (".yaml", ".yml")
_SLOT = re.compile(r"[a-z][a-z0-9_]*")
_NEEDED = ("title", "model", "slots")


@dataclass(frozen=True)
class Experiment:
    """What a file describes, with its base's values where it is silent: the arguments of ``train``.

    Attributes:
        name: the file's name without its ending.
        title: one line.
        model: one of ``trainers.models.model_names``.
        slots: slots or views, with an alias where two are of one slot: ``raw=VIEW``.
        paper: the citation of the table's row.
        corpora: only these corpora; all if empty.
        protocol: one of ``trainers.protocols.registry.PROTOCOLS``, or ``split:NAME`` of a saved split.
        folds: number of folds, where the protocol lets one choose.
        only_folds: train only these folds; all if empty.
        labels: label scheme.
        seeds: a run each.
        verdict: name of a stored verdict; None for all utterances.
        join: ``inner`` or ``outer``; None for what the model usually takes.
        profile: catalogue profile that says which view a slot means.
        settings: of the model and its training, where they are not its defaults.
        reference: the papers' cells to stand beside the result, by their names in ``reference.yaml``.
        train_corpora: corpora, or domains such as ``acted``, whose rows alone train and select; all if empty.
        train_on: name of a saved selection or verdict whose rows alone train; None for all.
        start: run or group whose weights each seed and fold begins with; None for fresh ones.
        starts_from: experiment whose runs it has to begin with, which the caller names as ``start``; None begins anew.
        report: names of saved selections, or verdicts, whose test rows are scored by themselves, beside all.
        row_weights: name of a verdict by whose measures training rows are weighed; None weighs them alike.
        assumed: setting, or other key, to why it is so where the paper does not say.
    """

    name: str
    title: str
    model: str
    slots: tuple[str, ...]
    paper: str = ""
    corpora: tuple[str, ...] = ()
    protocol: str = "official"
    folds: int = 4
    only_folds: tuple[int, ...] = ()
    labels: str = "seven"
    seeds: tuple[int, ...] = (0, 1, 2)
    verdict: str | None = None
    join: str | None = None
    profile: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    reference: tuple[str, ...] = ()
    train_corpora: tuple[str, ...] = ()
    train_on: str | None = None
    start: str | None = None
    starts_from: str | None = None
    report: tuple[str, ...] = ()
    row_weights: str | None = None
    assumed: Mapping[str, str] = field(default_factory=dict)

    @property
    def chooses_folds(self) -> bool:
        """Whether the protocol takes a number of folds."""
        from trainers.protocols.registry import CHOOSE_FOLDS  # NumPy and Polars: not for a list of options

        return self.protocol in CHOOSE_FOLDS

    def config(self) -> TrainingConfig:
        """The model's settings: its defaults, and the file's on top.

        Raises:
            UnknownNameError: no such model, or a setting that it does not have.
            BadInputError: a value of a wrong type or outside its range.
        """
        from trainers.models import model_config

        return resolve(model_config(self.model), values=self.settings)

    def with_settings(self, overrides: Sequence[str]) -> Experiment:
        """The experiment with ``key=value`` each on top of its settings; they are checked by :meth:`config`.

        Raises:
            BadInputError: no ``=``, or a value that is no YAML.
        """
        return replace(self, settings=set_settings(self.settings, overrides))

    def values(self) -> dict[str, Any]:
        """The resolved file: every key but the name, as plain data."""
        plain = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "name"}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}

    def changed(self, given: Mapping[str, Any], where: str | None = None) -> Experiment:
        """The experiment with other values, checked as a file's are; ``settings`` go on top of its own.

        Args:
            given: keys of a file.
            where: what an error names.

        Raises:
            BadInputError: an unknown key, or a value that is not allowed.
        """
        return experiment_of(self.name, where or self.name, merged(self.values(), given, where or self.name))


KEYS = tuple(item.name for item in fields(Experiment) if item.name != "name")


def experiment_names() -> list[str]:
    """Names of the experiments that come with the package, sorted."""
    names = (path.stem for path in EXPERIMENTS.glob("*.yaml"))
    return sorted(name for name in names if name not in _NO_EXPERIMENT)


def load_experiment(name: str) -> Experiment:
    """The experiment of a name, or of a file of one's own.

    Args:
        name: of one that comes with the package, or the path of a ``.yaml`` file.

    Raises:
        UnknownNameError: no experiment has that name.
        BadInputError: the file can't be read, or holds what is not allowed; the message names file and key.
    """
    path = experiment_path(name)
    return experiment_of(path.stem, path.name, with_base(read_settings_file(path), path.name, path.parent))


def with_base(given: Mapping[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """What a file gives, on top of the experiment that its key ``base`` names.

    Args:
        given: keys of a file.
        where: what an error names.
        folder: where a base of one's own is looked for.

    Raises:
        UnknownNameError: no experiment has the base's name.
        BadInputError: an unknown key, a value of another type, or a base that has a base.
    """
    rest = {key: value for key, value in given.items() if key != "base"}
    base = given.get("base")
    if "base" not in given:
        return merged({}, rest, where)
    if not isinstance(base, str):
        raise BadInputError(f"{where}: key 'base' is {base!r}; allowed: the name of another experiment")
    beside = folder / base
    path = beside if base.endswith(_SUFFIXES) and beside.is_file() else experiment_path(base)
    below = read_settings_file(path)
    if "base" in below:
        raise BadInputError(
            f"{where}: key 'base' is {base!r}, which has a base of its own; allowed: one without, such as"
            f" {below['base']!r}"
        )
    return merged(merged({}, below, path.name), rest, where)


def experiment_path(name: str) -> Path:
    """Where the experiment of this name is.

    Raises:
        UnknownNameError: no experiment has that name.
    """
    if name.endswith(_SUFFIXES):
        return Path(name).expanduser()
    if name not in experiment_names():
        raise UnknownNameError("experiment (or .yaml file)", name, experiment_names())
    return EXPERIMENTS / f"{name}.yaml"


def merged(below: Mapping[str, Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values on top of others: a given key replaces, settings are put together, and a setting of null is taken away.

    Raises:
        BadInputError: an unknown key, or a value of another type than the key takes.
    """
    for key, value in given.items():
        if key not in KEYS:
            raise unknown_key(where, key, [*KEYS, "base"])
        what, fits = KINDS[key]
        if not fits(value):
            raise BadInputError(f"{where}: key {key!r} is {value!r}; allowed: {what}")
    settings = {**below.get("settings", {}), **given.get("settings", {})}
    settings = {key: value for key, value in settings.items() if value is not None}
    # A reason goes with its value: what is given anew has its own, or none.
    given_anew = {*given, *given.get("settings", {})}
    below_assumed = {key: why for key, why in below.get("assumed", {}).items() if key not in given_anew}
    assumed = {**below_assumed, **given.get("assumed", {})}
    return {**below, **given, "settings": settings, "assumed": assumed}


def experiment_of(name: str, where: str, given: Mapping[str, Any]) -> Experiment:
    """An experiment of values of the right types, if they name things that exist.

    Args:
        name: of the experiment.
        where: what an error names.
        given: what :func:`merged` returned.

    Raises:
        BadInputError: a key that is missing, or a value that names nothing.
    """
    from feature_repo.labels import SCHEMES
    from trainers.experiments.reference import reference_cells
    from trainers.models import model_names
    from trainers.protocols.registry import is_protocol, protocol_names

    for key in _NEEDED:
        if not given.get(key):
            raise BadInputError(f"{where}: key {key!r} is missing; needed: {', '.join(_NEEDED)}")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    made = Experiment(name=name, **values)
    for key, allowed in (
        ("model", model_names()),
        ("labels", SCHEMES),
        *((("join", JOINS),) if made.join is not None else ()),
    ):
        if getattr(made, key) not in allowed:
            raise unknown_value(where, key, getattr(made, key), allowed)
    if not is_protocol(made.protocol):
        raise unknown_value(where, "protocol", made.protocol, protocol_names())
    for cell in made.reference:
        if cell not in reference_cells():
            raise unknown_value(where, "reference", cell, reference_cells())
    _check_slots(where, made.slots)
    _check_settings(where, made)
    return made


def set_settings(settings: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Settings with ``key=value`` each on top, values in YAML: ``class_weights.fear=15``; null takes one away.

    Raises:
        BadInputError: no ``=``, or a value that is no YAML.
    """
    # Tens of milliseconds, and only a run needs them.
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    changed = OmegaConf.create(dict(settings))
    for override in overrides:
        if "=" not in override:
            raise BadInputError(f"setting {override!r} is not of the form key=value")
        try:
            changed.merge_with_dotlist([override])
        except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            key = override.partition("=")[0]
            raise BadInputError(
                f"config key {key!r} can't be set by {override!r}: {str(error).splitlines()[0]}"
            ) from error
    plain = OmegaConf.to_container(changed)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items() if value is not None}


def _check_slots(where: str, slots: Sequence[str]) -> None:
    from feature_repo.slot_requests import slot_requests

    try:
        asked = slot_requests(slots)
    except BadInputError as error:
        raise BadInputError(f"{where}: key 'slots': {error}") from error
    for request in asked:
        if not _SLOT.fullmatch(request.name):
            raise BadInputError(
                f"{where}: key 'slots' has {request.name!r}; allowed: slots such as text, text_steps or speaker, and"
                " names of views, with an alias before an equals sign"
            )
    if len(set(slots)) != len(slots):
        raise BadInputError(f"{where}: key 'slots' is {', '.join(slots)}; allowed: each once")


def _check_settings(where: str, made: Experiment) -> None:
    from trainers.models import model_config

    names = [item.name for item in fields(model_config(made.model))]
    for key in made.settings:
        if key not in names:
            raise unknown_key(f"{where}: settings of model {made.model}", key, names)
    for key in made.assumed:  # a setting that was taken away since is still one
        if key not in names and key not in KEYS:
            raise unknown_value(where, "assumed", key, [*names, *KEYS])
    try:
        made.config()
    except BadInputError as error:
        raise BadInputError(f"{where}: settings: {error}") from error
    from feature_repo.labels import SCHEMES

    classes = SCHEMES[made.labels].classes
    for emotion in made.settings.get("class_weights", {}):
        if emotion not in classes:
            raise unknown_value(f"{where}: settings", "class_weights", emotion, classes)
