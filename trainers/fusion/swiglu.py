"""SwiGLU: a linear layer whose outputs are gated by a second one."""

from typing import cast

from torch import Tensor, nn


class SwiGLU(nn.Module):
    """``silu(W x + b) * (V x + c)`` (Shazeer, "GLU Variants Improve Transformer", section 2).

    Args:
        inputs: width of the inputs.
        outputs: width of the outputs.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.both = nn.Linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., outputs]`` of ``[..., inputs]``."""
        gate, value = self.both(x).chunk(2, dim=-1)
        return cast(Tensor, nn.functional.silu(gate) * value)
