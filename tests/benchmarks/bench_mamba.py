"""The Mamba block on a CPU: against its own matrix products, other implementations, and longer sequences.

Run it as ``python -m tests.benchmarks.bench_mamba [--threads 2] [--repeats 5] [--turns 1] [--cpu-time]``: 32 rows of
32 steps, d_model 1024, d_state 64, expand 2, d_conv 4, forward and backward of the whole block, the best of runs that
take turns.
Time and memory by length are of 2 rows. The others' blocks have the same weights, and their turns alternate with ours;
how far their output is from ours is told too. Implementations that are not installed are left out.
"""

import argparse
import gc
import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from trainers.mamba.backend import best_backend, selective_scan
from trainers.mamba.mamba import Mamba
from trainers.mamba.mamba2 import Mamba2

ROWS, STEPS, WIDTH, STATES = 32, 32, 1024, 64
LENGTHS = (16, 64, 256, 1024)
Work = Callable[[], object]


def there_and_back(module: nn.Module, rows: int = ROWS, steps: int = STEPS) -> Work:
    """Forward and backward of a module over steps, down to the inputs."""
    x = torch.randn(rows, steps, WIDTH, requires_grad=True)
    weights = torch.randn(rows, steps, WIDTH)

    def work() -> None:
        module.zero_grad()
        x.grad = None
        module(x).backward(weights)

    return work


def products(block: Mamba) -> Work:
    """The four matrix products of the block, forward and backward, and nothing else."""
    layers = [block.in_proj.weight, block.x_proj.weight, block.dt_proj.weight, block.out_proj.weight]
    inputs = [torch.randn(ROWS * STEPS, layer.shape[1], requires_grad=True) for layer in layers]
    weights = [torch.randn(ROWS * STEPS, layer.shape[0]) for layer in layers]

    def work() -> None:
        for layer, x, weight in zip(layers, inputs, weights, strict=True):
            layer.grad = x.grad = None
            nn.functional.linear(x, layer).backward(weight)

    return work


def scan_alone() -> Work:
    """The selective scan of the block without anything around it."""
    channels = 2 * WIDTH
    parts: dict[str, Tensor] = {name: torch.randn(ROWS, STEPS, channels) for name in ("u", "delta", "z")}
    parts |= {name: torch.randn(ROWS, STEPS, STATES) for name in ("B", "C")}
    parts |= {"A": -torch.arange(1.0, STATES + 1).repeat(channels, 1), "D": torch.ones(channels)}
    parts["delta"] -= 4
    weights = torch.randn(ROWS, STEPS, channels)
    for part in parts.values():
        part.requires_grad_()

    def work() -> None:
        for part in parts.values():
            part.grad = None
        selective_scan(**parts).backward(weights)

    return work


def others(block: Mamba) -> dict[str, nn.Module]:
    """The same block by others with the same weights, as far as they are installed."""
    found: dict[str, nn.Module] = {}
    if importlib.util.find_spec("mambapy") is not None:
        from mambapy.mamba import MambaBlock, MambaConfig

        found["mambapy, pscan"] = MambaBlock(
            MambaConfig(d_model=WIDTH, n_layers=1, d_state=STATES, expand_factor=2, d_conv=4, pscan=True)
        )
    if importlib.util.find_spec("transformers") is not None:
        import transformers
        from transformers.models.mamba.modeling_mamba import MambaMixer

        config = transformers.MambaConfig(
            hidden_size=WIDTH, state_size=STATES, expand=2, conv_kernel=4, num_hidden_layers=1
        )
        found["transformers, MambaMixer"] = MambaMixer(config, 0)
    for module in found.values():
        module.load_state_dict(block.state_dict())
    return found


def difference(module: nn.Module, block: Mamba) -> float:
    """The largest difference of the outputs over the largest output."""
    x = torch.randn(2, STEPS, WIDTH)
    with torch.no_grad():
        right = block(x)
        return float((module(x) - right).abs().max() / right.abs().max())


def seconds(
    work: Mapping[str, Work], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Best times of pieces of work that take turns, after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(repeats + 1):
        for name, do in work.items():
            began = clock()
            do()
            if turn:
                times[name].append(clock() - began)
    return {name: min(taken) for name, taken in times.items()}


def memory(kind: str, steps: int, threads: int) -> float:
    """How far the peak of a fresh process rises over a block of that length, in MiB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_rise, (kind, steps, threads))


def _rise(kind: str, steps: int, threads: int) -> float:
    torch.set_num_threads(threads)
    module = Mamba(WIDTH, STATES) if kind == "Mamba" else Mamba2(WIDTH, STATES, chunk_size=32)
    there_and_back(module, 2, 1)()  # what code, weights and their gradients take is no matter of length
    work = there_and_back(module, 2, steps)
    gc.collect()
    before = _peak()
    work()
    return _peak() - before


def _peak() -> float:
    """The most memory that this process has held so far, in MiB; `getrusage` would count the parent's in."""
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--turns", type=int, default=1, help="of the others' blocks, which are slow; 0: without"
    )
    parser.add_argument(
        "--cpu-time", action="store_true", help="processor time: for a machine that others use too"
    )
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    clock = time.process_time if given.cpu_time else time.perf_counter
    backend = best_backend(torch.device("cpu"), torch.float32)
    print(
        f"{ROWS} x {STEPS} steps, d_model {WIDTH}, d_state {STATES}, {given.threads} threads, backend {backend}"
    )
    block = Mamba(WIDTH, STATES)
    own = {
        "products": products(block),
        "scan": scan_alone(),
        "block": there_and_back(block),
        "Mamba2": there_and_back(Mamba2(WIDTH, STATES)),
    }
    taken = seconds(own, given.repeats, clock)
    for name, time_taken in taken.items():
        print(f"{name:24} {time_taken:7.3f} s  {time_taken / taken['products']:6.2f} x products")
    for name, module in (others(block) if given.turns else {}).items():
        both = seconds({"ours": there_and_back(block), "theirs": there_and_back(module)}, given.turns, clock)
        print(
            f"{name:24} {both['theirs']:7.3f} s  {both['theirs'] / both['ours']:6.2f} x block ({both['ours']:.3f} s),"
            f" output within {difference(module, block):.0e}"
        )
    print("2 rows: steps, seconds and microseconds per step, MiB above what one step takes")
    for kind, module in {"Mamba": block, "Mamba2": Mamba2(WIDTH, STATES, chunk_size=32)}.items():
        for steps in LENGTHS:
            lasted = seconds({"it": there_and_back(module, 2, steps)}, given.repeats, clock)["it"]
            rise = memory(kind, steps, given.threads)
            print(f"{kind:7} {steps:5} {lasted:8.4f} s {1e6 * lasted / steps:8.1f} us {rise:8.1f} MiB")


if __name__ == "__main__":
    main()
