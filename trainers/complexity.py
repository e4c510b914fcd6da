"""What a model costs: its parameters, the operations of a forward pass, and how long one takes."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import benchmark
from torch.utils.flop_counter import FlopCounterMode

from feature_repo.errors import BadInputError
from trainers.mamba.backend import best_backend
from trainers.mamba.mamba import Mamba

BATCH_SIZES = (1, 32)
_LEAST_SECONDS = 0.5


@dataclass(frozen=True)
class Complexity:
    """What a model costs on a batch.

    Attributes:
        parameters: numbers that training changes.
        flops: operations of a forward pass per row of the batch, as :func:`forward_flops` counts them.
        latency_ms: by batch size, the median milliseconds of a forward pass.
    """

    parameters: int
    flops: int
    latency_ms: Mapping[int, float]


def complexity(
    model: nn.Module,
    batch: Any,
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    least_seconds: float = _LEAST_SECONDS,
) -> Complexity:
    """Measure a model on a batch such as it reads; it is left as it was.

    Args:
        model: on any device.
        batch: what the model takes, on its device: a tensor, a mapping of ``SlotInput`` or a ``DialogueBatch``. Its
            padding costs as much as its steps, so a comparison of models takes one batch for all.
        batch_sizes: rows of the passes that are timed. The batch's rows from the first on, over and over if it has
            fewer, with the batch's padding.
        least_seconds: how long a pass is repeated, for each batch size.

    Raises:
        BadInputError: a batch without rows.
    """
    rows = batch_rows(batch)
    if rows < 1:
        raise BadInputError("a batch without rows; allowed: one row or more")
    latency = {
        size: 1e3
        * forward_seconds(model, take(batch, torch.arange(size) % rows), least_seconds=least_seconds)
        for size in batch_sizes
    }
    return Complexity(parameter_count(model), round(forward_flops(model, batch) / rows), latency)


def parameter_count(model: nn.Module) -> int:
    """Numbers that training changes, each shared one once."""
    return sum(one.numel() for one in model.parameters() if one.requires_grad)


def forward_flops(model: nn.Module, batch: Any) -> int:
    """Operations of a forward pass in evaluation mode; a multiplication and an addition count one each.

    Counted are matrix products and convolutions as torch's ``FlopCounterMode`` sees them (two operations per
    multiplication and addition; attention's two products for each pair of tokens, padding included; of a causal
    convolution also the ``d_conv - 1`` outputs that are cut off), and the selective scan by :func:`scan_flops`.
    Mamba-2's scan is the products of its chunks. Not counted, for no model: activations, norms, softmax, scaling,
    masks.

    The model is copied to the CPU for it, since no counter sees into kernels of a GPU.

    Args:
        model: on any device.
        batch: what the model takes.
    """
    counted = copy.deepcopy(model).cpu().eval()
    scanned: list[int] = []

    def scan(block: nn.Module, arguments: tuple[Any, ...]) -> None:
        assert isinstance(block, Mamba)
        x: Tensor = arguments[0]
        rows, steps, _ = x.shape
        whole = scan_flops(rows, steps, block.d_inner, block.d_state)
        # The plain scan reads its states by products, two operations each, which the counter sees by itself.
        plain = best_backend(x.device, x.dtype) == "plain"
        seen = 2 * rows * steps * block.d_inner * block.d_state if plain else 0
        scanned.append(whole - seen)

    for module in counted.modules():
        if isinstance(module, Mamba):
            module.register_forward_pre_hook(scan)
    fused = torch.backends.mha.get_fastpath_enabled()
    # One operation that stands for a whole layer, or for all of attention, would not be seen into.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            counted(_each(batch, lambda part: part.cpu()))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()) + sum(scanned)


def scan_flops(rows: int, steps: int, channels: int, states: int) -> int:
    """Operations of the selective scan (Gu and Dao, "Mamba", section 3.2), padding included.

    Of every step and channel, per state: the decay's exponent and its exponential, the state times the decay, the input
    times B, their sum, the state times C, and adding that up; and besides the states: the input times the step size,
    times D, adding that, and the gate's product.
    """
    return rows * steps * channels * (7 * states + 4)


def forward_seconds(model: nn.Module, batch: Any, *, least_seconds: float = _LEAST_SECONDS) -> float:
    """Median seconds of a forward pass in evaluation mode without gradients, with as many threads as torch has.

    Passes that come first warm up and do not count; on a GPU each waits until it is done.

    Args:
        model: on any device; left in the mode that it was in.
        batch: what the model takes, on its device.
        least_seconds: how long the pass is repeated.
    """
    training = model.training
    model.eval()
    timer = benchmark.Timer(
        "model(batch)", globals={"model": model, "batch": batch}, num_threads=torch.get_num_threads()
    )
    try:
        with torch.inference_mode():
            return float(timer.blocked_autorange(min_run_time=least_seconds).median)
    finally:
        model.train(training)


def take(batch: Any, rows: Tensor) -> Any:
    """Those rows of a tensor, of a mapping, or of a dataclass of such, as the models take them."""
    return _each(batch, lambda part: part[rows.to(part.device)])


def batch_rows(batch: Any) -> int:
    """How many rows a batch has."""
    sizes: list[int] = []

    def note(part: Tensor) -> Tensor:
        sizes.append(len(part))
        return part

    _each(batch, note)
    return sizes[0] if sizes else 0


def _each(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {name: _each(part, change) for name, part in batch.items()}
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        parts = {item.name: _each(getattr(batch, item.name), change) for item in dataclasses.fields(batch)}
        return dataclasses.replace(batch, **parts)
    return batch
