"""Mamba blocks on top of each other, forward in time or in both directions."""

from typing import cast

import torch
from torch import Tensor, nn

from trainers.fusion.masks import step_mask
from trainers.mamba.mamba import Mamba
from trainers.mamba.mamba2 import Mamba2


class MambaStack(nn.Module):
    """``depth`` Mamba blocks over padded sequences.

    Args:
        width: width of inputs and outputs.
        depth: number of blocks.
        d_state: states per channel.
        d_conv: steps that the convolution sees.
        expand: channels of the scan per input width.
        version: 1 is Mamba, 2 Mamba-2, whose channels are heads of 64.
        residual: whether a block is ``x + Mamba(RMSNorm(x))``, with a last norm behind the stack, as language models
            stack them; else it is Mamba alone.
        both_directions: whether each block also has a Mamba of its own over the reversed sequence, added to the first.

    Raises:
        BadInputError: channels of Mamba-2 that are no whole number of heads.
    """

    def __init__(
        self,
        width: int,
        depth: int = 1,
        *,
        d_state: int = 64,
        d_conv: int = 4,
        expand: int = 2,
        version: int = 1,
        residual: bool = False,
        both_directions: bool = False,
    ) -> None:
        super().__init__()

        def blocks(count: int) -> nn.ModuleList:
            kind = Mamba if version == 1 else Mamba2
            return nn.ModuleList(
                kind(width, d_state=d_state, d_conv=d_conv, expand=expand) for _ in range(count)
            )

        self.forwards = blocks(depth)
        self.backwards = blocks(depth if both_directions else 0)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(depth + 1 if residual else 0))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """``[rows, steps, width]`` of the same and lengths int64 ``[rows]``; what is in the padding means nothing."""
        for level, block in enumerate(self.forwards):
            read = self.norms[level](x) if len(self.norms) else x
            made = block(read, lengths)
            if len(self.backwards):
                backward = self.backwards[level](reversed_steps(read, lengths), lengths)
                made = made + reversed_steps(backward, lengths)
            x = x + made if len(self.norms) else made
        return cast(Tensor, self.norms[-1](x) if len(self.norms) else x)


def reversed_steps(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row's steps in reverse order; its padding stays where it is."""
    step = torch.arange(x.shape[1], device=x.device)[None, :]
    source = torch.where(step_mask(lengths, x.shape[1]), lengths[:, None] - 1 - step, step)
    return x.gather(1, source[..., None].expand_as(x))
