"""Pre-norm Transformer layers over tokens of which some are missing."""

from typing import cast

import torch
from torch import Tensor, nn


class AttentionStack(nn.Module):
    """``depth`` pre-norm layers behind a learned first token, and a last norm (papers/003 section 3.2).

    Args:
        width: width of the tokens.
        depth: number of layers.
        heads: attention heads.
        ffn_mult: hidden width of the feed-forward network per token width.
        dropout: chance of dropping in attention, feed-forward and residual.
    """

    def __init__(self, width: int, depth: int, *, heads: int, ffn_mult: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(width) * width**-0.5)
        # Layers of their own: nn.TransformerEncoder would start them all from one layer's weights.
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                heads,
                width * ffn_mult,
                dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """What the first token became, ``[rows, width]``.

        Args:
            tokens: ``[rows, tokens, width]``.
            present: bool ``[rows, tokens]``; the others influence nothing, if they are finite.
        """
        first = self.first.expand(len(tokens), 1, -1)
        x = torch.cat([first, tokens], dim=1)
        missing = torch.cat([torch.zeros_like(present[:, :1]), ~present], dim=1)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=missing)
        return cast(Tensor, self.norm(x[:, 0]))
