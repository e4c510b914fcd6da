"""The blocks on a GPU: like their float64 reference, and like mamba_ssm's own with its weights and with ours."""

import importlib.util
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.trainers.mamba.scan_inputs import relative_error, scan_inputs
from trainers.mamba.backend import best_backend, selective_scan
from trainers.mamba.mamba import Mamba
from trainers.mamba.mamba2 import Mamba2
from trainers.mamba.scan import selective_scan_plain

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() or importlib.util.find_spec("mamba_ssm") is None,
    reason="needs a GPU and the extra cuda (mamba-ssm)",
)

FORWARD, BACKWARD = 1e-5, 1e-4
# The Triton kernels of Mamba-2 multiply in TF32: ten bits of a number.
TF32_FORWARD, TF32_BACKWARD = 5e-3, 2e-2

SHAPES = {
    "even": ((4, 16, 64, 16), None),
    "one step": ((3, 1, 40, 64), None),
    "padded": ((6, 9, 33, 5), [9, 1, 0, 4, 8, 9]),
    "over the kernel's chunk": ((2, 2100, 8, 64), [2100, 2049]),
    "no steps": ((2, 0, 5, 3), None),
    "many states": ((2, 5, 8, 300), None),
}


@pytest.fixture(autouse=True)
def _full_float32() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _run(inputs: dict[str, Tensor], lengths: Tensor | None, backend: str) -> tuple[Tensor, dict[str, Tensor]]:
    """Output and gradients on the CPU in float64, of a scan on the GPU in float32 or of the reference."""
    kind, device = (torch.float64, "cpu") if backend == "reference" else (torch.float32, "cuda")
    leaves = {name: part.to(device, kind, copy=True).requires_grad_() for name, part in inputs.items()}
    ends = None if lengths is None else lengths.to(device)
    if backend == "reference":
        out = selective_scan_plain(**leaves, lengths=ends)
    else:
        out = selective_scan(**leaves, lengths=ends, backend=backend)  # type: ignore[arg-type]
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    out.backward(weights.to(device, kind))
    grads = {name: part.grad.double().cpu() for name, part in leaves.items() if part.grad is not None}
    return out.detach().double().cpu(), grads


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("without", [(), ("z",), ("D", "delta_bias"), ("D", "z", "delta_bias")])
@pytest.mark.parametrize("backend", ["mamba_ssm", "plain"])
def test_scans_are_like_float64(name: str, without: tuple[str, ...], backend: str) -> None:
    shape, ends = SHAPES[name]
    if shape[1] > 1000 and (backend == "plain" or without):
        pytest.skip("thousands of small steps of the reference: once is enough")
    lengths = None if ends is None else torch.tensor(ends)
    inputs = {key: part for key, part in scan_inputs(*shape).items() if key not in without}
    right, right_gradients = _run(inputs, lengths, "reference")
    found, gradients = _run(inputs, lengths, backend)
    assert found.shape == right.shape
    if not found.numel():
        return
    assert relative_error(found, right) < FORWARD
    for key in right_gradients:
        assert relative_error(gradients[key], right_gradients[key]) < BACKWARD, key


def test_a_gpu_takes_mamba_ssm() -> None:
    assert best_backend(torch.device("cuda"), torch.float32) == "mamba_ssm"
    assert best_backend(torch.device("cuda"), torch.float64) == "plain"


def _pair(version: int) -> tuple[nn.Module, nn.Module]:
    """Our block and mamba_ssm's, with fresh weights of their own."""
    import mamba_ssm

    torch.manual_seed(0)
    if version == 1:
        ours: nn.Module = Mamba(64, 16)
        theirs: nn.Module = mamba_ssm.Mamba(64, 16)
    else:
        ours, theirs = Mamba2(64, 16, headdim=32), mamba_ssm.Mamba2(64, 16, headdim=32)
    return ours.cuda(), theirs.cuda()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("steps", [1, 7, 300])
@pytest.mark.parametrize("weights", ["ours", "theirs"])
def test_blocks_are_like_mamba_ssms(version: int, steps: int, weights: str) -> None:
    if version == 2:
        pytest.importorskip("causal_conv1d", reason="mamba_ssm.Mamba2 does not run without causal-conv1d")
    ours, theirs = _pair(version)
    if weights == "ours":
        theirs.load_state_dict(ours.state_dict())
    else:
        ours.load_state_dict(theirs.state_dict())
    forward, backward = (FORWARD, BACKWARD) if version == 1 else (TF32_FORWARD, TF32_BACKWARD)
    x = torch.randn(3, steps, 64, device="cuda")
    weighting = torch.randn_like(x)
    gradients = []
    outputs = []
    for block in (ours, theirs):
        read = x.clone().requires_grad_()
        made = block(read)
        made.backward(weighting)
        outputs.append(made.detach())
        assert read.grad is not None
        named = {name: part.grad for name, part in block.named_parameters()}
        gradients.append({"x": read.grad, **named})
    assert relative_error(outputs[0], outputs[1].double()) < forward
    for name, right in gradients[1].items():
        assert relative_error(gradients[0][name], right.double()) < backward, name


@pytest.mark.parametrize("version", [1, 2])
def test_blocks_on_a_gpu_are_those_on_a_cpu(version: int) -> None:
    block, _ = _pair(version)
    x, lengths = torch.randn(4, 9, 64), torch.tensor([9, 1, 0, 5])
    found = block(x.cuda(), lengths.cuda()).cpu()
    right = block.cpu().double()(x.double(), lengths).detach()
    assert relative_error(found, right) < (FORWARD if version == 1 else TF32_FORWARD)
    assert not found[2].any()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_blocks_under_autocast(version: int, kind: torch.dtype) -> None:
    block, _ = _pair(version)
    x = torch.randn(4, 9, 64, device="cuda")
    with torch.autocast("cuda", kind):
        made = block(x, torch.tensor([9, 1, 3, 5], device="cuda"))
    made.float().square().sum().backward()
    right = block(x, torch.tensor([9, 1, 3, 5], device="cuda")).detach()
    assert relative_error(made.detach(), right.double()) < 0.05
    assert all(torch.isfinite(part.grad).all() for part in block.parameters() if part.grad is not None)


def test_padding_changes_nothing_on_a_gpu() -> None:
    block, _ = _pair(1)
    rows = [torch.randn(length, 64, device="cuda") for length in (5, 1, 3)]
    padded = torch.full((3, 7, 64), float("nan"), device="cuda")
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    together = block(padded, torch.tensor([5, 1, 3], device="cuda"))
    for index, row in enumerate(rows):
        alone = block(row[None])[0].detach()
        assert relative_error(together[index, : len(row)], alone.double()) < FORWARD
        assert not together[index, len(row) :].any()
