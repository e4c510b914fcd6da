"""Every scan and both blocks in float32 against float64: padded rows, rows of one step, rows of nothing."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.trainers.mamba.scan_inputs import relative_error, run, scan_inputs
from trainers.mamba.backend import best_backend, selective_scan
from trainers.mamba.mamba import Mamba
from trainers.mamba.mamba2 import Mamba2
from trainers.mamba.scan import selective_scan_plain

pytestmark = pytest.mark.long  # float64 references of every size

FORWARD, BACKWARD = 1e-5, 1e-4  # of float32, as the largest error over the largest number

SHAPES = {
    "even": ((4, 16, 64, 16), None),
    "one step each": ((3, 1, 40, 64), None),
    "padded": ((6, 9, 33, 5), [9, 1, 0, 4, 8, 9]),
    "padded to one step": ((3, 4, 12, 3), [1, 1, 1]),
    "the papers' states": ((2, 32, 48, 64), [32, 15]),
}


@pytest.mark.parametrize("backend", ["plain", "numba"])
@pytest.mark.parametrize("name", SHAPES)
def test_scans(backend: str, name: str) -> None:
    if backend == "numba":
        pytest.importorskip("numba", reason="the extra cpu-kernels")
    shape, ends = SHAPES[name]
    lengths = None if ends is None else torch.tensor(ends)

    def scan(**parts: Tensor) -> Tensor:
        return selective_scan(**parts, backend=backend)  # type: ignore[arg-type]

    inputs = scan_inputs(*shape)
    right, right_gradients = run(selective_scan_plain, inputs, torch.float64, lengths)
    found, gradients = run(scan, inputs, torch.float32, lengths)
    assert relative_error(found, right) < FORWARD
    for key, wanted in right_gradients.items():
        assert relative_error(gradients[key], wanted) < BACKWARD, key


def _both(block: nn.Module, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
    read = x.clone().requires_grad_()
    made = block(read, lengths)
    weights = torch.randn(made.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    made.backward(weights.to(made.dtype))
    assert read.grad is not None
    found = {name: part.grad for name, part in block.named_parameters() if part.grad is not None}
    return made.detach(), {"x": read.grad, **found}


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "mamba": lambda: Mamba(48, 16, bias=True),
    "mamba 2, one chunk": lambda: Mamba2(48, 16, headdim=16),
    "mamba 2, chunks of 4": lambda: Mamba2(48, 16, headdim=16, ngroups=2, chunk_size=4),
}


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize(("steps", "ends"), [(16, None), (1, None), (9, [9, 1, 0, 4]), (5, [1, 1, 1, 1])])
def test_blocks(kind: str, steps: int, ends: list[int] | None) -> None:
    torch.manual_seed(0)
    block = BLOCKS[kind]()
    wide = copy.deepcopy(block).double()
    assert best_backend(torch.device("cpu"), torch.float64) == "plain"
    lengths = None if ends is None else torch.tensor(ends)
    x = torch.randn(4, steps, 48)
    found, gradients = _both(block, x, lengths)
    right, right_gradients = _both(wide, x.double(), lengths)
    assert relative_error(found, right) < FORWARD
    for name, wanted in right_gradients.items():
        assert relative_error(gradients[name], wanted) < BACKWARD, name


@pytest.mark.parametrize("steps", [1, 2, 13, 32])
def test_the_block_of_mambapy_with_the_same_weights(steps: int) -> None:
    mambapy = pytest.importorskip("mambapy.mamba", reason="mambapy is for comparison only")
    torch.manual_seed(0)
    right = mambapy.MambaBlock(mambapy.MambaConfig(d_model=48, n_layers=1, d_state=8, pscan=True))
    block = Mamba(48, 8)
    block.load_state_dict(right.state_dict())
    right.load_state_dict(block.state_dict())
    x = torch.randn(3, steps, 48)
    found, gradients = _both(block, x, None)
    theirs = _WithoutLengths(right)
    expected, wanted = _both(theirs, x, None)
    assert relative_error(found, expected.double()) < FORWARD
    for name, gradient in gradients.items():
        other = wanted[name if name == "x" else f"block.{name}"]
        assert relative_error(gradient, other.double()) < BACKWARD, name


class _WithoutLengths(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, lengths: None) -> Tensor:
        made: Tensor = self.block(x)
        return made


@pytest.mark.parametrize("kind", ["mamba", "mamba 2, chunks of 4"])
def test_what_the_backward_pass_keeps_grows_with_the_length_alone(kind: str) -> None:
    torch.manual_seed(0)
    block = BLOCKS[kind]()
    whole: dict[int, int] = {}
    largest: dict[int, int] = {}
    for steps in (16, 64, 256, 1024):
        kept: dict[int, int] = {}

        def note(part: Tensor, kept: dict[int, int] = kept) -> Tensor:
            kept[part.data_ptr()] = part.numel()
            return part

        with torch.autograd.graph.saved_tensors_hooks(note, lambda part: part):
            block(torch.randn(2, steps, 48))
        whole[steps], largest[steps] = sum(kept.values()), max(kept.values())
    # Per step the same, but for the weights.
    per_step = [
        (whole[more] - whole[less]) / (more - less) for less, more in ((16, 64), (64, 256), (256, 1024))
    ]
    assert max(per_step) < 1.1 * min(per_step)
    if kind == "mamba" and best_backend(torch.device("cpu"), torch.float32) == "numba":
        # Rows x steps x channels: nothing has states beside.
        assert largest[1024] == 2 * 1024 * 96
