"""Which selective scan runs: the kernels of mamba_ssm on CUDA, the fused one on a CPU, else the plain one."""

import functools
import importlib
import importlib.util
import logging
from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from torch import Tensor

from feature_repo.errors import UnknownNameError
from trainers.mamba.scan import blanked, selective_scan_plain
from trainers.mamba.ssd import chunked_scan

Backend = Literal["mamba_ssm", "numba", "plain"]
BACKENDS: tuple[Backend, ...] = ("mamba_ssm", "numba", "plain")
# More than this the CUDA kernel refuses (csrc/selective_scan/selective_scan.cpp of mamba_ssm 2.3).
_MOST_STATES = 256


def selective_scan(
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
    backend: Backend | None = None,
) -> Tensor:
    """The gated selective scan; arguments and result as in `trainers.mamba.scan.selective_scan_plain`.

    Half precision (as under autocast) is scanned in float32, since errors of decays multiply over the steps.

    Args:
        u: the inputs ``[b, n, d]``.
        delta: the step sizes before bias and softplus ``[b, n, d]``.
        A: ``[d, s]``, negative.
        B: how inputs enter the states ``[b, n, s]``.
        C: how states are read ``[b, n, s]``.
        D: weight of the skip ``[d]``.
        z: the gate before its silu ``[b, n, d]``.
        delta_bias: ``[d]``.
        lengths: steps per row, int64 ``[b]``.
        backend: one of `BACKENDS`; None takes what `best_backend` says.

    Returns:
        ``[b, n, d]`` in the type of ``u``.

    Raises:
        UnknownNameError: on another backend.
    """
    chosen = best_backend(u.device, u.dtype) if backend is None else backend
    scan: Callable[..., Tensor]
    if chosen == "plain":
        scan = selective_scan_plain
    elif chosen == "numba":
        from trainers.mamba.numba_scan import selective_scan_numba as scan  # needs the extra cpu-kernels
    elif chosen == "mamba_ssm":
        scan = _selective_scan_cuda
    else:
        raise UnknownNameError("scan backend", chosen, BACKENDS)

    def wide(part: Tensor | None) -> Tensor | None:
        return part if part is None or part.dtype == torch.float64 else part.float()

    parts = [cast(Tensor, wide(part)) for part in (u, delta, A, B, C)]
    with torch.autocast(u.device.type, enabled=False):
        y = scan(*parts, D=wide(D), z=wide(z), delta_bias=wide(delta_bias), lengths=lengths)
    return y.to(u.dtype)


def scan_by_heads(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, chunk_size: int) -> Tensor:
    """The scan of Mamba-2; arguments and result as in `trainers.mamba.ssd.chunked_scan`.

    The Triton kernels of mamba_ssm multiply float32 in TF32, which keeps about three digits, unless the environment
    says ``TRITON_F32_DEFAULT=ieee``; and add up in any order, unless it says ``MAMBA_DETERMINISTIC=1``.
    """
    if best_backend(u.device, u.dtype) == "mamba_ssm" and u.numel():
        from mamba_ssm.ops.triton.ssd_combined import (
            mamba_chunk_scan_combined,  # the extra cuda; imports Triton
        )

        return cast(Tensor, mamba_chunk_scan_combined(u, delta, A, B, C, chunk_size))
    return chunked_scan(u, delta, A, B, C, chunk_size=chunk_size)


def best_backend(device: torch.device, dtype: torch.dtype) -> Backend:
    """The fastest backend for tensors of this device and type, of those that are installed and safe here."""
    if dtype == torch.float64:
        return "plain"
    if device.type == "cuda" and _has_mamba_ssm():
        return "mamba_ssm"
    if device.type == "cpu" and _has_omp():
        from trainers.mamba.numba_scan import launched_before_fork  # needs the extra cpu-kernels

        return "plain" if launched_before_fork() else "numba"
    return "plain"


@functools.cache
def _has_mamba_ssm() -> bool:
    """Whether the kernels of mamba_ssm are there and load; it is built for one version of PyTorch and of CUDA."""
    reason = "mamba-ssm is not installed; the extra affectstore[cuda] brings it"
    if importlib.util.find_spec("mamba_ssm") is not None:
        try:
            importlib.import_module("mamba_ssm.ops.selective_scan_interface")
            importlib.import_module("mamba_ssm.ops.triton.ssd_combined")
            return True
        except (ImportError, OSError, RuntimeError) as error:
            reason = f"mamba-ssm does not load: {error}"
    logging.getLogger(__name__).warning("Mamba runs step by step on the GPU: %s", reason)
    return False


@functools.cache
def _has_omp() -> bool:
    """Whether Numba is there and runs on OpenMP; it is asked for where nobody has chosen otherwise.

    Numba's `workqueue` aborts the process when two threads start kernels at the same time; `omp` does not.
    """
    if importlib.util.find_spec("numba") is None:
        logging.getLogger(__name__).warning(
            "Mamba runs step by step: numba is not installed; the extra affectstore[cpu-kernels] brings it"
        )
        return False
    if importlib.util.find_spec("numba.np.ufunc.omppool") is None:  # built without OpenMP
        return False
    numba: Any = importlib.import_module("numba")  # slow to import, and an extra
    try:
        return bool(numba.threading_layer() == "omp")
    except ValueError:  # nothing has run in parallel so far
        if numba.config.THREADING_LAYER == "default":
            numba.config.THREADING_LAYER = "omp"
        return bool(numba.config.THREADING_LAYER == "omp")


def _selective_scan_cuda(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    *,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    lengths: Tensor | None,
) -> Tensor:
    """The scan of mamba_ssm, which has channels before steps and knows no lengths, nor a batch of nothing.

    Its backward pass adds up the gradients of A, B and C in any order, so that the last bits differ between runs.
    """
    if not u.numel() or A.shape[1] > _MOST_STATES:
        return selective_scan_plain(u, delta, A, B, C, D=D, z=z, delta_bias=delta_bias, lengths=lengths)
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # the extra cuda; imports Triton

    if lengths is not None:
        u, delta, B, C = blanked(lengths, u, delta, B, C)
        z = None if z is None else blanked(lengths, z)[0]
    u, delta, B, C = (part.transpose(1, 2).contiguous() for part in (u, delta, B, C))
    z = None if z is None else z.transpose(1, 2).contiguous()
    y = selective_scan_fn(u, delta, A, B, C, D=D, z=z, delta_bias=delta_bias, delta_softplus=True)
    return cast(Tensor, y.transpose(1, 2))
