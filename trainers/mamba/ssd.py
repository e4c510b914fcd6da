"""The scan of Mamba-2 in chunks, so that matrix products do most of it.

Dao and Gu, "Transformers are SSMs", section 6: per head h with one decay for all its channels and states

    H[t] = exp(delta[t, h] * A[h]) * H[t - 1] + delta[t, h] * outer(u[t, h], B[t])        y[t, h] = H[t] C[t]

Within a chunk this is a masked product, as of attention; between chunks only the states pass.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def chunked_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, chunk_size: int) -> Tensor:
    """The scan of Mamba-2, without skip and gate.

    Args:
        u: the inputs ``[b, n, h, p]``: h heads of p channels.
        delta: step sizes ``[b, n, h]``; a step of size 0 leaves the states as they are.
        A: ``[h]``, negative.
        B: how inputs enter the states ``[b, n, g, s]``, for g groups of heads that follow one another.
        C: how states are read ``[b, n, g, s]``.
        chunk_size: steps per chunk; changes the speed alone.

    Returns:
        ``[b, n, h, p]``.
    """
    rows, steps, heads, channels = u.shape
    groups, states = B.shape[2:]
    chunk_size = max(1, min(chunk_size, steps))
    # Steps of size 0 at the end fill the last chunk.
    spare = -steps % chunk_size
    chunks = (steps + spare) // chunk_size

    def chunked(part: Tensor, *rest: int) -> Tensor:
        padded = F.pad(part, [0, 0] * (part.dim() - 2) + [0, spare])
        return padded.reshape(rows, chunks, chunk_size, *rest)

    each = heads // groups
    entering = chunked(u * delta[..., None], groups, each, channels)
    B, C = chunked(B, groups, states), chunked(C, groups, states)
    # The logarithm of what is left, from a chunk's start to behind each of its steps: [b, chunk, g, e, step].
    left = chunked(delta * A, groups, each).permute(0, 1, 3, 4, 2).cumsum(dim=-1)

    # Within chunks: step t reads step r <= t through the decay between them.
    between = left[..., :, None] - left[..., None, :]
    later = torch.ones(chunk_size, chunk_size, dtype=torch.bool, device=u.device).tril()
    decay = torch.exp(between.masked_fill(~later, -torch.inf))
    scores = torch.einsum("kctgs,kcrgs->kcgtr", C, B)
    inner = torch.einsum("kcgetr,kcrgep->kctgep", scores[:, :, :, None] * decay, entering)

    # What each chunk leaves behind, and what all before it have left: only this goes step after step.
    to_end = torch.exp(left[..., -1:] - left)
    leaves = torch.einsum("kcget,kctgep,kctgs->kcgeps", to_end, entering, B)
    over = torch.exp(left[..., -1])[..., None, None]
    state = torch.zeros_like(leaves[:, 0]) if chunks else leaves.sum(dim=1)
    before = []
    for chunk in range(chunks):
        before.append(state)
        state = over[:, chunk] * state + leaves[:, chunk]
    if not before:
        return u * delta[..., None]
    from_start = torch.exp(left).permute(0, 1, 4, 2, 3)[..., None]
    outer = from_start * torch.einsum("kctgs,kcgeps->kctgep", C, torch.stack(before, dim=1))
    return (inner + outer).reshape(rows, chunks * chunk_size, heads, channels)[:, :steps]
