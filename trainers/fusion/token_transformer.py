"""The modality-token Transformer: one token per modality that a row has."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trainers.fusion.attention import AttentionStack
from trainers.fusion.config import TokenTransformerConfig
from trainers.fusion.inputs import SlotInput, SlotInputs
from trainers.fusion.slots import Slot
from trainers.fusion.swiglu import SwiGLU


class TokenTransformer(nn.Module):
    """[CLS] and a SwiGLU-projected token per present modality, attention, a head on [CLS] (papers/003 section 3.2).

    Tokens have no position: each modality's own projection tells it from the others. Sequences are read as the mean
    of their steps.

    Args:
        slots: inputs.
        classes: number of classes.
        config: settings.
    """

    def __init__(self, slots: Sequence[Slot], classes: int, config: TokenTransformerConfig) -> None:
        super().__init__()
        self.inputs = SlotInputs(slots, config.modality_dropout)
        self.projections = nn.ModuleList(SwiGLU(slot.width, config.width) for slot in slots)
        self.attention = AttentionStack(
            config.width, config.depth, heads=config.heads, ffn_mult=config.ffn_mult, dropout=config.dropout
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, classes)

    def hidden(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """What [CLS] became, ``[rows, width]``, of a batch of slots."""
        sequences = self.inputs(batch)
        pairs = zip(self.projections, sequences.pooled(), strict=True)
        tokens = torch.stack([project(values) for project, values in pairs], dim=1)
        return cast(Tensor, self.attention(tokens, sequences.present))

    def forward(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """Logits ``[rows, classes]`` of a batch of slots."""
        return cast(Tensor, self.head(self.dropout(self.hidden(batch))))
