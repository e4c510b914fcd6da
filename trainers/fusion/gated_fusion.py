"""Gated fusion: one vector per modality, weighed against each other by learned gates."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trainers.fusion.config import GatedFusionConfig
from trainers.fusion.inputs import SlotInput, SlotInputs
from trainers.fusion.slots import Slot
from trainers.fusion.swiglu import SwiGLU


class GatedFusion(nn.Module):
    """LayerNorm and a linear layer per modality, gates, SwiGLU, a linear head (papers/003 section 3.1).

    The gates are a softmax over the modalities that a row has, one per feature. For two modalities that is a sigmoid
    and its complement, the usual gated unit; for one, its gate is 1. Sequences are read as the mean of their steps.

    Args:
        slots: inputs.
        classes: number of classes.
        config: settings.
    """

    def __init__(self, slots: Sequence[Slot], classes: int, config: GatedFusionConfig) -> None:
        super().__init__()
        self.inputs = SlotInputs(slots, config.modality_dropout)
        self.projections = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(slot.width), nn.Linear(slot.width, config.latent)) for slot in slots
        )
        self.gate = nn.Linear(len(slots) * config.latent, len(slots) * config.latent)
        self.activation = SwiGLU(config.latent, config.latent)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.latent, classes)

    def hidden(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """The fused vector ``[rows, latent]`` of a batch of slots."""
        sequences = self.inputs(batch)
        present = sequences.present[..., None]
        pairs = zip(self.projections, sequences.pooled(), strict=True)
        projected = torch.stack([project(values) for project, values in pairs], dim=1)
        projected = torch.where(present, projected, 0.0)
        scores = self.gate(projected.flatten(1)).view_as(projected)
        # The lowest finite score, since a row of nothing but infinities would give no number at all.
        gates = scores.masked_fill(~present, torch.finfo(scores.dtype).min).softmax(1)
        return cast(Tensor, self.activation((gates * projected).sum(1)))

    def forward(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """Logits ``[rows, classes]`` of a batch of slots."""
        return cast(Tensor, self.head(self.dropout(self.hidden(batch))))
