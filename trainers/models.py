"""Every model that ``train`` fits, by name: adapters over vectors, fusion over slots, conversations, end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.adapters.registry import ADAPTERS, adapter_shape, build_adapter
from trainers.config import AdapterConfig, TrainingConfig, resolve
from trainers.end_to_end.config import EndToEndConfig
from trainers.fusion.config import FusionConfig
from trainers.fusion.registry import build, fusion_model, fusion_names
from trainers.fusion.slots import Slot

if TYPE_CHECKING:
    from torch import nn

    from trainers.runs.run import Run

# What a model takes: pooled vectors side by side, utterances slot by slot, dialogues, or sounds and texts themselves.
Reads = Literal["rows", "utterances", "dialogues", "recordings"]
# A speech and a text encoder under the modality-token Transformer.
END_TO_END = "end-to-end"
# What fine-tuning calls its runs; they lie among the others.
TEXT_ENCODER = "text-encoder"


def model_names() -> list[str]:
    """Names of all models: the adapters, then the fusion models, then the end-to-end model."""
    return [*ADAPTERS, *fusion_names(), END_TO_END]


def model_config(name: str) -> type[TrainingConfig]:
    """The settings of a model; nothing heavy is imported.

    Raises:
        UnknownNameError: no model has that name.
    """
    if name in ADAPTERS:
        return ADAPTERS[name]
    if name == END_TO_END:
        return EndToEndConfig
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
    if name == END_TO_END:
        return "recordings"
    return "rows" if name in ADAPTERS else cast(Reads, fusion_model(name).reads)


def check_reads_vectors(run: Run) -> None:
    """Refuse an end-to-end run where a model is to be given stored vectors.

    Raises:
        BadInputError: tells what can be done with the run's encoders.
    """
    if run.record["trainer"] != END_TO_END:
        return
    extractors = {"speech": "wavlm", "text": "roberta"}
    commands = [
        f"`affectstore extract -e {extractors[slot]} -s model={run.files.url(told['folder'])}`"
        for slot, told in run.record.get("tuned", {}).items()
    ]
    ways = (
        f"its encoders' vectors are stored by {' and '.join(commands)}"
        if commands
        else "its encoders are as they were"
    )
    raise BadInputError(
        f"run {run.key} is an {END_TO_END} model, which reads sounds and texts, no stored vectors: embed, predict and"
        f" measures of a model have nothing to give it; {ways}, and a token-transformer trained on such does all three"
    )


def fresh_model(
    slots: Sequence[Slot], classes: int, config: TrainingConfig, device: str = "cpu"
) -> nn.Module:
    """A model with fresh parameters, drawn from torch's global generator.

    Args:
        slots: inputs; an adapter takes their vectors side by side.
        classes: number of classes.
        config: settings, whose type says which model.
        device: where the end-to-end model's encoders are loaded; the caller moves the model there.

    Raises:
        BadInputError: slots that the model can't read, or an encoder that is not at hand.
    """
    name = model_name(config)
    if isinstance(config, EndToEndConfig):
        # The encoders' libraries take seconds to import.
        from trainers.end_to_end.encoder_pair import find_encoders
        from trainers.end_to_end.model import EndToEndModel

        return EndToEndModel(find_encoders(config), classes, config, device)
    if isinstance(config, AdapterConfig):
        width = sum(slot.width for slot in slots)
        return build_adapter(name, width, classes, adapter_shape(config), config.dropout)
    assert isinstance(config, FusionConfig)
    return build(name, slots, classes, config)


def trained_model(run: Run, device: str = "cpu") -> nn.Module:
    """A finished run's model with its parameters, in evaluation mode.

    Raises:
        BadInputError: an end-to-end run.
    """
    check_reads_vectors(run)
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
