"""The fused selective scan of a CPU as one step of PyTorch's autograd (kernels in `numba_kernels.py`)."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numba
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainers.mamba import numba_kernels as kernels


class _FusedScan(torch.autograd.Function):
    """The kernels as one step of autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        bias: Tensor,
        z: Tensor,
        gated: bool,
        lengths: Tensor,
    ) -> Tensor:
        A2 = A / float(kernels.LN_2)
        fresh = _fresh(lengths, u.shape[1])
        read = fresh(u)
        out = fresh(u) if gated else read
        arrays: list[Any] = [part.numpy() for part in (u, delta, A2, B, C, D, bias, z)]
        arrays += [gated, lengths.numpy(), read.numpy(), out.numpy()]
        with _threads():
            kernels.scan(*arrays)
        ctx.gated = gated
        ctx.save_for_backward(u, delta, A2, B, C, D, bias, z, lengths, read if gated else u)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, lengths, read = ctx.saved_tensors
        u, delta, A2, B, _, _, bias, z = inputs
        slices, blocks = -(-u.shape[0] // kernels.ROWS), -(-u.shape[2] // kernels.CHANNELS)
        fresh = _fresh(lengths, u.shape[1])
        du, ddelta, dz = fresh(u), fresh(delta), fresh(z)
        dA, dB, dC = (
            u.new_zeros(slices, *A2.shape),
            u.new_zeros(blocks, *B.shape),
            u.new_zeros(blocks, *B.shape),
        )
        dD, dbias = u.new_zeros(slices, *bias.shape), u.new_zeros(slices, *bias.shape)
        arrays: list[Any] = [part.numpy() for part in (dout.contiguous(), *inputs)]
        arrays += [ctx.gated, lengths.numpy(), read.numpy()]
        arrays += [part.numpy() for part in (du, ddelta, dA, dB, dC, dD, dbias, dz)]
        with _threads():
            kernels.scan_back(*arrays)
        summed = [part.sum(dim=0) for part in (dA, dB, dC, dD, dbias)]
        return du, ddelta, *summed, dz if ctx.gated else None, None, None


def selective_scan_numba(
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
    """The gated selective scan of float32 tensors on a CPU; arguments and result as in `selective_scan_plain`.

    Gradients can be taken once, not gradients of gradients.
    """
    rows, steps, channels = u.shape
    zeros = u.new_zeros(channels)
    if lengths is None:
        lengths = torch.full((rows,), steps, dtype=torch.int64)
    fused = cast(Callable[..., Tensor], _FusedScan.apply)  # which has no types
    return fused(
        *(part.contiguous() for part in (u, delta, A, B, C)),
        zeros if D is None else D.contiguous(),
        zeros if delta_bias is None else delta_bias.contiguous(),
        u.new_zeros(0, 0, 0) if z is None else z.contiguous(),
        z is not None,
        lengths.to(torch.int64).clamp(0, steps),
    )


def launched_before_fork() -> bool:
    """Whether this process was forked from one in which kernels had run: OpenMP's threads did not come along."""
    return _launched_in is not None and _launched_in != os.getpid()


def _fresh(lengths: Tensor, steps: int) -> Callable[[Tensor], Tensor]:
    """How to make memory that kernels write to: with zeros only where they leave steps out."""
    return torch.empty_like if bool((lengths == steps).all()) else torch.zeros_like


_launched_in: int | None = None


@contextmanager
def _threads() -> Iterator[None]:
    """As many threads as PyTorch has, for the kernels of the calling thread, and as many for PyTorch afterwards.

    Both ask one OpenMP for theirs, so that a kernel's launch would leave PyTorch with Numba's number, and the sums of
    its later operations would be made in another order.
    """
    global _launched_in
    _launched_in = os.getpid()
    config: Any = numba.config  # its attributes are made at run time
    torchs = torch.get_num_threads()  # first: asking Numba starts its threads
    numbas = numba.get_num_threads()
    numba.set_num_threads(min(torchs, int(config.NUMBA_NUM_THREADS)))
    try:
        yield
    finally:
        numba.set_num_threads(numbas)
        if torch.get_num_threads() != torchs:
            torch.set_num_threads(torchs)
