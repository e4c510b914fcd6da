"""Attention over the tokens and frames of all modalities at once: what Mamba fusion is compared with."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trainers.fusion.attention import AttentionStack
from trainers.fusion.config import CrossModalTransformerConfig
from trainers.fusion.inputs import SlotInput, SlotInputs
from trainers.fusion.masks import step_mask
from trainers.fusion.slots import Slot

# Wavelengths of positions go up to this times 2 pi (Vaswani et al., "Attention Is All You Need", section 3.5).
_LONGEST_WAVE = 10_000.0


class CrossModalTransformer(nn.Module):
    """Every step of every modality a token: each attends to all, of its own and of the other modalities.

    Nothing is aligned by rule: where a step is in its sequence is told by sines and cosines, which modality it is of
    by the projection's bias, and what belongs together is the attention's to find.

    Args:
        slots: inputs.
        classes: number of classes.
        config: settings.
    """

    def __init__(self, slots: Sequence[Slot], classes: int, config: CrossModalTransformerConfig) -> None:
        super().__init__()
        self.inputs = SlotInputs(slots, config.modality_dropout)
        self.projections = nn.ModuleList(nn.Linear(slot.width, config.width) for slot in slots)
        self.attention = AttentionStack(
            config.width, config.depth, heads=config.heads, ffn_mult=config.ffn_mult, dropout=config.dropout
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, classes)

    def hidden(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """What the first token became, ``[rows, width]``, of a batch of slots."""
        sequences = self.inputs(batch)
        tokens, masks = [], []
        for index, (project, values) in enumerate(zip(self.projections, sequences.values, strict=True)):
            projected = project(values)
            tokens.append(projected + positions(values.shape[1], projected))
            masks.append(step_mask(sequences.lengths[:, index], values.shape[1]))
        return cast(Tensor, self.attention(torch.cat(tokens, dim=1), torch.cat(masks, dim=1)))

    def forward(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """Logits ``[rows, classes]`` of a batch of slots."""
        return cast(Tensor, self.head(self.dropout(self.hidden(batch))))


def positions(steps: int, like: Tensor) -> Tensor:
    """Sines, then cosines of each position at falling frequencies: ``[steps, width]`` (section 3.5 there).

    Args:
        steps: number of positions, from 0.
        like: whose last dimension, an even width, device and dtype they take.
    """
    half = like.shape[-1] // 2
    rate = _LONGEST_WAVE ** (-torch.arange(half, device=like.device, dtype=like.dtype) / half)
    angle = torch.arange(steps, device=like.device, dtype=like.dtype)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], dim=1)
