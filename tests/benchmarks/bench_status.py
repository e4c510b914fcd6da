"""``affectstore status`` on a store of 106,256 synthetic utterances (as many as papers/003 has) with three views.

Run it as ``python -m tests.benchmarks.bench_status [--rows 106256]``. The whole command is timed, its start included,
best of five; the goal is one second. Beside it, what ``extract`` asks first: what is missing of three recipes that the
store lacks and of three that it has, in a store opened anew.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from feature_repo.fill import plan
from feature_repo.part import TIMESTAMP, part_schema
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store, open_store

RECIPES = (
    Recipe("text", "bench", 1, "text", "pooled", 8),
    Recipe("speaker", "bench", 1, "media", "pooled", 8),
    Recipe("speech", "bench", 1, "media", "pooled", 8),
)
PARTS = 7


def make_store(folder: Path, rows: int) -> None:
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    (folder / "sound.wav").write_bytes(b"not looked into")
    number = range(rows)
    manifest = pl.DataFrame(
        {
            "utterance_id": [f"bench/dia{i // 10}_utt{i % 10}" for i in number],
            "text": [f"what was said in turn {i} of this corpus" for i in number],
            "media_uri": str(folder / "sound.wav"),
            "start_s": [float(i) for i in number],
            "end_s": [i + 0.9 for i in number],
        }
    )
    store.write_manifest("bench", manifest)
    for recipe in RECIPES:
        fill_view(store, recipe)


def fill_view(store: Store, recipe: Recipe) -> None:
    table = store.ensure_table(recipe)
    wanted = store.wanted(recipe)
    for part in range(PARTS):
        rows = wanted[part * wanted.height // PARTS : (part + 1) * wanted.height // PARTS]
        stamp = time.time_ns() // 1000
        stamps = pa.array(np.full(rows.height, stamp), pa.int64()).cast(TIMESTAMP)
        offsets = pa.array(np.arange(rows.height + 1, dtype=np.int32) * recipe.width)
        values = pa.ListArray.from_arrays(offsets, np.ones(rows.height * recipe.width, np.float32))
        keys = [rows[name].to_arrow().cast(pa.string()) for name in ("utterance_id", "content_key")]
        columns = [*keys, stamps, stamps, pa.nulls(rows.height, pa.string()), values]
        table.append_table(pa.Table.from_arrays(columns, schema=part_schema(recipe)), stamp, {})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=106_256)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_store(folder, rows)
        environment = os.environ | {"AFFECTSTORE_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "affectstore", "status", "--root", str(folder / "store")]
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            seconds.append(time.perf_counter() - started)
        assert f"{rows:,}" in done.stdout
        print(f"status of {rows:,} utterances x {len(RECIPES)} views: {min(seconds):.2f} s (goal: 1 s)")
        absent = [Recipe("text", f"absent{number}", 1, "text", "pooled", 8) for number in range(3)]
        store = open_store(str(folder / "store"), cache=str(folder / "cache"))
        started = time.perf_counter()
        plans = plan(store, [*RECIPES, *absent])
        took = time.perf_counter() - started
        assert [len(todo.keys) for todo in plans.values()] == [0] * len(RECIPES) + [rows] * len(absent)
        print(f"what is missing of {len(plans)} recipes: {took:.2f} s")


if __name__ == "__main__":
    main()
