"""Batches of text tokens, face frames and a speaker vector, as the fusion tests read them."""

from dataclasses import replace

import torch
from torch import nn

from trainers.fusion.config import ConversationConfig, FusionConfig
from trainers.fusion.inputs import SlotInput
from trainers.fusion.registry import fusion_model, fusion_names
from trainers.fusion.slots import Slot

SLOTS = (Slot("text", 12), Slot("face", 8), Slot("speaker", 6, every_step=True))
CLASSES = 7
UTTERANCE_MODELS = [name for name in fusion_names() if fusion_model(name).reads == "utterances"]


def small(name: str) -> FusionConfig:
    """Settings of a model with dropout off, small where its defaults are large."""
    config = replace(fusion_model(name).config(), dropout=0.0, modality_dropout=0.0)
    if isinstance(config, ConversationConfig):
        return replace(config, width=16)
    return config


def batch(rows: int = 6, tokens: int = 7, frames: int = 4, seed: int = 0) -> dict[str, SlotInput]:
    """Rows with every modality and every number of steps from 1 to the longest, in turn."""
    draw = torch.Generator().manual_seed(seed)
    row = torch.arange(rows)
    return {
        "text": _sequence(rows, tokens, 12, tokens - row % tokens, draw),
        "face": _sequence(rows, frames, 8, 1 + row % frames, draw),
        "speaker": SlotInput(torch.randn(rows, 6, generator=draw), torch.ones(rows, dtype=torch.bool)),
    }


def _sequence(rows: int, steps: int, width: int, lengths: torch.Tensor, draw: torch.Generator) -> SlotInput:
    values = torch.randn(rows, steps, width, generator=draw)
    return SlotInput(values, torch.ones(rows, dtype=torch.bool), lengths)


def every_subset(given: dict[str, SlotInput]) -> dict[str, SlotInput]:
    """The first seven rows with a non-empty subset each of the three slots."""
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]).bool()
    first = {name: slot.rows(slice(0, 7)) for name, slot in given.items()}
    return {name: replace(slot, present=mask[:, index]) for index, (name, slot) in enumerate(first.items())}


class Unscanned(nn.Module):
    """Stands for a Mamba block where it is not the block that is looked at."""

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return x


def unscanned(model: nn.Module) -> nn.Module:
    """The model with its Mamba blocks replaced."""
    blocks = getattr(model, "blocks", None)
    if blocks is not None:
        for stack in (blocks.forwards, blocks.backwards):
            for index in range(len(stack)):
                stack[index] = Unscanned()
    return model
