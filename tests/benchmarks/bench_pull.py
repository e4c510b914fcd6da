"""``pull`` against ``np.load`` of the same bytes and against Feast's DuckDB store, in one run.

Run it as ``python -m tests.benchmarks.bench_pull [--rows 100000] [--feast-rows 10000] [--folder DIR]``: a text, a
speaker and a face view of 768, 512 and 512 float32 in eight parts each, whose rows lie in an order of their own; ids
asked for in a shuffled order; three aligned arrays. The baseline knows the positions: ``np.load`` of three ``.npy``
files in the manifest's order, then ``take``. Both are timed alternately, everything in the page cache, best of some.

Memory is what the process has beyond its file mappings (``RssAnon``), sampled every 2 ms during one pull, less what
it had before and less the three arrays.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from feature_repo.part import TIMESTAMP, part_schema
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store, open_store

RECIPES = (
    Recipe("text", "bench", 1, "text", "pooled", 768),
    Recipe("speaker", "bench", 1, "media", "pooled", 512),
    Recipe("face", "bench", 1, "media", "pooled", 512),
)
SLOTS = tuple(recipe.slot for recipe in RECIPES)
PARTS = 8


def manifest_rows(rows: int, media: Path) -> pl.DataFrame:
    """A corpus of dialogues of ten turns."""
    number = np.arange(rows)
    dialogue = [f"bench/dia{value}" for value in number // 10]
    return pl.DataFrame(
        {
            "utterance_id": [f"bench/train/dia{value // 10}_utt{value % 10}" for value in number],
            "dialogue_id": dialogue,
            "turn": number % 10,
            "split": np.array(["train", "dev", "test"])[np.minimum(number % 10 // 4, 2)],
            "speaker_id": [f"bench/{value % 300}" for value in number],
            "text": [f"what was said in turn {value} of this corpus of dialogues" for value in number],
            "emotion": np.array(["neutral", "joy", "anger", "sadness"])[number % 4],
            "label_raw": np.array(["neutral", "joy", "anger", "sadness"])[number % 4],
            "media_uri": str(media),
            "start_s": number * 1.0,
            "end_s": number + 0.9,
        }
    )


def make_store(folder: Path, rows: int) -> Store:
    """The store, its tables written straight as parts, and the arrays as ``.npy`` in the manifest's order."""
    media = folder / "media.wav"
    media.write_bytes(b"RIFF")
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    store.write_manifest("bench", manifest_rows(rows, media))
    random = np.random.default_rng(0)
    for recipe in RECIPES:
        values = random.standard_normal((rows, recipe.width), dtype=np.float32)
        np.save(folder / f"{recipe.slot}.npy", values)
        table = store.ensure_table(recipe)
        keys = store.wanted(recipe)
        for number, chosen in enumerate(np.array_split(random.permutation(rows), PARTS)):
            created = 1_700_000_000_000_000 + number
            offsets = pa.array(np.arange(len(chosen) + 1, dtype=np.int32) * recipe.width)
            stamp = pa.repeat(pa.scalar(created, pa.int64()).cast(TIMESTAMP), len(chosen))
            columns = [
                keys["utterance_id"].gather(chosen).to_arrow().cast(pa.string()),
                keys["content_key"].gather(chosen).to_arrow().cast(pa.string()),
                stamp,
                stamp,
                pa.nulls(len(chosen), pa.string()),
                pa.ListArray.from_arrays(offsets, pa.array(values[chosen].reshape(-1))),
            ]
            table.append_table(pa.Table.from_arrays(columns, schema=part_schema(recipe)), created, {})
    store.catalog.set("default", {recipe.slot: recipe.view for recipe in RECIPES})
    return store


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


def anonymous_bytes() -> int:
    """Memory of this process that is no file's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon in /proc/self/status: not Linux")


def peak_during(action: Callable[[], Any]) -> tuple[int, Any]:
    """Most anonymous memory during the action above what there was before, and the action's result."""
    before = anonymous_bytes()
    peaks = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peaks.append(anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = action()
        peaks.append(anonymous_bytes())
    finally:
        done.set()
        watcher.join()
    return max(peaks) - before, result


_FRESH = """
import sys, time
import numpy as np
from feature_repo.store import open_store
ids = open(sys.argv[3]).read().split()
import feature_repo.pull
began = time.perf_counter()
found = open_store(sys.argv[1], cache=sys.argv[2]).pull(("text", "speaker", "face"), ids=ids)
print(time.perf_counter() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--feast-rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", default=None, help="where the temporary store lies")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure(Path(folder), options.rows, options.feast_rows, options.repeats)


def measure(folder: Path, rows: int, feast_rows: int, repeats: int) -> None:
    seconds, _ = timed(lambda: make_store(folder, rows))
    store = open_store(str(folder / "store"), cache=str(folder / "cache"))
    print(f"store of {rows:,} utterances x {sum(r.width for r in RECIPES):,} float32 made in {seconds:.1f} s")
    position = np.random.default_rng(1).permutation(rows)
    ids = manifest_rows(rows, Path("-"))["utterance_id"].sort().gather(position).to_list()

    def load_and_take() -> list[np.ndarray]:
        return [np.load(folder / f"{slot}.npy").take(position, axis=0) for slot in SLOTS]

    payload = rows * sum(recipe.width for recipe in RECIPES) * 4
    peak, (cold, _) = peak_during(lambda: timed(lambda: store.pull(SLOTS, ids=ids)))
    print(
        f"first pull, which makes the mirror: {cold:.2f} s, "
        f"at most {(peak - payload) / 1e6:.0f} MB anonymous memory above the {payload / 1e6:.0f} MB payload"
    )
    (folder / "ids").write_text("\n".join(ids))
    arguments = [store.root, str(folder / "cache"), str(folder / "ids")]
    fresh = subprocess.run(
        [sys.executable, "-c", _FRESH, *arguments], capture_output=True, text=True, check=True
    )
    print(f"first pull of a new process, mirror at hand: {float(fresh.stdout):.3f} s")
    pulls, loads = [], []
    for _ in range(repeats):
        seconds, expected = timed(load_and_take)
        loads.append(seconds)
        del expected
        seconds, found = timed(lambda: store.pull(SLOTS, ids=ids))
        pulls.append(seconds)
        del found
    print(f"np.load + take: best {min(loads):.3f} s, median {np.median(loads):.3f} s")
    print(f"pull:           best {min(pulls):.3f} s, median {np.median(pulls):.3f} s")
    print(
        f"pull / np.load: best {min(pulls) / min(loads):.2f}, median {np.median(pulls) / np.median(loads):.2f}"
    )
    peak, found = peak_during(lambda: store.pull(SLOTS, ids=ids))
    print(f"peak anonymous memory above the {payload / 1e6:.0f} MB payload: {(peak - payload) / 1e6:.0f} MB")
    expected = load_and_take()
    assert found.ids == ids
    for slot, array in zip(SLOTS, expected, strict=True):
        np.testing.assert_array_equal(found.features[slot], array)
    print("pull equals np.load + take")
    del found, expected
    against_feast(store, ids[:feast_rows])


def against_feast(store: Store, ids: list[str]) -> None:
    try:
        import feast  # noqa: F401
    except ImportError:
        print("feast is not installed: not compared")
        return
    from feature_repo.historical import historical
    from feature_repo.registry import register

    register(store)
    historical(store, SLOTS, ids[:100])
    feast_s = min(timed(lambda: historical(store, SLOTS, ids))[0] for _ in range(2))
    pull_s = min(timed(lambda: store.pull(SLOTS, ids=ids))[0] for _ in range(5))
    print(f"{len(ids):,} ids: Feast (DuckDB) {feast_s:.2f} s, pull {pull_s:.3f} s: {feast_s / pull_s:.0f}x")
    theirs, ours = historical(store, SLOTS, ids), store.pull(SLOTS, ids=ids)
    for slot in SLOTS:
        stacked = theirs[slot].explode(empty_as_null=False).to_numpy().reshape(len(ids), -1)
        np.testing.assert_array_equal(ours.features[slot], stacked.astype(np.float32))
    print(f"pull equals get_historical_features on {len(ids):,} ids")


if __name__ == "__main__":
    main()
