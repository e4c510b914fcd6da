import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from tests.trainers.mamba.scan_inputs import relative_error, run
from trainers.mamba.ssd import chunked_scan


def step_by_step(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The recurrence as the paper writes it."""
    each = u.shape[2] // B.shape[2]
    B, C = B.repeat_interleave(each, dim=2), C.repeat_interleave(each, dim=2)
    state = torch.zeros(u.shape[0], *u.shape[2:], B.shape[3], dtype=u.dtype)
    read = []
    for t in range(u.shape[1]):
        decay = torch.exp(delta[:, t] * A)[..., None, None]
        state = decay * state + (delta[:, t, :, None] * u[:, t])[..., None] * B[:, t, :, None]
        read.append((state * C[:, t, :, None]).sum(dim=-1))
    return torch.stack(read, dim=1)


def inputs(rows: int, steps: int, heads: int, channels: int, groups: int, states: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "u": normal(rows, steps, heads, channels),
        "delta": torch.exp(normal(rows, steps, heads) - 3),
        "A": -torch.exp(normal(heads)),
        "B": normal(rows, steps, groups, states),
        "C": normal(rows, steps, groups, states),
    }


@pytest.mark.parametrize("steps", [1, 7, 8, 30])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("chunk_size", [1, 8, 256])
def test_like_the_recurrence_in_float64(steps: int, groups: int, chunk_size: int) -> None:
    parts = inputs(3, steps, 4, 5, groups, 6)

    def right_scan(lengths: Tensor | None = None, **kwargs: Tensor) -> Tensor:
        return step_by_step(**kwargs)

    def scan(lengths: Tensor | None = None, **kwargs: Tensor) -> Tensor:
        return chunked_scan(**kwargs, chunk_size=chunk_size)

    right, right_gradients = run(right_scan, parts, torch.float64)
    found, gradients = run(scan, parts, torch.float32)
    assert relative_error(found, right) < 1e-5
    for name in gradients:
        assert relative_error(gradients[name], right_gradients[name]) < 1e-4, name


def test_gradients_are_those_of_finite_differences() -> None:
    parts = inputs(2, 5, 2, 2, 1, 3)

    def scan(*tensors: Tensor) -> Tensor:
        return chunked_scan(**dict(zip(parts, tensors, strict=True)), chunk_size=2)

    assert gradcheck(scan, [part.clone().requires_grad_() for part in parts.values()])


def test_no_steps_give_no_steps() -> None:
    assert chunked_scan(**inputs(2, 0, 4, 5, 1, 6), chunk_size=8).shape == (2, 0, 4, 5)
