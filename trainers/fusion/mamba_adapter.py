"""The Mamba adapter: a sequence, or several side by side, through a narrow Mamba block to a vector and classes."""

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn

from trainers.fusion.config import MambaAdapterConfig
from trainers.fusion.inputs import SlotInput, SlotInputs
from trainers.fusion.mamba_stack import MambaStack
from trainers.fusion.masks import masked_mean
from trainers.fusion.slots import Slot
from trainers.fusion.steps import StepConcatenation


class MambaAdapter(nn.Module):
    """A linear layer on each step, a Mamba block, the mean over the steps, a linear head (papers/002 plans it).

    What the MLP adapter is to pooled vectors: of a sequence that is too wide or too raw for fusion it makes a vector of
    128 numbers, which ``embed`` stores.

    Args:
        slots: inputs, mostly one; the first sequence that a row has sets its steps.
        classes: number of classes.
        config: settings.
    """

    def __init__(self, slots: Sequence[Slot], classes: int, config: MambaAdapterConfig) -> None:
        super().__init__()
        self.inputs = SlotInputs(slots, config.modality_dropout)
        self.steps = StepConcatenation(slots, learned=config.absent == "learned")
        self.projection = nn.Linear(self.steps.width, config.width)
        self.blocks = MambaStack(
            config.width,
            config.depth,
            d_state=config.d_state,
            d_conv=config.d_conv,
            expand=config.expand,
            version=config.version,
            residual=config.block == "residual",
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, classes)

    def hidden(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """The mean over steps ``[rows, width]`` of a batch of slots: the adapter's embedding."""
        steps, lengths = self.steps(self.inputs(batch))
        return masked_mean(self.blocks(self.dropout(self.projection(steps)), lengths), lengths)

    def forward(self, batch: Mapping[str, SlotInput]) -> Tensor:
        """Logits ``[rows, classes]`` of a batch of slots."""
        return cast(Tensor, self.head(self.dropout(self.hidden(batch))))
