"""The two encoders: where they lie, how wide what they give is, how they are loaded and kept."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from extractors.encoders.hidden_states import pooled_width
from extractors.encoders.model_folder import ModelFolder
from extractors.encoders.roberta import RobertaConfig, RobertaEncoder
from extractors.encoders.wavlm import WavLMConfig, WavLMEncoder
from trainers.fusion.slots import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from trainers.end_to_end.config import EndToEndConfig

TEXT, SPEECH = "text", "speech"
# What a folder says beside weights and sizes: how a text becomes tokens, whether a sound is normalised.
_BESIDE = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "preprocessor_config.json",
)


class Encoder(Protocol):
    """What the model needs of an encoder.

    Attributes:
        model: its parameters.
        width: of a pooled vector.
    """

    model: Any
    width: int

    def pooled(self, inputs: Sequence[Any], /) -> Tensor:
        """Vectors ``[inputs, width]``, differentiable where gradients are on."""


@dataclass(frozen=True)
class FoundEncoder:
    """An encoder at hand, not loaded.

    Attributes:
        slot: ``text`` or ``speech``.
        path: its folder.
        digest: of its weights, as recipes call it.
        width: of a pooled vector.
        minimum_samples: that a sound needs; 0 for an encoder of texts.
    """

    slot: str
    path: Path
    digest: str
    width: int
    minimum_samples: int = 0


def find_encoders(config: EndToEndConfig) -> dict[str, FoundEncoder]:
    """The encoders that the settings name, by slot in the order of the fusion's inputs.

    Raises:
        BadInputError: one that is not at hand, or of another kind.
    """
    found = {}
    if config.text_model:
        folder = ModelFolder.find(config.text_model)
        width = pooled_width(config.text_pooling, RobertaConfig.read(folder.path).width)
        found[TEXT] = FoundEncoder(TEXT, folder.path, folder.digest, width)
    if config.speech_model:
        folder = ModelFolder.find(config.speech_model)
        sizes = WavLMConfig.read(folder.path)
        width = pooled_width(config.speech_pooling, sizes.width)
        found[SPEECH] = FoundEncoder(SPEECH, folder.path, folder.digest, width, sizes.samples(1))
    return found


def encoder_slots(encoders: Mapping[str, FoundEncoder]) -> tuple[Slot, ...]:
    """The fusion's inputs, as stage 1 has them from stored features."""
    return tuple(Slot(slot, found.width, slot == SPEECH) for slot, found in encoders.items())


def load_encoder(found: FoundEncoder, config: EndToEndConfig, device: str) -> Encoder:
    """The encoder on the device, in evaluation mode."""
    if found.slot == SPEECH:
        return WavLMEncoder(found.path, device, pooling=config.speech_pooling)
    return RobertaEncoder(
        found.path,
        device,
        max_length=config.max_length,
        pooling=config.text_pooling,
        # What was said first is the first to go; the utterance itself stands last.
        truncation_side="left" if config.context else "right",
    )


def save_encoder(model: nn.Module, found: FoundEncoder, folder: Path) -> ModelFolder:
    """Write an encoder as a Hugging Face folder, such as the extractors ``wavlm`` and ``roberta`` take.

    Args:
        model: with the parameters that it is to have.
        found: the encoder that it was, from whose folder the tokenizer and the preparation of sound are taken.
        folder: where to; what stands there is replaced, and never half written.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save: Any = model.save_pretrained
    save(str(part))
    for name in _BESIDE:
        if (found.path / name).is_file():
            shutil.copyfile(found.path / name, part / name)
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)
    return ModelFolder.find(str(folder))
