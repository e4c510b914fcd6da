"""Similar utterances against a bare matrix product in memory and scikit-learn's brute force, in one run.

Run it as ``python tests/benchmarks/bench_similarity.py [--rows 100000] [--width 512] [--folder DIR]``: a store of one
view in eight parts, whose rows lie in an order of their own. ``store.similar`` answers with a frame: it looks at what
is stored now, resolves rows, filters, multiplies, decides in float64 and reads what the manifest says. The bare product
knows a matrix of unit length in the manifest's order that lies in memory, and takes the ten greatest numbers.
All are timed in turn, everything in the page cache, so that a busy machine slows each alike. The processor's time is
told too: on a busy machine it is nearer to what a quiet one takes, as long as there is one thread.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from feature_repo.named_verdicts import NamedVerdict
from feature_repo.recipe import Recipe
from feature_repo.selection import Selection
from feature_repo.store import Store, open_store
from tests.benchmarks import bench_pull

_FRESH = """
import sys, time
import feature_repo.similarity
from feature_repo.store import open_store
began = time.perf_counter()
found = open_store(sys.argv[1], cache=sys.argv[2]).similar("speaker", sys.argv[3])
print(time.perf_counter() - began)
"""


def timed(action: Callable[[], Any]) -> tuple[float, float]:
    """Seconds that the action takes, and those of the processor."""
    began, worked = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - began, time.process_time() - worked


def bare(matrix: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Places of the ten greatest products with each query."""
    scores = (matrix @ queries[0])[None] if len(queries) == 1 else queries @ matrix.T
    return np.argpartition(scores, -k, axis=1)[:, -k:]


def make(folder: Path, rows: int, width: int) -> Store:
    """The store, with a verdict that every second utterance passed."""
    bench_pull.RECIPES = (Recipe("speaker", "bench", 1, "media", "pooled", width),)
    store = bench_pull.make_store(folder, rows)
    ids = store.manifest()["utterance_id"]
    judged = pl.DataFrame({"utterance_id": ids, "passed": np.arange(rows) % 2 == 0})
    store.verdicts.save(NamedVerdict("half", judged.with_columns(reason=pl.lit(None, pl.String))))
    return store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--folder", default=None, help="where the temporary store lies")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure(Path(folder), options.rows, options.width, options.repeats)


def measure(folder: Path, rows: int, width: int, repeats: int) -> None:
    """Make the store, ask it, and print what it took."""
    made = make(folder, rows, width)
    cache = str(folder / "cache")
    store = open_store(made.root, cache=cache)
    ids = store.manifest()["utterance_id"].to_list()
    random = np.random.default_rng(1)
    print(f"{rows:,} x {width} float32 in {bench_pull.PARTS} parts; load {os.getloadavg()[0]:.1f}")
    print(f"first query, which makes the mirror: {timed(lambda: store.similar('speaker', ids[0]))[0]:.2f} s")
    arguments = [sys.executable, "-c", _FRESH, store.root, cache, ids[0]]
    fresh = [
        float(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout) for _ in range(3)
    ]
    print(f"first query of a new process, mirror at hand: {min(fresh) * 1e3:.0f} ms")

    matrix = store.pull(["speaker"]).features["speaker"]
    matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    one = random.standard_normal((1, width)).astype(np.float32)
    many = random.standard_normal((32, width)).astype(np.float32)
    where = Selection(splits=("train",), emotions=("joy", "anger"))
    rare = Selection(speakers=("bench/7", "bench/8"))
    asked: dict[str, Callable[[], Any]] = {
        "bare product, 1 query": lambda: bare(matrix, one, 10),
        "similar, 1 vector": lambda: store.similar("speaker", one),
        "similar, 1 id": lambda: store.similar("speaker", ids[5]),
        "similar, 1 id, exclude speaker and dialogue": lambda: store.similar(
            "speaker", ids[5], exclude=("speaker", "dialogue")
        ),
        "similar, 1 id, of a split and two emotions": lambda: store.similar("speaker", ids[5], where=where),
        "similar, 1 id, of two speakers": lambda: store.similar("speaker", ids[5], where=rare),
        "similar, 1 id, of a verdict": lambda: store.similar("speaker", ids[5], verdict="half"),
        "bare product, 32 queries": lambda: bare(matrix, many, 10),
        "similar, 32 vectors": lambda: store.similar("speaker", many),
    }
    asked |= _sklearn(matrix, one, many)
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    for _ in range(repeats):
        for name, action in asked.items():
            took[name].append(timed(action))
    for name, times in took.items():
        base = took["bare product, 32 queries" if "32" in name else "bare product, 1 query"]
        best, median, worked = np.min(times, 0)[0], np.median(times, 0)[0], np.median(times, 0)[1]
        print(
            f"{name:44} best {best * 1e3:6.1f} ms, median {median * 1e3:6.1f} ms, processor {worked * 1e3:6.1f} ms, "
            f"{best / np.min(base, 0)[0]:5.2f} x the bare product"
        )
    found = store.similar("speaker", many)
    for number, places in enumerate(bare(matrix, many, 10)):
        assert set(found.filter(query=number)["utterance_id"]) == {ids[place] for place in places}
    print("similar finds what the bare product finds")


def _sklearn(matrix: np.ndarray, one: np.ndarray, many: np.ndarray) -> dict[str, Callable[[], Any]]:
    try:
        from sklearn.neighbors import NearestNeighbors
    except ImportError:
        print("scikit-learn is not installed: not compared")
        return {}
    known = NearestNeighbors(n_neighbors=10, algorithm="brute", metric="cosine").fit(matrix)
    return {
        "scikit-learn brute, 1 query": lambda: known.kneighbors(one),
        "scikit-learn brute, 32 queries": lambda: known.kneighbors(many),
    }


if __name__ == "__main__":
    main()
