"""The training loop against a bare PyTorch loop that does the same arithmetic, alternating in one run.

Run it as ``python -m tests.benchmarks.bench_training_loop [--epochs 100] [--threads 1]``: 10,557 rows (the papers'
audio rows) of 512 numbers, batch 32, validation after each epoch. Prints both times and their ratio.
"""

import argparse
import dataclasses
import time

import torch
from torch import Tensor, nn

from trainers.adapters.mlp_adapter import MLPAdapter
from trainers.config import AdapterConfig
from trainers.examples import TensorExamples
from trainers.training_loop import fit, seeded

ROWS, VALIDATION, WIDTH, CLASSES = 10_557, 1_000, 512, 7
NAMES = tuple(f"class{index}" for index in range(CLASSES))


def bare(inputs: Tensor, labels: Tensor, config: AdapterConfig) -> float:
    """What one would write without a library: the time of its loop in seconds."""
    model = _model()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=5)
    began = time.perf_counter()
    for _ in range(config.max_epochs):
        model.train()
        order = torch.randperm(ROWS)
        for start in range(0, ROWS, config.batch_size):
            index = order[start : start + config.batch_size]
            optimizer.zero_grad()
            criterion(model(inputs[index]), labels[index]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            schedule.step(criterion(model(inputs[ROWS:]), labels[ROWS:]))
    return time.perf_counter() - began


def ours(inputs: Tensor, labels: Tensor, config: AdapterConfig) -> float:
    """The time of `fit` in seconds."""
    model = _model()
    began = time.perf_counter()
    fit(
        model,
        TensorExamples([inputs], labels),
        train=torch.arange(ROWS),
        validation=torch.arange(ROWS, ROWS + VALIDATION),
        classes=NAMES,
        config=config,
    )
    return time.perf_counter() - began


def _model() -> MLPAdapter:
    return MLPAdapter(WIDTH, CLASSES)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument(
        "--turns", type=int, default=5, help="the epochs are done in so many alternating turns"
    )
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    each = given.epochs // given.turns
    config = dataclasses.replace(AdapterConfig(), max_epochs=each, patience=each + 1)
    with seeded(0):
        inputs = torch.randn(ROWS + VALIDATION, WIDTH)
        labels = torch.randint(0, CLASSES, (ROWS + VALIDATION,))
        warm = dataclasses.replace(config, max_epochs=1)
        bare(inputs, labels, warm)
        ours(inputs, labels, warm)
        times: dict[str, list[float]] = {"bare": [], "ours": []}
        for turn in range(given.turns):
            # Who goes first alternates too, so that neither always runs on the warmer machine.
            for name in ("bare", "ours") if turn % 2 == 0 else ("ours", "bare"):
                times[name].append((bare if name == "bare" else ours)(inputs, labels, config))
    for name, seconds in times.items():
        print(f"{name}: {sum(seconds):.1f} s for {each * given.turns} epochs of {ROWS} x {WIDTH}")
    print(
        f"ratio ours / bare: {sum(times['ours']) / sum(times['bare']):.2f} ({torch.get_num_threads()} threads)"
    )


if __name__ == "__main__":
    main()
