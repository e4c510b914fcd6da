"""The MLP adapter: any pooled embedding, or several side by side, to a 128-d layer and classes (papers/000 III-B2)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

# A feature that never varies in training carries nothing; dividing by its deviation would only raise noise.
_LEAST_DEVIATION = 1e-6


class MLPAdapter(nn.Module):
    """Linear, batch norm, ReLU and dropout per hidden layer, then a linear head (papers/000 III-B2).

    Args:
        width: numbers per input row, of all views together.
        classes: number of classes.
        hidden: widths of the hidden layers; the paper's are 256 and 128.
        dropout: chance of dropping a unit after each hidden layer.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, width: int, classes: int, *, hidden: Sequence[int] = (256, 128), dropout: float = 0.3
    ) -> None:
        super().__init__()
        # Buffers, so that the checkpoint holds them and `embed` scales new rows as training did.
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        blocks: list[nn.Module] = []
        for before, after in zip([width, *hidden[:-1]], hidden, strict=True):
            blocks += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(dropout)]
        self.body = nn.Sequential(*blocks)
        self.head = nn.Linear(hidden[-1], classes)

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
        """The last hidden layer ``[rows, 128]`` of inputs ``[rows, width]``: the adapter's embedding."""
        return cast(Tensor, self.body((rows - self.mean) / self.deviation))

    def forward(self, rows: Tensor) -> Tensor:
        """Logits ``[rows, classes]`` of inputs ``[rows, width]``."""
        return cast(Tensor, self.head(self.hidden(rows)))
