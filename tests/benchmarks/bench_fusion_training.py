"""Fusion training from a store: how much of an epoch is the model, and how much the batches' assembly.

Run it as ``python -m tests.benchmarks.bench_fusion_training [--model mamba] [--rows 13708] [--epochs 1] [--threads 2]
[--folder DIR]``: utterances as MELD's, each with some 15 token vectors of 768 in float16, some 4 face vectors of 128
and a speaker vector of 128, so that d_model is 1,024; 73 % train, 8 % validate, in batches of 32, through `fit`.

The epoch's time is told in parts: *loader* is the assembly of batches from the mirror, in training and validation;
*forward*, *backward* and *optimizer* are the model's; *rest* is what is left: drawing the order, the loss, the scores,
the copy of the best weights. With fewer rows the time of an epoch of MELD's 9,989 is told in proportion.
"""

import argparse
import dataclasses
import tempfile
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store, open_store
from trainers.examples import Examples
from trainers.fusion.examples import UtteranceExamples, slots_of
from trainers.fusion.registry import build, fusion_model, fusion_names
from trainers.mamba.backend import best_backend
from trainers.training_loop import fit, seeded

TOKENS = Recipe("text", "bench", 1, "text", "steps", 768, dtype="float16")
FACES = Recipe("face", "bench", 1, "text", "steps", 128, dtype="float32")
VOICE = Recipe("speaker", "bench", 1, "text", "pooled", 128)
CLASSES = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
MELD, MELD_TRAIN, MELD_VALIDATION = 13_708, 9_989, 1_109


def make_store(folder: Path, rows: int) -> Store:
    """A store of random features."""
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    random = np.random.default_rng(0)
    names = [f"bench/{number:06d}" for number in range(rows)]
    emotions = [CLASSES[int(number)] for number in random.integers(0, len(CLASSES), rows)]
    table = {"utterance_id": names, "text": names, "emotion": emotions, "label_raw": emotions}
    store.write_manifest("bench", pl.DataFrame(table))

    def one(view: str) -> npt.NDArray[Any]:
        if view == VOICE.view:
            return random.standard_normal(128, dtype=np.float32)
        if view == FACES.view:
            return random.standard_normal((1 + random.poisson(3), 128), dtype=np.float32)
        return random.standard_normal((1 + random.poisson(14), 768), dtype=np.float32).astype(np.float16)

    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, wanted in missing.items():
            for name in wanted:
                yield view, name, Features(one(view))

    fill(store, [TOKENS, FACES, VOICE], compute)
    return store


class Timed(Examples):
    """Examples that note how long their batches took."""

    def __init__(self, examples: Examples, taken: dict[str, float]) -> None:
        self.examples, self.taken = examples, taken
        self.labels, self.weights = examples.labels, examples.weights
        self.cost, self.rows_at_once = examples.cost, examples.rows_at_once

    def __len__(self) -> int:
        return len(self.examples)

    def rows(self, which: Tensor) -> Tensor:
        return self.examples.rows(which)

    def holding(self, rows: npt.NDArray[np.int64]) -> Tensor:
        return self.examples.holding(rows)

    def arguments(self, which: Tensor) -> tuple[Any, ...]:
        with noted(self.taken, "loader"):
            return self.examples.arguments(which)


@contextmanager
def noted(taken: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    taken[name] += time.perf_counter() - began


@contextmanager
def watched(model: torch.nn.Module, taken: dict[str, float]) -> Iterator[None]:
    """Notes how long the model's forward passes, the backward passes and the optimizer's steps take."""
    began: dict[str, float] = {}
    backward = torch.Tensor.backward

    def start(name: str) -> None:
        began[name] = time.perf_counter()

    def stop(name: str) -> None:
        taken[name] += time.perf_counter() - began[name]

    def timed(loss: Tensor, *given: Any, **named: Any) -> None:
        with noted(taken, "backward"):
            backward(loss, *given, **named)  # type: ignore[no-untyped-call]

    handles = [
        model.register_forward_pre_hook(lambda *_: start("forward")),
        model.register_forward_hook(lambda *_: stop("forward")),
        register_optimizer_step_pre_hook(lambda *_: start("optimizer")),
        register_optimizer_step_post_hook(lambda *_: stop("optimizer")),
    ]
    with mock.patch.object(torch.Tensor, "backward", timed):
        yield
    for handle in handles:
        handle.remove()


def main() -> None:
    parser = argparse.ArgumentParser()
    names = [name for name in fusion_names() if fusion_model(name).reads == "utterances"]
    parser.add_argument("--model", choices=names, default="mamba")
    parser.add_argument("--rows", type=int, default=MELD)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    folder = given.folder or Path(tempfile.mkdtemp())
    if (folder / "store").exists():
        store = open_store(str(folder / "store"), cache=str(folder / "cache"))
    else:
        began = time.perf_counter()
        store = make_store(folder, given.rows)
        print(f"{given.rows} rows stored in {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    data = store.pull({"text_steps": TOKENS.view, "face_steps": FACES.view, "speaker": VOICE.view})
    print(f"{len(data)} rows pulled in {time.perf_counter() - began:.1f} s")
    taken: dict[str, float] = defaultdict(float)
    slots = slots_of(store, data)
    examples = Timed(UtteranceExamples(data, slots), taken)
    train = len(data) * MELD_TRAIN // MELD
    validation = torch.arange(train, train + len(data) * MELD_VALIDATION // MELD)
    config = dataclasses.replace(
        fusion_model(given.model).config(), max_epochs=given.epochs, patience=given.epochs + 1
    )
    print(
        f"{given.model}: {train} rows to train on, {len(validation)} to validate, batches of {config.batch_size},"
        f" {given.threads} threads, backend {best_backend(torch.device('cpu'), torch.float32)}"
    )
    with seeded(0):
        model = build(given.model, slots, len(CLASSES), config)
        # Kernels are compiled and the mirror's pages read before the clock starts.
        warm = dataclasses.replace(config, max_epochs=1)
        fit(model, examples, train=torch.arange(64), validation=validation[:64], classes=CLASSES, config=warm)
        taken.clear()
        ends: list[float] = []
        with watched(model, taken):
            began = time.perf_counter()
            fit(
                model,
                examples,
                train=torch.arange(train),
                validation=validation,
                classes=CLASSES,
                config=config,
                on_epoch=lambda _: ends.append(time.perf_counter()),
            )
    whole = ends[-1] - began
    own = sum(taken[name] for name in ("forward", "backward", "optimizer"))
    taken["rest"] = whole - own - taken["loader"]
    for name in ("loader", "forward", "backward", "optimizer", "rest"):
        print(f"{name:10} {taken[name] / given.epochs:8.2f} s an epoch  {100 * taken[name] / whole:6.2f} %")
    per_epoch = whole / given.epochs
    print(f"in the model: {100 * own / whole:.1f} % of {per_epoch:.1f} s an epoch")
    print(f"an epoch of MELD's {MELD_TRAIN}: {per_epoch * MELD_TRAIN / train:.0f} s")


if __name__ == "__main__":
    main()
