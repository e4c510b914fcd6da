"""Seconds and bytes of every exchange format, as ratios to ``np.save`` of the same values, in one run.

Run it as ``python -m tests.benchmarks.bench_exchange [--rows 10000] [--steps 6] [--folder DIR]``: a text view of 768
float32 and one of token sequences of 768 float16, 1 to ``2 * steps`` each. The baseline is ``np.save`` of the two
arrays, synced as the exports are. What an export does beyond that: pull, digests of all values, recipes, keys, texts.
The import stores every row in a fresh store, whose baseline is ``np.load`` and one pass of SHA-256 over the same bytes.

Memory is what the process has beyond its file mappings (``RssAnon``) at most, sampled every 5 ms, less what it had.
"""

import argparse
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from feature_repo.exchange.exporting import bundle_of, write_export
from feature_repo.exchange.registry import format_named, format_names, format_to_read
from feature_repo.exchange.restoring import restore, restore_manifest
from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.steps import Steps
from feature_repo.store import Store, init_store

WIDTH = 768
TEXT = Recipe("text", "bench", 1, "text", "pooled", WIDTH)
WORDS = Recipe("text", "bench", 1, "text", "steps", WIDTH, dtype="float16")
# MMSA knows modalities; the pooled view stands for its vision.
SLOTS = {"text": WORDS.view, "vision": TEXT.view}


def make_store(folder: Path, rows: int, steps: int) -> Store:
    """A filled store of one corpus."""
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    numbers = range(rows)
    store.write_manifest(
        "bench",
        pl.DataFrame(
            {
                "utterance_id": [f"bench/dia{n // 10}_utt{n % 10}" for n in numbers],
                "split": [("train", "dev", "test")[min(n % 10 // 4, 2)] for n in numbers],
                "text": [f"what was said in turn {n} of this corpus of dialogues" for n in numbers],
                "emotion": [("neutral", "joy", "anger", "sadness")[n % 4] for n in numbers],
            }
        ),
    )
    random = np.random.default_rng(0)

    def compute(missing: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, Outcome]]:
        for view, ids in missing.items():
            for name in ids:
                if view == TEXT.view:
                    yield view, name, Features(random.standard_normal(WIDTH, dtype=np.float32))
                else:
                    shape = (int(random.integers(1, 2 * steps)), WIDTH)
                    yield (
                        view,
                        name,
                        Features(random.standard_normal(shape, dtype=np.float32).astype(np.float16)),
                    )

    fill(store, [TEXT, WORDS], compute)
    return store


def anonymous() -> float:
    """MiB of the process that are no file mapping."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0


def measured(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and MiB beyond what there was, at most."""
    before, most, done = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            most[0] = max(most[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    action()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return seconds, max(0.0, most[0] - before)


def size_of(path: Path) -> int:
    return sum(
        each.stat().st_size for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=6, help="mean steps of a sequence")
    parser.add_argument("--folder", default=tempfile.gettempdir())
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        store = make_store(folder, asked.rows, asked.steps)
        pulled = store.pull(SLOTS, join="outer")
        words = pulled.features["text"]
        assert isinstance(words, Steps)
        arrays = {"vision": pulled.features["vision"], "text": words.flat()[0]}

        def save() -> None:
            for key, array in arrays.items():
                np.save(folder / f"{key}.npy", array)
                with (folder / f"{key}.npy").open("rb") as written:
                    os.fsync(written.fileno())

        def load() -> None:
            for key in arrays:
                hashlib.sha256(np.load(folder / f"{key}.npy").data)

        save_seconds, _ = measured(save)
        load_seconds, _ = measured(load)
        bare = sum(size_of(folder / f"{key}.npy") for key in arrays)
        print(
            f"{asked.rows:,} x ({WIDTH} + about {asked.steps} x {WIDTH}): np.save {save_seconds:.2f} s, "
            f"{bare / 2**20:,.0f} MiB; np.load and SHA-256 {load_seconds:.2f} s"
        )
        for kind in format_names(exports=True):
            path = folder / f"export{(*format_named(kind).suffixes, '')[0]}"

            def export(kind: str = kind, path: Path = path) -> None:
                bundle, _ = bundle_of(store, SLOTS)
                write_export(format_named(kind), bundle, path)

            def take(kind: str = kind, path: Path = path) -> None:
                other = init_store(str(folder / f"{kind}-store"), cache=str(folder / f"{kind}-cache"))
                bundle = format_to_read(path, kind).read(path)
                assert bundle is not None
                restore_manifest(other, bundle)
                restore(other, bundle)

            seconds, memory = measured(export)
            size = size_of(path)
            taken, taken_memory = measured(take)
            print(
                f"{kind:12} export {seconds:6.2f} s ({seconds / save_seconds:5.1f} x np.save), "
                f"{size / 2**20:6,.0f} MiB ({size / bare:.2f} x), {memory:6,.0f} MiB of memory; "
                f"import {taken:6.2f} s ({taken / load_seconds:5.1f} x np.load and SHA-256), "
                f"{taken_memory:6,.0f} MiB of memory"
            )
            shutil.rmtree(folder / f"{kind}-store")
            shutil.rmtree(folder / f"{kind}-cache", ignore_errors=True)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


if __name__ == "__main__":
    main()
