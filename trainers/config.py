"""A run's resolved settings: each knows whether a paper states it or we assumed it, and why."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from feature_repo.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SelectionScore = Literal["weighted_f1", "uar", "accuracy", "macro_f1"]
Scaling = Literal["view", "feature", "none"]
Precision = Literal["float32", "bfloat16", "float16"]
Optimizer = Literal["adam", "adamw"]
Balance = Literal["none", "balanced"]
_Config = TypeVar("_Config", bound="DataclassInstance")

_ADAPTER = {"source": "papers/000 III-B2"}


def _assumed(why: str) -> dict[str, str]:
    return {"why": why}


def _added(why: str) -> dict[str, Any]:
    """Of a setting that came later: at its default a run's key does not hold it, so that earlier keys stand."""
    return {"why": why, "added": True}


@dataclass(frozen=True)
class TrainingConfig:
    """How any light trainer fits: optimiser, schedule, stopping, loss and selection.

    Attributes:
        lr: the optimizer's first learning rate.
        weight_decay: ``adam`` adds it to the gradient as an L2 penalty, ``adamw`` takes it off the weights.
        batch_size: rows a step.
        max_epochs: passes over the training rows at most.
        patience: epochs without a better validation score before training stops.
        plateau_factor: what the learning rate is multiplied by on a plateau.
        plateau_patience: epochs without improvement that make a plateau.
        plateau_on: what has to improve: the validation ``loss`` or the selection ``score``.
        selection: validation score that stopping and the kept epoch go by.
        label_smoothing: share of the target spread evenly over the classes.
        class_weights: weight of a class in the loss by emotion name; a class that is not named weighs 1.
        validation_share: share of the training speakers that ``speaker-folds`` holds out to validate on.
        clip_norm: gradients longer than this together are brought to this length; 0 leaves them.
        accumulate: batches whose gradients make one step.
        ema: share of the running average of the weights that stays at each step; the average is what is validated
            and kept. 0 is without.
        precision: what the training steps multiply in; weights and validation stay float32. float16 needs a GPU.
        corpus_weights: weight of a row in the loss by its corpus's name; a corpus that is not named weighs 1.
        optimizer: ``adam`` or ``adamw``.
        class_balance: ``balanced`` weighs a class by ``n / (classes * n_c)`` of the ``n`` training rows, as
            scikit-learn does, times what ``class_weights`` says.
        corpus_balance: ``balanced`` weighs a corpus's rows so, times what ``corpus_weights`` says.

    Raises:
        BadInputError: a value outside its range.
    """

    lr: float = field(default=1e-3, metadata=_ADAPTER)
    weight_decay: float = field(default=1e-5, metadata=_ADAPTER)
    batch_size: int = field(default=32, metadata=_ADAPTER)
    max_epochs: int = field(default=100, metadata=_ADAPTER)
    patience: int = field(default=10, metadata=_ADAPTER)
    plateau_factor: float = field(default=0.1, metadata=_ADAPTER)
    plateau_patience: int = field(default=5, metadata=_ADAPTER)
    plateau_on: Literal["loss", "score"] = field(
        default="score", metadata=_assumed("the paper names the scheduler, not what it watches")
    )
    selection: SelectionScore = field(
        default="weighted_f1", metadata=_assumed("the paper says validation F1 without its average")
    )
    label_smoothing: float = field(default=0.0, metadata=_assumed("the paper names plain cross-entropy"))
    class_weights: dict[str, float] = field(
        default_factory=dict, metadata=_assumed("the paper weighs classes in fusion only")
    )
    validation_share: float = field(
        default=0.2, metadata=_assumed("the paper holds out subjects without saying how many")
    )
    clip_norm: float = field(default=0.0, metadata=_added("the paper names no clipping"))
    accumulate: int = field(default=1, metadata=_added("the paper names no accumulation"))
    ema: float = field(default=0.0, metadata=_added("the paper names no average of weights"))
    precision: Precision = field(default="float32", metadata=_added("the paper names no precision"))
    corpus_weights: dict[str, float] = field(
        default_factory=dict, metadata=_added("the paper balances its corpora by choosing rows")
    )
    optimizer: Optimizer = field(default="adam", metadata={**_ADAPTER, "added": True})
    class_balance: Balance = field(
        default="none", metadata=_added("the paper gives weights by name; papers/003 4.3 has balanced ones")
    )
    corpus_balance: Balance = field(
        default="none",
        metadata=_added("the paper balances its corpora by choosing rows; papers/003 5.1 weighs them"),
    )

    def __post_init__(self) -> None:
        _range("lr", self.lr, self.lr > 0, "above 0")
        _range("weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")
        _range("batch_size", self.batch_size, self.batch_size >= 2, "2 or more, as batch norm needs two rows")
        _range("max_epochs", self.max_epochs, self.max_epochs >= 1, "1 or more")
        _range("patience", self.patience, self.patience >= 1, "1 or more")
        _range("plateau_factor", self.plateau_factor, 0 < self.plateau_factor < 1, "between 0 and 1")
        _range("plateau_patience", self.plateau_patience, self.plateau_patience >= 0, "0 or more")
        _range("label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1, "from 0 to below 1")
        _range("validation_share", self.validation_share, 0 < self.validation_share < 1, "between 0 and 1")
        _range("clip_norm", self.clip_norm, self.clip_norm >= 0, "0 or more")
        _range("accumulate", self.accumulate, self.accumulate >= 1, "1 or more")
        _range("ema", self.ema, 0 <= self.ema < 1, "from 0 to below 1")
        for key in ("class_balance", "corpus_balance"):
            value = getattr(self, key)
            _range(key, value, value in ("none", "balanced"), "none, balanced")
        for key in ("class_weights", "corpus_weights"):
            for name, weight in getattr(self, key).items():
                _range(f"{key}.{name}", weight, weight > 0, "above 0")


@dataclass(frozen=True)
class AdapterConfig(TrainingConfig):
    """Settings of the MLP adapter and its training (papers/000 III-B2).

    Attributes:
        hidden: widths of the hidden layers; the last one is what ``embed`` stores.
        dropout: chance of dropping a unit after each hidden layer.
        scaling: how inputs are brought to size by what the training rows show. ``view`` centres every feature and
            divides each view by one deviation, so that views weigh alike and features within one keep their
            proportions; ``feature`` divides each feature by its own; ``none`` leaves inputs as they are.
    """

    hidden: tuple[int, ...] = field(default=(256, 128), metadata=_ADAPTER)
    dropout: float = field(default=0.3, metadata=_ADAPTER)
    # Chosen on validation scores alone. RAVDESS (8 actors, folds by speaker), UAR of view, feature, none: Resemblyzer
    # 0.468, 0.449, 0.457; MFCC 0.524, 0.468, 0.517, as a deviation each blows up cepstra that hardly vary; both side by
    # side 0.527, 0.534, 0.534. MELD dev with MiniLM, weighted F1: 0.544, 0.544, 0.540.
    scaling: Scaling = field(
        default="view",
        metadata=_assumed(
            "the paper doesn't say how inputs are scaled; the best of three on validation over single views"
        ),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", tuple(self.hidden))
        _range(
            "hidden", self.hidden, bool(self.hidden) and min(self.hidden) >= 1, "one or more widths above 0"
        )
        _range("dropout", self.dropout, 0 <= self.dropout < 1, "from 0 to below 1")


_KAN = "papers/002 plans a KAN adapter without its settings; {}"


@dataclass(frozen=True)
class KANConfig(AdapterConfig):
    """Settings of the KAN adapter (papers/002 plans it); what is not here is the MLP adapter's.

    Attributes:
        grid: intervals of the splines' grid.
        order: degree of the splines.
        span: the grid reaches from ``-span`` to ``span``, in deviations of the scaled input.
    """

    hidden: tuple[int, ...] = field(
        default=(256, 128), metadata=_assumed(_KAN.format("the MLP adapter's widths"))
    )
    dropout: float = field(default=0.3, metadata=_assumed(_KAN.format("the MLP adapter's")))
    grid: int = field(default=5, metadata=_assumed(_KAN.format("Liu et al. 2024 begin with 5")))
    order: int = field(default=3, metadata=_assumed(_KAN.format("Liu et al. 2024 take cubic splines")))
    span: float = field(
        default=3.0, metadata=_assumed(_KAN.format("scaled inputs mostly lie within three deviations"))
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _range("grid", self.grid, self.grid >= 1, "1 or more")
        _range("order", self.order, self.order >= 1, "1 or more")
        _range("span", self.span, self.span > 0, "above 0")


def _range(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise BadInputError(f"config key {name!r} is {value!r}; allowed: {allowed}")


def resolve(
    kind: type[_Config], overrides: Sequence[str] = (), *, values: Mapping[str, Any] | None = None
) -> _Config:
    """The settings with the caller's overrides.

    Args:
        kind: the settings' dataclass.
        overrides: ``key=value`` each, values in YAML: ``lr=1e-4``, ``hidden=[64,32]``, ``class_weights.fear=15``.
        values: plain values that the overrides go on top of, as an experiment file or a run's folder has them.

    Raises:
        UnknownNameError: a key that the settings do not have.
        BadInputError: no ``=``, or a value of a wrong type or outside its range.
    """
    # Tens of milliseconds, and only a run needs it.
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    names = [item.name for item in dataclasses.fields(kind)]
    merged = OmegaConf.structured(kind)
    OmegaConf.set_readonly(merged, False)
    for key, value in (values or {}).items():
        if key not in names:
            raise UnknownNameError("config key", key, names)
        try:
            merged = OmegaConf.merge(merged, {key: value})
        except (OmegaConfBaseException, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise BadInputError(f"config key {key!r} can't be {value!r}: {reason}") from error
    for override in overrides:
        key, separator, _ = override.partition("=")
        key = key.strip()
        if not separator:
            raise BadInputError(f"setting {override!r} is not of the form key=value")
        if key.partition(".")[0] not in names:
            raise UnknownNameError("config key", key, names)
        try:
            merged = OmegaConf.merge(merged, OmegaConf.from_dotlist([override]))
        except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise BadInputError(f"config key {key!r} can't be set by {override!r}: {reason}") from error
    config = OmegaConf.to_object(merged)
    assert isinstance(config, kind)
    return config


def values(config: "DataclassInstance") -> dict[str, Any]:
    """The settings as plain JSON data."""
    plain = dataclasses.asdict(config)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def identity_values(config: "DataclassInstance") -> dict[str, Any]:
    """What a run's key hashes: all settings, less those that came later and are at their default.

    Nor does it hold where a model's weights lie: the job adds their digest.
    """
    plain, defaults = values(config), values(type(config)())
    quiet = {item.name for item in dataclasses.fields(config) if item.metadata.get("added")}
    for item in dataclasses.fields(config):
        if item.metadata.get("by_digest"):
            del plain[item.name]
    return {name: value for name, value in plain.items() if name not in quiet or value != defaults[name]}


def described(config: "DataclassInstance") -> dict[str, dict[str, Any]]:
    """Per setting its ``value`` and either the ``source`` that states it or ``assumed: true`` and why.

    A value that the caller changed is no paper's, so it is assumed too, and the paper's is told beside it.
    """
    told = {}
    plain, defaults = values(config), values(type(config)())
    for item in dataclasses.fields(config):
        value, default = plain[item.name], defaults[item.name]
        source = item.metadata.get("source")
        if source and value == default:
            told[item.name] = {"value": value, "source": source}
        elif source:
            told[item.name] = {"value": value, "assumed": True, "why": f"given; {source} has {default}"}
        else:
            why = item.metadata["why"] if value == default else "given"
            told[item.name] = {"value": value, "assumed": True, "why": why}
    return told
