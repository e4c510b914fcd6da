"""A store on S3 against one on the local disk, the same steps in one run, as ratios.

Run it as ``python tests/benchmarks/bench_object_store.py [--server swift|moto] [--parts 2000] [--rows 20000]``: commits
of small parts and of one of 60 MB, the listing of a table of many parts as a new process finds it (names, footers, the
rows' keys), its compaction, and the first pull of a pooled view (the mirror is built) and the second. The server runs
on this machine, so what is measured is the protocol and the requests' number, not a network.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from feature_repo.compaction import compact
from feature_repo.console import Table, console
from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.part import Row, encode_part, part_name, rows_to_arrow
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store, open_store
from tests.s3_servers import MotoServer, SwiftServer, bucket_on, running

WIDE = Recipe("text", "bench", 1, "text", "pooled", 768)
NARROW = Recipe("speaker", "bench", 1, "text", "pooled", 4)


def computed(rows: int) -> Callable[[Mapping[str, Sequence[str]]], Iterator[tuple[str, str, Outcome]]]:
    values = np.random.default_rng(0).standard_normal((rows, WIDE.width), dtype=np.float32)

    def compute(missing: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, Outcome]]:
        for view, ids in missing.items():
            for place, name in enumerate(ids):
                yield view, name, Features(values[place])

    return compute


def many_parts(store: Store, parts: int) -> None:
    table = store.ensure_table(NARROW)

    def write(number: int) -> None:
        stamp = 1_700_000_000_000_000 + number
        row = Row(f"b/{number:06d}", f"key{number}", np.ones(4, np.float32))
        data = encode_part(rows_to_arrow(NARROW, [row], stamp), {})
        store.files.create(table.part_path(part_name(stamp, data)), data)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(parts)))


def measured(root: str, cache: Path, rows: int, parts: int) -> dict[str, float]:
    """Seconds of each step at one root."""
    took: dict[str, float] = {}

    def step(name: str, action: Callable[[], object], times: int = 1) -> None:
        began = time.perf_counter()
        for _ in range(times):
            action()
        took[name] = (time.perf_counter() - began) / times

    store = init_store(root, cache=str(cache))
    names = [f"b/{number:06d}" for number in range(rows)]
    store.write_manifest("b", pl.DataFrame({"utterance_id": names, "text": names}))
    small = store.ensure_table(Recipe("face", "bench", 1, "text", "pooled", 4))
    row = Row("b/1", "key", np.ones(4, np.float32))
    step("commit of one row, with its lock", lambda: _locked(store, lambda: small.append([row])), 10)
    step(f"extraction of {rows:,} x 768, committed", lambda: fill(store, [WIDE], computed(rows)))
    step("first pull, mirror built", lambda: _pull(root, cache))
    step("second pull", lambda: _pull(root, cache))
    many_parts(store, parts)
    store.table(NARROW.view).index()
    step(f"names of {parts:,} parts", lambda: store.files.list_files(store.table(NARROW.view).folder))
    step(f"live rows of {parts:,} parts, new process", lambda: open_store(root).table(NARROW.view).index())
    step(f"the same, {parts:,} parts known", lambda: store.table(NARROW.view).index())
    step(f"compaction of {parts:,} parts", lambda: compact(store.table(NARROW.view)))
    return took


def _locked(store: Store, action: Callable[[], object]) -> None:
    with store.files.lock("bench"):
        action()


def _pull(root: str, cache: Path) -> None:
    found = open_store(root, cache=str(cache)).pull({"text": WIDE.view}).numpy()
    assert np.isfinite(found["text"]).all()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--server", choices=("swift", "moto"), default="swift")
    parser.add_argument("--parts", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=20_000)
    chosen = parser.parse_args()
    kind = SwiftServer if chosen.server == "swift" else MotoServer
    with tempfile.TemporaryDirectory() as folder, running(kind) as server, bucket_on(server) as bucket:
        sizes = (chosen.rows, chosen.parts)
        local = measured(f"{folder}/store", Path(folder, "local"), *sizes)
        remote = measured(bucket.root, Path(folder, "remote"), *sizes)
    table = Table("step", "local s", f"s3 ({chosen.server}) s", "ratio")
    for name, seconds in local.items():
        table.add_row(name, f"{seconds:.4f}", f"{remote[name]:.4f}", f"{remote[name] / seconds:.1f}")
    console.print(table)
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", highlight=False)


if __name__ == "__main__":
    main()
