"""The selective scan, step after step in PyTorch: the reference that every other backend is held against.

Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", section 3.2: per channel c and state s

    h[t] = exp(delta[t, c] * A[c, s]) * h[t - 1] + delta[t, c] * B[t, s] * u[t, c]
    y[t] = sum over s of C[t, s] * h[t] + D[c] * u[t, c]

and the block gates y by silu(z). delta is softplus(delta + delta_bias).
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def selective_scan_plain(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    *,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """The gated selective scan in whatever floating type its inputs have; autograd gives the gradients.

    Args:
        u: the inputs ``[b, n, d]``.
        delta: the step sizes before bias and softplus ``[b, n, d]``.
        A: ``[d, s]``, negative.
        B: how inputs enter the states ``[b, n, s]``.
        C: how states are read ``[b, n, s]``.
        D: weight of the skip ``[d]``.
        z: the gate before its silu ``[b, n, d]``.
        delta_bias: ``[d]``.
        lengths: steps per row, int64 ``[b]``; what lies behind is not read, and comes out as zeros.

    Returns:
        ``[b, n, d]``.
    """
    if lengths is not None:
        u, delta, B, C = blanked(lengths, u, delta, B, C)
        z = None if z is None else blanked(lengths, z)[0]
    delta = F.softplus(delta if delta_bias is None else delta + delta_bias)
    entering = delta * u
    state = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    read = []
    for step in range(u.shape[1]):
        decay = torch.exp(delta[:, step, :, None] * A)
        state = decay * state + entering[:, step, :, None] * B[:, step, None, :]
        read.append(torch.einsum("bds,bs->bd", state, C[:, step]))
    y = torch.stack(read, dim=1) if read else entering
    if D is not None:
        y = y + D * u
    return y if z is None else y * F.silu(z)


def behind_lengths(lengths: Tensor, steps: int) -> Tensor:
    """Which steps lie at or behind their row's length: bool ``[b, steps, 1]`` of lengths ``[b]``."""
    return (torch.arange(steps, device=lengths.device) >= lengths[:, None])[..., None]


def blanked(lengths: Tensor, *parts: Tensor) -> list[Tensor]:
    """Parts ``[b, n, …]`` with zeros behind their rows' lengths, so that not even a NaN there reaches a gradient."""
    behind = behind_lengths(lengths, parts[0].shape[1])
    return [part.masked_fill(behind, 0.0) for part in parts]
