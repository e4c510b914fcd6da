"""What the adapters have in common: inputs scaled by the training rows, a body, and a head on its last layer."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

# A feature that never varies in training carries nothing; dividing by its deviation would only raise noise.
_LEAST_DEVIATION = 1e-6


class ScaledAdapter(nn.Module):
    """Scales its input, runs it through ``body`` to the hidden layer, and that through ``head`` to logits.

    Args:
        width: numbers per input row, of all views together.
        body: ``[rows, width]`` to ``[rows, hidden]``.
        head: ``[rows, hidden]`` to ``[rows, classes]``.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        # Buffers, so that the checkpoint holds them and `embed` scales new rows as training did.
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.body = body
        self.head = head

    def scale_by(self, rows: Tensor, widths: Sequence[int]) -> None:
        """Centre every later input by the mean of these rows, and divide each part by one deviation of its own.

        Args:
            rows: training rows ``[rows, width]``.
            widths: how the width splits into parts: a number per view, or ones to scale every feature by itself.
        """
        self.mean.copy_(rows.mean(dim=0))
        variance = rows.var(dim=0, correction=0)
        deviations = [part.mean().sqrt().expand(len(part)) for part in torch.split(variance, list(widths))]
        deviation = torch.cat(deviations)
        self.deviation.copy_(torch.where(deviation > _LEAST_DEVIATION, deviation, torch.ones_like(deviation)))

    def hidden(self, rows: Tensor) -> Tensor:
        """The last hidden layer ``[rows, hidden]`` of inputs ``[rows, width]``: the adapter's embedding."""
        return cast(Tensor, self.body((rows - self.mean) / self.deviation))

    def forward(self, rows: Tensor) -> Tensor:
        """Logits ``[rows, classes]`` of inputs ``[rows, width]``."""
        return cast(Tensor, self.head(self.hidden(rows)))
