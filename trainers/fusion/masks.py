"""Masks of padded sequences, and the means that go by them."""

import torch
from torch import Tensor


def step_mask(lengths: Tensor, longest: int) -> Tensor:
    """Which steps of a padded batch exist: bool ``[rows, longest]`` of lengths int64 ``[rows]``."""
    return torch.arange(longest, device=lengths.device)[None, :] < lengths[:, None]


def masked_mean(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the steps that exist.

    Args:
        sequences: ``[rows, steps, width]``; what stands in the padding has no influence.
        lengths: int64 ``[rows]``.

    Returns:
        ``[rows, width]``, zeros for a row without steps.
    """
    mask = step_mask(lengths, sequences.shape[1])[..., None]
    total = torch.where(mask, sequences, 0.0).sum(1)
    return total / lengths.clamp(min=1)[:, None].to(total.dtype)
