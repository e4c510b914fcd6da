"""Every model that ``train`` fits, by name: adapters over vectors side by side, fusion over slots, conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.adapters.registry import ADAPTERS, adapter_shape, build_adapter
from trainers.config import AdapterConfig, TrainingConfig, resolve
from trainers.fusion.config import FusionConfig
from trainers.fusion.registry import build, fusion_model, fusion_names
from trainers.fusion.slots import Slot

if TYPE_CHECKING:
    from torch import nn

    from trainers.runs.run import Run

# What a model takes: pooled vectors side by side, utterances slot by slot, or dialogues.
Reads = Literal["rows", "utterances", "dialogues"]
# What fine-tuning calls its runs; they lie among the others.
TEXT_ENCODER = "text-encoder"


def model_names() -> list[str]:
    """Names of all models: the adapters, then the fusion models."""
    return [*ADAPTERS, *fusion_names()]


def model_config(name: str) -> type[TrainingConfig]:
    """The settings of a model; nothing heavy is imported.

    Raises:
        UnknownNameError: no model has that name.
    """
    if name in ADAPTERS:
        return ADAPTERS[name]
    if name not in fusion_names():
        raise UnknownNameError("model", name, model_names())
    return fusion_model(name).config


def model_name(config: TrainingConfig) -> str:
    """The model that the settings are of."""
    return next(name for name in model_names() if type(config) is model_config(name))


def model_reads(name: str) -> Reads:
    """What the model takes.

    Raises:
        BadInputError: the text encoder, which reads texts and not views.
        UnknownNameError: no model has that name.
    """
    if name == TEXT_ENCODER:
        raise BadInputError(
            f"a {TEXT_ENCODER} run reads texts, not views: its folder is a model for"
            f" `affectstore extract -e sentence -s model=FOLDER`; allowed here: runs of {', '.join(model_names())}"
        )
    return "rows" if name in ADAPTERS else cast(Reads, fusion_model(name).reads)


def fresh_model(slots: Sequence[Slot], classes: int, config: TrainingConfig) -> nn.Module:
    """A model with fresh parameters, drawn from torch's global generator.

    Args:
        slots: inputs; an adapter takes their vectors side by side.
        classes: number of classes.
        config: settings, whose type says which model.

    Raises:
        BadInputError: slots that the model can't read.
    """
    name = model_name(config)
    if isinstance(config, AdapterConfig):
        width = sum(slot.width for slot in slots)
        return build_adapter(name, width, classes, adapter_shape(config), config.dropout)
    assert isinstance(config, FusionConfig)
    return build(name, slots, classes, config)


def trained_model(run: Run, device: str = "cpu") -> nn.Module:
    """A finished run's model with its parameters, in evaluation mode."""
    from safetensors.torch import load  # torch: not for a caller that wants names only

    record = run.record
    name, classes = record["trainer"], len(record["classes"])
    if model_reads(name) == "rows":
        model: nn.Module = build_adapter(name, record["width"], classes, record)
    else:
        model = build(name, run_slots(run), classes, cast(FusionConfig, run_config(run)))
    model.load_state_dict(load(run.checkpoint()))
    return model.to(device).eval()


def run_slots(run: Run) -> tuple[Slot, ...]:
    """The slots that a fusion run's model reads, in its order."""
    return tuple(Slot(**slot) for slot in run.record["inputs"])


def run_config(run: Run) -> TrainingConfig:
    """The settings that a run was trained with."""
    kind = model_config(run.record["trainer"])
    values = {name: entry["value"] for name, entry in run.config()["settings"].items()}
    # Settings that came later are at their default, at which they change nothing.
    return resolve(kind, values=values)
