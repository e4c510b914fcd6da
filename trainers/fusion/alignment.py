"""Frames to tokens by even split: the rule of ``numpy.array_split``, for a whole padded batch at once."""

import torch
from torch import Tensor


def split_index(items: Tensor, groups: Tensor, position: Tensor) -> Tensor:
    """The group that an item falls into when items are split evenly: 15 into 4 are 4, 4, 4, 3.

    As ``numpy.array_split`` does it: of ``items = q * groups + r`` the first ``r`` groups get ``q + 1`` items.

    Args:
        items: number of items, integers of any shape.
        groups: number of groups, 1 to ``items``; shapes broadcast.
        position: the item's position, 0 to below ``items``; what it gives elsewhere means nothing.
    """
    size = torch.div(items, groups, rounding_mode="floor")
    larger = items - size * groups
    boundary = larger * (size + 1)
    early = torch.div(position, size + 1, rounding_mode="floor")
    late = larger + torch.div(position - boundary, size.clamp(min=1), rounding_mode="floor")
    return torch.where(position < boundary, early, late)


def split_weights(
    tokens: Tensor,
    frames: Tensor,
    longest_tokens: int,
    longest_frames: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """How much of each frame a token gets (papers/000 III-B3c).

    With as many tokens as frames or more, the tokens are split evenly over the frames, and each gets the one frame of
    its group. With more frames than tokens, the frames are split evenly over the tokens, and each gets their mean.

    Args:
        tokens: number of tokens of each row, int64 ``[rows]``.
        frames: number of frames of each row, int64 ``[rows]``.
        longest_tokens: tokens of the padded batch.
        longest_frames: frames of the padded batch.
        dtype: of the weights.

    Returns:
        ``[rows, longest_tokens, longest_frames]``: of a token that exists, with any frame in its row, the
        weights add up to 1; all others are 0.
    """
    token = torch.arange(longest_tokens, device=tokens.device)[None, :, None]
    frame = torch.arange(longest_frames, device=tokens.device)[None, None, :]
    of_tokens, of_frames = tokens[:, None, None], frames[:, None, None]
    # The shorter side's number is also the number of groups; 1 keeps rows with none away from a division by zero.
    groups = torch.minimum(of_tokens, of_frames).clamp(min=1)
    same = torch.where(
        of_frames <= of_tokens,
        split_index(of_tokens, groups, token) == frame,
        split_index(of_frames, groups, frame) == token,
    )
    weights = (same & (token < of_tokens) & (frame < of_frames)).to(dtype)
    return weights / weights.sum(2, keepdim=True).clamp(min=1)


def align(frames: Tensor, frame_counts: Tensor, token_counts: Tensor, longest_tokens: int) -> Tensor:
    """Each token's frame, or the mean of its frames.

    Args:
        frames: ``[rows, longest_frames, width]``; padding must be finite, and has no influence.
        frame_counts: int64 ``[rows]``.
        token_counts: int64 ``[rows]``.
        longest_tokens: tokens of the padded batch.

    Returns:
        ``[rows, longest_tokens, width]``; zeros for padded tokens and for rows without frames.
    """
    weights = split_weights(token_counts, frame_counts, longest_tokens, frames.shape[1], frames.dtype)
    # A product of matrices in place of a scatter: the same bits in every run, on a GPU too.
    return weights @ frames
