"""Mamba fusion: slots side by side on every step, a Mamba block, the mean over steps, a linear head."""

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn

from trainers.fusion.config import MambaFusionConfig
from trainers.fusion.inputs import SlotInput, SlotInputs
from trainers.fusion.mamba_stack import MambaStack
from trainers.fusion.masks import masked_mean
from trainers.fusion.slots import Slot
from trainers.fusion.steps import StepConcatenation


class MambaFusion(nn.Module):
    """The paper's fusion model (papers/000 III-B3); d_model is the sum of the slots' widths.

    Args:
        slots: inputs; the first sequence that a row has sets its steps, so text comes before face.
        classes: number of classes.
        config: settings.
    """

    def __init__(self, slots: Sequence[Slot], classes: int, config: MambaFusionConfig) -> None:
        super().__init__()
        self.inputs = SlotInputs(slots, config.modality_dropout)
        self.steps = StepConcatenation(slots, learned=config.absent == "learned")
        self.blocks = MambaStack(
            self.steps.width,
            config.depth,
            d_state=config.d_state,
            d_conv=config.d_conv,
            expand=config.expand,
            version=config.version,
            residual=config.block == "residual",
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.steps.width, classes)

    def hidden(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """The mean over steps ``[rows, d_model]`` of a batch of slots."""
        steps, lengths = self.steps(self.inputs(batch))
        return masked_mean(self.blocks(steps, lengths), lengths)

    def forward(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """Logits ``[rows, classes]`` of a batch of slots."""
        return cast(Tensor, self.head(self.dropout(self.hidden(batch))))
