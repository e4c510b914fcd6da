import multiprocessing
import subprocess
import sys
import threading

import pytest
import torch

pytest.importorskip("numba", reason="the extra cpu-kernels")

from tests.trainers.mamba.scan_inputs import relative_error, run, scan_inputs
from trainers.mamba.numba_scan import launched_before_fork, selective_scan_numba
from trainers.mamba.scan import selective_scan_plain

FIRST_SCAN = """
import torch

from tests.trainers.mamba.scan_inputs import run, scan_inputs
from trainers.mamba.numba_scan import selective_scan_numba

torch.set_num_threads(1)
print(torch.get_num_threads())
run(selective_scan_numba, scan_inputs(2, 6, 40, 4), torch.float32)
print(torch.get_num_threads())
"""

FORWARD, BACKWARD = 1e-5, 1e-4  # of issue 4

SHAPES = {
    "even": ((4, 16, 64, 16), None),
    "one step": ((3, 1, 40, 64), None),
    "padded": ((6, 9, 33, 5), [9, 1, 0, 4, 8, 9]),
    "many channels": ((5, 6, 300, 7), [6, 6, 5, 1, 2]),
    "long": ((2, 150, 8, 64), [150, 149]),
    "no steps": ((2, 0, 5, 3), None),
    "one state": ((2, 7, 5, 1), None),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("without", [(), ("z",), ("D", "delta_bias"), ("D", "z", "delta_bias")])
def test_like_the_plain_scan_in_float64(name: str, without: tuple[str, ...]) -> None:
    shape, ends = SHAPES[name]
    lengths = None if ends is None else torch.tensor(ends)
    inputs = {key: part for key, part in scan_inputs(*shape).items() if key not in without}
    right, right_gradients = run(selective_scan_plain, inputs, torch.float64, lengths)
    found, gradients = run(selective_scan_numba, inputs, torch.float32, lengths)
    assert found.shape == right.shape
    if not found.numel():
        return
    assert relative_error(found, right) < FORWARD
    # Only A has none, where no state lives for a second step.
    assert gradients.keys() | {"A"} == inputs.keys()
    for key in right_gradients:
        assert relative_error(gradients[key], right_gradients[key]) < BACKWARD, key


def test_extreme_numbers_do_as_in_float64() -> None:
    inputs = scan_inputs(2, 8, 6, 4)
    inputs["delta"][0] *= 30  # step sizes from 0 to 200: decays from one to nothing
    inputs["z"][1] *= 60
    right, right_gradients = run(selective_scan_plain, inputs, torch.float64)
    found, gradients = run(selective_scan_numba, inputs, torch.float32)
    assert relative_error(found, right) < FORWARD
    for key in gradients:
        assert relative_error(gradients[key], right_gradients[key]) < BACKWARD, key


def test_a_fault_in_the_inputs_shows() -> None:
    inputs = {key: part.float() for key, part in scan_inputs(1, 5, 3, 2).items()}
    inputs["delta"][0, 2, 1] = float("nan")
    found = selective_scan_numba(**inputs)
    assert torch.isnan(found[0, :, 1]).tolist() == [False, False, True, True, True]
    assert not torch.isnan(found[0, :, [0, 2]]).any()


def test_what_lies_behind_the_end_is_not_read() -> None:
    inputs = scan_inputs(2, 6, 40, 4)
    lengths = torch.tensor([3, 6])
    clean, clean_gradients = run(selective_scan_numba, inputs, torch.float32, lengths)
    for name in ("u", "delta", "B", "C", "z"):
        inputs[name][0, 3:] = float("nan")
    found, gradients = run(selective_scan_numba, inputs, torch.float32, lengths)
    assert torch.equal(found, clean)
    assert all(torch.equal(gradients[name], clean_gradients[name]) for name in gradients)


def test_the_number_of_threads_changes_no_bit() -> None:
    inputs = scan_inputs(9, 12, 520, 8)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(run(selective_scan_numba, inputs, torch.float32))
    finally:
        torch.set_num_threads(before)
    (one, one_gradients), (two, two_gradients) = results
    assert torch.equal(one, two)
    assert all(torch.equal(one_gradients[name], two_gradients[name]) for name in one_gradients)


def test_pytorch_keeps_its_number_of_threads() -> None:
    told = subprocess.run(  # Numba starts its threads once in a process
        [sys.executable, "-c", FIRST_SCAN], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["1", "1"]


def test_inputs_need_not_be_contiguous() -> None:
    inputs = {key: part.float() for key, part in scan_inputs(3, 5, 8, 4).items()}
    right = selective_scan_numba(**inputs)
    both = torch.cat([inputs["u"], inputs["z"]], dim=-1)
    inputs["u"], inputs["z"] = both.chunk(2, dim=-1)
    inputs["B"] = inputs["B"].transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(selective_scan_numba(**inputs), right)


def test_two_threads_may_scan_at_once() -> None:
    # In a process of its own: what this guards against ends the process.
    code = """
import threading, torch
from trainers.mamba.backend import best_backend, selective_scan
assert best_backend(torch.device("cpu"), torch.float32) == "numba"
u = torch.randn(4, 16, 64); B = torch.randn(4, 16, 8); A = -torch.ones(64, 8)
right = selective_scan(u, u, A, B, B)
same = []
def scan():
    for _ in range(50):
        same.append(torch.equal(selective_scan(u, u, A, B, B), right))
threads = [threading.Thread(target=scan) for _ in range(2)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(len(same), all(same))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["100", "True"], done.stderr


def _scan_in_child(results: "multiprocessing.Queue[object]") -> None:
    from trainers.mamba.backend import best_backend

    results.put((launched_before_fork(), best_backend(torch.device("cpu"), torch.float32)))


def test_a_forked_process_takes_the_plain_scan() -> None:
    run(selective_scan_numba, scan_inputs(1, 2, 3, 2), torch.float32)
    assert not launched_before_fork()
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[object] = context.Queue()
    child = context.Process(target=_scan_in_child, args=(results,))
    child.start()
    assert results.get(timeout=60) == (True, "plain")
    child.join()


def test_memory_does_not_grow_with_the_states() -> None:
    # What autograd keeps of one scan: never batch x steps x channels x states numbers.
    inputs = {key: part.float().requires_grad_() for key, part in scan_inputs(2, 64, 128, 64).items()}
    kept: list[int] = []

    def note(part: torch.Tensor) -> torch.Tensor:
        kept.append(part.numel())
        return part

    with torch.autograd.graph.saved_tensors_hooks(note, lambda part: part):
        selective_scan_numba(**inputs)
    assert max(kept) == 2 * 64 * 128


def test_each_thread_keeps_its_own_number_of_threads() -> None:
    numba = pytest.importorskip("numba")
    before = numba.get_num_threads()
    thread = threading.Thread(
        target=lambda: run(selective_scan_numba, scan_inputs(1, 2, 3, 2), torch.float32)
    )
    thread.start()
    thread.join()
    assert numba.get_num_threads() == before
