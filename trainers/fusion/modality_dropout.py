"""Modality dropout: present modalities are hidden at random, but never all of a row's."""

import torch
from torch import Tensor


def drop_modalities(present: Tensor, rate: float) -> Tensor:
    """Which slots stay, each present one being dropped with chance ``rate`` (papers/003 section 4.3).

    Where chance takes all of a row's slots, one of them stays, drawn evenly. So of ``k`` present slots each is dropped
    with chance ``rate - rate**k / k``, and an only one never. Draws from torch's global generator.

    Args:
        present: bool ``[..., slots]``.
        rate: chance from 0 to below 1.

    Returns:
        bool ``[..., slots]``, true only where ``present`` is.
    """
    draws = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
    # The highest draw of a row survives whenever any does; of a row that loses all it is evenly any of them.
    highest = torch.zeros_like(present).scatter_(-1, draws.argmax(-1, keepdim=True), True)
    return present & ((draws >= rate) | highest)
