"""Inputs of a selective scan, and the error of results against float64."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def scan_inputs(rows: int, steps: int, channels: int, states: int) -> dict[str, Tensor]:
    """Float64 inputs whose step sizes reach from 1e-3 to 1, as in a trained block."""
    generator = torch.Generator().manual_seed(rows * 1000 + steps)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "u": normal(rows, steps, channels),
        "delta": normal(rows, steps, channels) * 2 - 3,
        "A": -torch.exp(normal(channels, states)) - 0.01,
        "B": normal(rows, steps, states),
        "C": normal(rows, steps, states),
        "D": normal(channels),
        "z": normal(rows, steps, channels) * 3,
        "delta_bias": normal(channels),
    }


def by_hand(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    lengths: Tensor | None = None,
) -> list[list[list[float]]]:
    """The formula of the paper number by number, in Python's floats."""
    rows, steps, channels = u.shape
    ends = [steps] * rows if lengths is None else lengths.tolist()
    out = [[[0.0] * channels for _ in range(steps)] for _ in range(rows)]
    for row in range(rows):
        for channel in range(channels):
            state = [0.0] * A.shape[1]
            for step in range(ends[row]):
                size = math.log1p(math.exp(float(delta[row, step, channel] + delta_bias[channel])))
                x = float(u[row, step, channel])
                y = float(D[channel]) * x
                for s in range(len(state)):
                    state[s] *= math.exp(size * float(A[channel, s]))
                    state[s] += size * float(B[row, step, s]) * x
                    y += float(C[row, step, s]) * state[s]
                gate = float(z[row, step, channel])
                out[row][step][channel] = y * gate / (1 + math.exp(-gate))
    return out


def run(
    scan: Callable[..., Tensor], inputs: dict[str, Tensor], dtype: torch.dtype, lengths: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output of a scan and the gradients of a fixed weighting of it."""
    leaves = {name: part.to(dtype, copy=True).requires_grad_() for name, part in inputs.items()}
    out = scan(**leaves, lengths=lengths)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    out.backward(weights.to(dtype))
    return out.detach(), {name: part.grad for name, part in leaves.items() if part.grad is not None}


def relative_error(found: Tensor, right: Tensor) -> float:
    """The largest error over the largest number."""
    largest = float(right.abs().max())
    error = float((found.double() - right).abs().max())
    return error / largest if largest else error
