"""Random batches of token sequences from the mirror, against reading them from the parts' Parquet, in one run.

Run it as ``python -m tests.benchmarks.bench_steps [--rows 13708] [--batches 30] [--folder DIR]``: 13,708 sequences of
about 15 steps of 768 float16 (MELD's tokens) in four parts; shuffled batches of 32, padded to their longest.

Two ways to do without the mirror are timed, both told the part and row of every sequence and with the files in the
page cache:

- *one by one*: each batch opens the parts it needs and reads the values of the row groups in question (a part of
  64 MiB is one), takes its rows, and pads them; memory stays bounded, which is what the mirror is measured against;
- *whole view in memory*: everything is read as Arrow once, then taken per batch; the read's time is told beside.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.part import TIMESTAMP, part_schema
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store, open_store

RECIPE = Recipe("text", "bench", 1, "text", "steps", 768, dtype="float16")
PARTS, BATCH = 4, 32


def make_store(folder: Path, rows: int) -> Store:
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    names = [f"bench/{number:06d}" for number in range(rows)]
    store.write_manifest("bench", pl.DataFrame({"utterance_id": names, "text": names}))
    random = np.random.default_rng(0)
    table = store.ensure_table(RECIPE)
    keys = store.wanted(RECIPE)
    for number, chosen in enumerate(np.array_split(random.permutation(rows), PARTS)):
        created = 1_700_000_000_000_000 + number
        lengths = random.poisson(14, len(chosen)).astype(np.int32) + 1
        flat = random.standard_normal((int(lengths.sum()), RECIPE.width), dtype=np.float32).astype(np.float16)
        bounds = np.concatenate([[0], np.cumsum(lengths * RECIPE.width * 2)]).astype(np.int32)
        stamp = pa.repeat(pa.scalar(created, pa.int64()).cast(TIMESTAMP), len(chosen))
        columns = [
            keys["utterance_id"].gather(chosen).to_arrow().cast(pa.string()),
            keys["content_key"].gather(chosen).to_arrow().cast(pa.string()),
            stamp,
            stamp,
            pa.nulls(len(chosen), pa.string()),
            pa.BinaryArray.from_buffers(
                pa.binary(), len(chosen), [None, pa.py_buffer(bounds), pa.py_buffer(flat)]
            ),
            pa.array(lengths),
        ]
        table.append_table(pa.Table.from_arrays(columns, schema=part_schema(RECIPE)), created, {})
    return store


def padded(values: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """A batch of a Parquet column's values, as :meth:`Steps.gather` gives it."""
    arrays = [np.frombuffer(value, np.float16).reshape(-1, RECIPE.width) for value in values]
    longest = max(map(len, arrays))
    batch = np.zeros((len(arrays), longest, RECIPE.width), np.float16)
    mask = np.zeros((len(arrays), longest), bool)
    for place, array in enumerate(arrays):
        batch[place, : len(array)] = array
        mask[place, : len(array)] = True
    return batch, mask


class OneByOne:
    """Batches straight from the parts."""

    def __init__(self, store: Store, part: np.ndarray, row: np.ndarray) -> None:
        table = store.table(RECIPE.view)
        self.paths = {name: table.files.url(table.part_path(name)) for name in table.parts()}
        self.part, self.row = part, row

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found: dict[int, bytes] = {}
        for name in np.unique(self.part[rows]):
            places = np.flatnonzero(self.part[rows] == name)
            column = pq.ParquetFile(self.paths[name]).read([RECIPE.slot])[RECIPE.slot]
            taken = column.take(pa.array(self.row[rows][places])).to_pylist()
            found.update(zip(places.tolist(), taken, strict=True))
        return padded([found[place] for place in range(len(rows))])


class InMemory:
    """Batches from the whole view's Arrow column."""

    def __init__(self, store: Store, part: np.ndarray, row: np.ndarray) -> None:
        table = store.table(RECIPE.view)
        names = table.parts()
        columns = [table.read_part(name, [RECIPE.slot])[RECIPE.slot] for name in names]
        first = dict(zip(names, np.cumsum([0, *map(len, columns)]).tolist(), strict=False))
        self.column = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
        self.place = np.array([first[name] for name in part]) + row

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return padded(self.column.take(pa.array(self.place[rows])).to_pylist())


def per_batch(source: Any, batches: list[np.ndarray]) -> float:
    began = time.perf_counter()
    for batch in batches:
        source.gather(batch)
    return (time.perf_counter() - began) / len(batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=13_708)
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--folder", default=None, help="where the temporary store lies")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure(Path(folder), options.rows, options.batches)


def measure(folder: Path, rows: int, count: int) -> None:
    make_store(folder, rows)
    store = open_store(str(folder / "store"), cache=str(folder / "cache"))
    began = time.perf_counter()
    steps = store.pull([RECIPE.view]).steps[RECIPE.slot]
    print(f"pull of {rows:,} sequences, which makes the mirror: {time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    store.pull([RECIPE.view])
    print(f"pull again: {time.perf_counter() - began:.3f} s")
    index = store.table(RECIPE.view).index().sort("utterance_id")
    part, row = np.array(index["part"].to_list()), index["row"].to_numpy()
    order = np.random.default_rng(1).permutation(rows)
    batches = [order[first : first + BATCH] for first in range(0, rows - BATCH, BATCH)]
    one_by_one = OneByOne(store, part, row)
    began = time.perf_counter()
    in_memory = InMemory(store, part, row)
    read_s = time.perf_counter() - began
    for batch in batches[:5]:
        for other in (one_by_one, in_memory):
            for ours, theirs in zip(steps.gather(batch), other.gather(batch), strict=True):
                np.testing.assert_array_equal(ours, theirs)
    print("the three give equal batches")
    ours = min(per_batch(steps, batches) for _ in range(3))
    theirs = min(per_batch(one_by_one, batches[:count]) for _ in range(2))
    memory = min(per_batch(in_memory, batches) for _ in range(3))
    print(
        f"a batch of {BATCH} from the mirror:           {ours * 1e3:.3f} ms (a pass: {ours * len(batches):.2f} s)"
    )
    print(f"from Parquet, one by one:            {theirs * 1e3:.1f} ms: {theirs / ours:.0f}x")
    print(
        f"from the whole view held in memory:  {memory * 1e3:.3f} ms: {memory / ours:.1f}x (read in {read_s:.2f} s)"
    )


if __name__ == "__main__":
    main()
