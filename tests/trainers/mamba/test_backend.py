import importlib.util
import logging
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from torch import Tensor

from feature_repo.errors import UnknownNameError
from tests.trainers.mamba.scan_inputs import relative_error, run, scan_inputs
from trainers.mamba import backend
from trainers.mamba.mamba2 import Mamba2
from trainers.mamba.scan import selective_scan_plain
from trainers.mamba.ssd import chunked_scan

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    backend._has_omp.cache_clear()
    backend._has_mamba_ssm.cache_clear()
    yield
    backend._has_mamba_ssm.cache_clear()


def test_a_cpu_takes_the_fused_kernel_in_float32_alone() -> None:
    pytest.importorskip("numba", reason="the extra cpu-kernels")
    assert backend.best_backend(CPU, torch.float32) == "numba"
    assert backend.best_backend(CPU, torch.bfloat16) == "numba"
    assert backend.best_backend(CPU, torch.float64) == "plain"


def test_without_numba_the_plain_scan_and_one_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        assert backend.best_backend(CPU, torch.float32) == "plain"
        assert backend.best_backend(CPU, torch.float32) == "plain"
    assert [record.message.count("cpu-kernels") for record in caplog.records] == [1]


@pytest.mark.parametrize(("layer", "expected"), [("omp", "numba"), ("workqueue", "plain"), ("tbb", "plain")])
def test_only_omp_is_trusted(monkeypatch: pytest.MonkeyPatch, layer: str, expected: str) -> None:
    numba = pytest.importorskip("numba", reason="the extra cpu-kernels")
    monkeypatch.setattr(numba, "threading_layer", lambda: layer)
    assert backend.best_backend(CPU, torch.float32) == expected


def test_a_layer_that_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba", reason="the extra cpu-kernels")

    def not_yet() -> str:
        raise ValueError("Threading layer is not initialized.")

    monkeypatch.setattr(numba, "threading_layer", not_yet)
    monkeypatch.setattr(numba.config, "THREADING_LAYER", "workqueue")
    assert backend.best_backend(CPU, torch.float32) == "plain"
    assert numba.config.THREADING_LAYER == "workqueue"
    backend._has_omp.cache_clear()
    monkeypatch.setattr(numba.config, "THREADING_LAYER", "default")
    assert backend.best_backend(CPU, torch.float32) == "numba"
    assert numba.config.THREADING_LAYER == "omp"


def test_another_backend_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="plain"):
        backend.selective_scan(**scan_inputs(1, 2, 3, 2), backend="triton")  # type: ignore[arg-type]


def test_half_precision_is_scanned_in_float32() -> None:
    inputs = scan_inputs(2, 5, 8, 4)
    halves = {name: part.bfloat16() for name, part in inputs.items()}
    found = backend.selective_scan(**halves)
    right = backend.selective_scan(**{name: part.float() for name, part in halves.items()})
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, right.bfloat16())


def test_mamba_ssm_gets_channels_before_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its function is played by the plain scan, with the layout and names that mamba_ssm documents."""

    def selective_scan_fn(
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None = None,
        z: Tensor | None = None,
        delta_bias: Tensor | None = None,
        delta_softplus: bool = False,
        return_last_state: bool = False,
    ) -> Tensor:
        assert delta_softplus
        assert not return_last_state
        assert u.is_contiguous()
        turned = [part.transpose(1, 2) for part in (u, delta, B, C)]
        gate = None if z is None else z.transpose(1, 2)
        y = selective_scan_plain(turned[0], turned[1], A, *turned[2:], D=D, z=gate, delta_bias=delta_bias)
        return y.transpose(1, 2)

    module = ModuleType("mamba_ssm.ops.selective_scan_interface")
    module.selective_scan_fn = selective_scan_fn  # type: ignore[attr-defined]
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    inputs = scan_inputs(3, 6, 8, 4)
    lengths = torch.tensor([6, 1, 4])

    def scan(**parts: Tensor) -> Tensor:
        return backend.selective_scan(**parts, backend="mamba_ssm")

    right, right_gradients = run(selective_scan_plain, inputs, torch.float64, lengths)
    found, gradients = run(scan, inputs, torch.float32, lengths)
    assert relative_error(found, right) < 1e-5
    for name in gradients:
        assert relative_error(gradients[name], right_gradients[name]) < 1e-4, name


@pytest.mark.parametrize("case", ["no rows", "no steps", "more states than it takes"])
def test_mamba_ssm_is_spared_what_it_refuses(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its module is not there at all, so that calling it would fail.
    monkeypatch.setitem(sys.modules, "mamba_ssm.ops.selective_scan_interface", None)
    inputs = {name: part.float() for name, part in scan_inputs(2, 3, 4, 257).items()}
    if case != "more states than it takes":
        cut = (slice(0), slice(None)) if case == "no rows" else (slice(None), slice(0))
        inputs = {name: part[cut] if part.dim() == 3 else part for name, part in inputs.items()}
    assert torch.equal(
        backend.selective_scan(**inputs, backend="mamba_ssm"),
        backend.selective_scan(**inputs, backend="plain"),
    )


def test_on_a_gpu_without_mamba_ssm_the_plain_scan_and_one_word(caplog: pytest.LogCaptureFixture) -> None:
    if importlib.util.find_spec("mamba_ssm") is not None:
        pytest.skip("mamba-ssm is installed")
    with caplog.at_level(logging.WARNING):
        assert backend.best_backend(torch.device("cuda"), torch.float32) == "plain"
        assert backend.best_backend(torch.device("cuda"), torch.float32) == "plain"
    assert [record.message.count("affectstore[cuda]") for record in caplog.records] == [1]


def test_mamba_ssm_of_another_pytorch_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> ModuleType:
        raise ImportError("undefined symbol: _ZN3c10")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr("importlib.import_module", broken)
    with caplog.at_level(logging.WARNING):
        assert backend.best_backend(torch.device("cuda"), torch.float32) == "plain"
    assert "undefined symbol: _ZN3c10" in caplog.text


def test_mamba_ssm_that_loads_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr("importlib.import_module", lambda name: taken.append(name))
    assert backend.best_backend(torch.device("cuda"), torch.bfloat16) == "mamba_ssm"
    assert taken == ["mamba_ssm.ops.selective_scan_interface", "mamba_ssm.ops.triton.ssd_combined"]
    assert backend.best_backend(torch.device("cuda"), torch.float64) == "plain"


def test_mamba_ssm_scans_by_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[list[int], int]] = []

    def mamba_chunk_scan_combined(
        x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_size: int, D: Tensor | None = None
    ) -> Tensor:
        taken.append((list(x.shape), chunk_size))
        return chunked_scan(x, dt, A, B, C, chunk_size=1)

    module = ModuleType("mamba_ssm.ops.triton.ssd_combined")
    module.mamba_chunk_scan_combined = mamba_chunk_scan_combined  # type: ignore[attr-defined]
    for name in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.triton"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    torch.manual_seed(0)
    block = Mamba2(16, 4, headdim=8, chunk_size=64)
    x = torch.randn(2, 5, 16)
    right = block(x)
    monkeypatch.setattr(backend, "best_backend", lambda device, dtype: "mamba_ssm")
    torch.testing.assert_close(block(x), right)
    assert taken == [([2, 5, 4, 8], 64)]
