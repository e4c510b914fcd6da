"""The mirror's life: made once, shared, pruned, made anew when it is torn, and never more than bounded memory."""

import multiprocessing
import os
import threading
import time

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from feature_repo.compaction import compact
from feature_repo.feature_table import QuarantineWarning
from feature_repo.mirror import Mirror, mirror_of
from feature_repo.recipe import Recipe
from feature_repo.segment import open_segment
from feature_repo.store import open_store
from tests.feature_repo.planted_feast import NOTHING, STEPS, TEXT, make_store, planted, write

TEXTS = {f"c/{number:03d}": NOTHING if number % 7 == 3 else f"text {number}" for number in range(100)}


def by_hand(store, recipe: Recipe, part: str) -> list[np.ndarray]:
    """A part's values from its Parquet file, row by row."""
    table = pq.read_table(store.files.url(store.table(recipe.view).part_path(part)))
    if recipe.layout == "pooled":
        return [np.zeros(recipe.width) if v is None else np.array(v) for v in table[recipe.slot].to_pylist()]
    return [np.frombuffer(v, recipe.dtype).reshape(-1, recipe.width) for v in table[recipe.slot].to_pylist()]


def check(segment, rows: list[np.ndarray]) -> None:
    if segment.offsets is None:
        np.testing.assert_array_equal(segment.values, rows)
        return
    assert segment.offsets.tolist() == np.cumsum([0, *map(len, rows)]).tolist()
    np.testing.assert_array_equal(segment.values, np.concatenate(rows))


@pytest.mark.parametrize("recipe", [TEXT, STEPS])
@pytest.mark.parametrize("chunk_bytes", [1, 200, 2**20])
def test_a_segment_holds_the_parts_values_however_small_the_chunks(tmp_path, recipe, chunk_bytes):
    store = make_store(tmp_path, TEXTS)
    mirror = Mirror(tmp_path / "other", chunk_bytes)
    table = store.table(recipe.view)
    (part,) = table.parts()
    batches = [batch.num_rows for batch in mirror._batches(table, part)]
    assert sum(batches) == len(TEXTS)
    assert (len(batches) == 1) == (chunk_bytes == 2**20)
    check(mirror.segment(table, part), by_hand(store, recipe, part))
    assert not mirror.segment(table, part).values.flags.writeable


def test_a_new_part_adds_a_segment_and_touches_no_other(tmp_path):
    store = make_store(tmp_path, TEXTS, [TEXT])
    store.pull(["text"])
    folder = store.cache / "mirror" / TEXT.view
    before = {path: path.stat().st_mtime_ns for path in folder.glob("part-*/*")}
    assert len(before) == 2
    write(store, {**TEXTS, "c/new": "new"}, [TEXT])
    store.pull(["text"])
    after = {path: path.stat().st_mtime_ns for path in folder.glob("part-*/*")}
    assert len(after) == 4
    assert before.items() <= after.items()


def test_merged_parts_segments_are_pruned(tmp_path):
    store = make_store(tmp_path, TEXTS, [TEXT])
    write(store, {**TEXTS, "c/new": "new"}, [TEXT])
    store.pull(["text"])
    compact(store.table(TEXT.view))
    store.pull(["text"])
    (part,) = store.table(TEXT.view).parts()
    names = [path.name for path in (store.cache / "mirror" / TEXT.view).glob("part-*")]
    assert names == [part.removesuffix(".parquet")]


@pytest.mark.parametrize("recipe", [TEXT, STEPS])
@pytest.mark.parametrize(
    "damage", ["cut values", "no values", "no facts", "cut facts", "cut offsets", "empty"]
)
def test_a_torn_segment_is_never_taken_for_a_whole_one(tmp_path, recipe, damage):
    store = make_store(tmp_path, TEXTS, [recipe])
    expected = store.pull([recipe.slot]).to_polars()
    (folder,) = (store.cache / "mirror" / recipe.view).glob("part-*")
    if damage == "empty":
        for path in folder.iterdir():
            path.unlink()
    else:
        what, name = damage.split()
        path = folder / {"values": "values.bin", "facts": "facts.json", "offsets": "offsets.bin"}[name]
        if not path.exists():
            return  # a pooled segment has no offsets
        data = path.read_bytes()
        path.unlink()
        if what == "cut":
            path.write_bytes(data[: len(data) // 2])
    assert open_segment(folder, recipe) is None
    again = open_store(store.root, cache=str(tmp_path / "cache"))
    assert again.pull([recipe.slot]).to_polars().equals(expected)
    assert open_segment(folder, recipe) is not None
    assert not list(folder.parent.glob(".building-*"))


def test_a_crash_while_a_segment_is_made_leaves_nothing_under_its_name(tmp_path, monkeypatch):
    store = make_store(tmp_path, TEXTS, [TEXT])
    batches = Mirror._batches

    def dies(self, table, part):
        yield next(batches(self, table, part))
        raise KeyboardInterrupt

    monkeypatch.setattr(Mirror, "_batches", dies)
    with pytest.raises(KeyboardInterrupt):
        store.pull(["text"])
    folder = store.cache / "mirror" / TEXT.view
    assert not list(folder.glob("*part-*"))
    monkeypatch.undo()
    assert store.pull(["text"]).coverage["text"].present == sum(text != NOTHING for text in TEXTS.values())


def test_what_a_killed_process_left_is_pruned_when_it_is_old(tmp_path):
    mirror = Mirror(tmp_path)
    folder = mirror.view_folder("v")
    for name, age_s in (("old", 7200), ("new", 10)):
        (folder / f".building-{name}").mkdir()
        os.utime(folder / f".building-{name}", times=(0, time.time() - age_s))
    (folder / "part-1-a").mkdir()
    (folder / "part-2-b").mkdir()
    assert mirror.prune("v", ["part-2-b.parquet"]) == ["part-1-a"]
    assert sorted(path.name for path in folder.iterdir()) == [".building-new", "part-2-b"]


def pull_in_process(root: str, cache: str, start, results) -> None:
    store = open_store(root, cache=cache)
    start.wait()
    found = store.pull(["text", "text_steps"])
    results.put((found.features["text"].sum().item(), found.steps["text_steps"].flat()[0].shape))


def test_processes_that_make_the_mirror_at_once_all_get_it(tmp_path):
    store = make_store(tmp_path, TEXTS)
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(3), spawn.Queue()
    arguments = (store.root, str(tmp_path / "cache"), start, results)
    processes = [spawn.Process(target=pull_in_process, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    got = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
        assert process.exitcode == 0
    there = [planted(TEXT, text) for text in TEXTS.values() if text != NOTHING]
    ((total, shape),) = got
    assert total == pytest.approx(np.sum(there), rel=1e-5)
    assert shape == (2 * len(there), 3)
    assert not list((tmp_path / "cache").rglob(".building-*"))


def test_two_threads_share_a_segment(tmp_path):
    store = make_store(tmp_path, TEXTS, [TEXT])
    table, mirror = store.table(TEXT.view), mirror_of(store)
    (part,) = table.parts()
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda: found.append(mirror.segment(table, part).values.sum().item()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_part_damaged_in_its_values_goes_to_quarantine_and_counts_as_missing(tmp_path):
    store = make_store(tmp_path, TEXTS, [TEXT])
    write(store, {**TEXTS, "c/new": "new"}, [TEXT])
    table = store.table(TEXT.view)
    first, _ = table.parts()
    path = store.files.local_path(table.part_path(first))
    data = bytearray(path.read_bytes())
    place = data.find(planted(TEXT, "text 0").tobytes())
    assert place > 0
    data[place] ^= 0x40
    path.write_bytes(data)
    with pytest.warns(QuarantineWarning, match=first):
        found = open_store(store.root, cache=str(tmp_path / "cache")).pull(["text"])
    assert found.ids == ["c/new"]
    assert found.coverage["text"].missing == len(TEXTS)


def test_a_store_elsewhere_is_mirrored_all_the_same(tmp_path):
    from feature_repo.store import init_store

    store = init_store("memory://mirror-test", cache=str(tmp_path / "cache"))
    write(store, TEXTS, [TEXT])
    found = store.pull([TEXT.view])
    expected = [planted(TEXT, TEXTS[name]) for name in found.ids]
    np.testing.assert_array_equal(found.features["text"], expected)
    assert isinstance(found.manifest, pl.DataFrame)
