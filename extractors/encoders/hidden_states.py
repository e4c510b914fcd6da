"""Hidden states of a batch, and one vector of each item's: mean, mean and deviation, or the first token's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Pooling = Literal["mean", "mean-std", "cls"]


@dataclass(frozen=True)
class Encoded:
    """What a batch became.

    Attributes:
        pooled: ``[items, pooled width]`` float32.
        steps: per item ``[its frames or words, state width]`` float16; None when not asked for.
    """

    pooled: npt.NDArray[np.float32]
    steps: list[npt.NDArray[Any]] | None


def pooled_width(pooling: Pooling, state_width: int) -> int:
    """Numbers per pooled vector."""
    return 2 * state_width if pooling == "mean-std" else state_width


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector an item, in float32; what the mask hides does not count.

    The deviation is that of the states themselves (divided by their number): zero of a single one, and without a
    gradient where it is zero, where the root's would be infinite.

    Args:
        states: ``[items, longest, width]``.
        mask: bool ``[items, longest]``, at least one of each item.
        pooling: ``mean``; ``mean-std``, the deviation behind the mean; ``cls``, the first state.

    Returns:
        ``[items, width]``, twice as wide with deviations.
    """
    if pooling == "cls":
        return states[:, 0].float()
    there = mask[..., None]
    # Filled, not multiplied by zero: in half precision what is hidden may be infinite, and that times zero is NaN.
    states = states.float().masked_fill(~there, 0.0)
    count = there.sum(dim=1)
    mean = states.sum(dim=1) / count
    if pooling == "mean":
        return mean
    variance = ((states - mean[:, None]).square() * there).sum(dim=1) / count
    spread = variance > 0
    deviation = variance.where(spread, variance.new_ones(())).sqrt().where(spread, variance.new_zeros(()))
    import torch  # takes seconds; the widths are asked for without it

    return torch.cat([mean, deviation], dim=1)


def steps_of(states: torch.Tensor, mask: torch.Tensor) -> list[npt.NDArray[Any]]:
    """Per item its states ``[n, width]`` in float16, those that the mask hides left out.

    Args:
        states: ``[items, longest, width]``.
        mask: bool ``[items, longest]``.
    """
    # All leave the device at once; a copy per item would cost more than the model.
    chosen = states[mask].half().cpu().numpy()
    ends = np.cumsum(mask.sum(dim=1).cpu().numpy())
    return np.split(chosen, ends[:-1])
