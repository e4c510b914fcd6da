"""On a GPU: the Mamba blocks against mamba_ssm's own, and a whole step of fusion training.

Run it as ``python -m tests.benchmarks.bench_cuda [--repeats 50]``: 32 rows of 32 steps and of 512, d_model 1024,
d_state 64, expand 2, d_conv 4, forward and backward of the whole block with the same weights, in turns, the median of
each; in float32 and under bfloat16. Then a training step of Mamba fusion (batch 32, 32 tokens of 768, 8 frames of 128,
a speaker vector of 128): batch to the device, forward, backward, AdamW. Without a GPU it says so and ends.
"""

import argparse
import contextlib
import importlib.util
import statistics
from collections.abc import Callable, Mapping

import torch
from torch import nn

from trainers.fusion.config import MambaFusionConfig
from trainers.fusion.inputs import SlotInput
from trainers.fusion.mamba_fusion import MambaFusion
from trainers.fusion.slots import Slot
from trainers.mamba.backend import best_backend
from trainers.mamba.mamba import Mamba
from trainers.mamba.mamba2 import Mamba2
from trainers.parameter_groups import parameter_groups

ROWS, WIDTH, STATES = 32, 1024, 64
LENGTHS = (32, 512)
Work = Callable[[], object]


def milliseconds(work: Mapping[str, Work], repeats: int) -> dict[str, float]:
    """Median times of pieces of work that take turns, after some turns that do not count."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(repeats + 5):
        for name, do in work.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            do()
            end.record()
            torch.cuda.synchronize()
            if turn >= 5:
                times[name].append(begin.elapsed_time(end))
    return {name: statistics.median(taken) for name, taken in times.items()}


def there_and_back(block: nn.Module, steps: int, kind: torch.dtype | None) -> Work:
    """Forward and backward of a block over steps, down to the inputs; under autocast if a type is given."""
    x = torch.randn(ROWS, steps, WIDTH, device="cuda", requires_grad=True)
    weights = torch.randn(ROWS, steps, WIDTH, device="cuda")

    def work() -> None:
        block.zero_grad()
        x.grad = None
        with torch.autocast("cuda", kind) if kind else contextlib.nullcontext():
            made = block(x)
        made.backward(weights.to(made.dtype))

    return work


def step(kind: torch.dtype | None) -> Work:
    """A step of Mamba fusion's training on a batch that lies on the CPU, as a loader leaves it."""
    slots = (Slot("text", 768), Slot("face", 128), Slot("speaker", 128, every_step=True))
    model = MambaFusion(slots, 7, MambaFusionConfig()).cuda()
    optimizer = torch.optim.AdamW(parameter_groups(model, 0.01), lr=1e-5, fused=True)
    present = torch.ones(ROWS, dtype=torch.bool)
    batch = {
        "text": SlotInput(torch.randn(ROWS, 32, 768), present, torch.randint(1, 33, (ROWS,))),
        "face": SlotInput(torch.randn(ROWS, 8, 128), present, torch.randint(1, 9, (ROWS,))),
        "speaker": SlotInput(torch.randn(ROWS, 128), present),
    }
    labels = torch.randint(0, 7, (ROWS,)).cuda()

    def work() -> None:
        optimizer.zero_grad()
        here = {name: slot.to("cuda") for name, slot in batch.items()}
        with torch.autocast("cuda", kind) if kind else contextlib.nullcontext():
            loss = nn.functional.cross_entropy(model(here).float(), labels, label_smoothing=0.2)
        loss.backward()
        optimizer.step()

    return work


def difference(ours: nn.Module, theirs: nn.Module) -> float:
    """The largest difference of the outputs over the largest output."""
    x = torch.randn(ROWS, LENGTHS[0], WIDTH, device="cuda")
    with torch.no_grad():
        right = theirs(x)
        return float((ours(x) - right).abs().max() / right.abs().max())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=50)
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU: nothing to measure")
        return
    torch.manual_seed(0)
    backend = best_backend(torch.device("cuda"), torch.float32)
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}, backend {backend}"
    )
    blocks: dict[str, tuple[nn.Module, nn.Module | None]] = {
        "Mamba": (Mamba(WIDTH, STATES).cuda(), None),
        "Mamba2": (Mamba2(WIDTH, STATES).cuda(), None),
    }
    if importlib.util.find_spec("mamba_ssm") is None:
        print("mamba-ssm is not installed: our blocks alone, step by step")
    else:
        import mamba_ssm

        # Whether mamba_ssm has its fused convolution decides how fast its own block is.
        fused = importlib.util.find_spec("causal_conv1d") is not None
        print(f"mamba-ssm {mamba_ssm.__version__}, causal-conv1d {'installed' if fused else 'not installed'}")
        for name, (ours, _) in blocks.items():
            if name == "Mamba2" and not fused:
                print("mamba_ssm's Mamba2 does not run without causal-conv1d")
                continue
            theirs = getattr(mamba_ssm, name)(WIDTH, STATES)
            theirs.load_state_dict(ours.state_dict())
            blocks[name] = ours, theirs.cuda()
    for kind in (None, torch.bfloat16):
        told = "float32" if kind is None else "bfloat16"
        for name, (ours, other) in blocks.items():
            for steps in LENGTHS:
                work = {"ours": there_and_back(ours, steps, kind)}
                if other is not None:
                    work["theirs"] = there_and_back(other, steps, kind)
                taken = milliseconds(work, given.repeats)
                beside = (
                    f"  mamba_ssm {taken['theirs']:8.3f} ms  {taken['ours'] / taken['theirs']:5.2f} x"
                    if other is not None
                    else ""
                )
                print(f"{name:7} {told:8} {ROWS} x {steps:4} steps {taken['ours']:8.3f} ms{beside}")
        (taken_by_step,) = milliseconds({"step": step(kind)}, given.repeats).values()
        print(f"fusion  {told:8} a training step {taken_by_step:8.3f} ms")
    for name, (ours, other) in blocks.items():
        if other is not None:
            print(f"{name}: outputs within {difference(ours, other):.0e} of mamba_ssm's, of the largest")


if __name__ == "__main__":
    main()
