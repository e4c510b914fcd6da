"""Compaction and gc: fewer parts, the same rows, whatever happens meanwhile."""

import os
import threading
import time
import warnings

import numpy as np
import polars as pl
import pytest

from feature_repo import compaction
from feature_repo.compaction import compact, gc, gc_temporary
from feature_repo.feature_table import FeatureTable, QuarantineWarning
from feature_repo.files import FileLayer
from feature_repo.part import Row, provenance_of
from tests.feature_repo.planted import TEXT, memory_root


@pytest.fixture(params=["folder", "memory"])
def files(request, tmp_path) -> FileLayer:
    return FileLayer(str(tmp_path / "root") if request.param == "folder" else memory_root())


@pytest.fixture
def table(files) -> FeatureTable:
    return FeatureTable(files, TEXT)


def row(number: int, key: str = "k", value: float = 1.0) -> Row:
    return Row(f"c/{number}", key, np.full(4, value, "<f4"))


def state(table: FeatureTable) -> dict[str, tuple[str, object, object]]:
    """Live rows with their keys, times and values, as a fresh reader has them."""
    fresh = FeatureTable(FileLayer(table.files.root), TEXT)
    found = {}
    for entry in fresh.index().iter_rows(named=True):
        assert entry["utterance_id"] not in found
        value = fresh.read_part(entry["part"])["text"][entry["row"]].as_py()
        found[entry["utterance_id"]] = (entry["content_key"], entry["created_timestamp"], value)
    return found


def busy(table: FeatureTable) -> None:
    """A table with changed, changed back, buried and revived rows, and nothings."""
    table.append([row(n, "a", n + 1) for n in range(10)], {"lib": "1.0", "device": "cpu"})
    table.append([row(n, "b", n + 100) for n in range(5)], {"lib": "2.0", "device": "cpu"})
    table.copy_forward(table.history().filter(pl.col("content_key") == "a", pl.col("utterance_id") == "c/0"))
    table.bury(["c/7", "c/8"])
    table.append([row(8, "c", 8), Row("c/9", "d", None, "nothing")])


def contents(table: FeatureTable) -> set[tuple[str, str]]:
    return set(
        table.history().filter(pl.col("content_key") != "").select("utterance_id", "content_key").iter_rows()
    )


def test_the_same_rows_are_live_before_between_and_after(table):
    busy(table)
    before, known = state(table), contents(table)
    done = compact(table)
    assert (done.parts_before, done.parts_after) == (5, 1)
    assert state(table) == before
    assert contents(table) == known, "a text changed back is still there to be copied"
    assert len(table.all_parts()) == 6
    assert len(gc(table, 0)) == 5
    assert len(table.all_parts()) == 1
    assert state(table) == before
    assert contents(FeatureTable(table.files, TEXT)) == known


def test_dropped_are_only_repeated_rows_and_tombstones_that_are_not_live(table):
    busy(table)
    rows_before = table.history().height
    done = compact(table)
    # c/0's two copies of "a" become one; c/8's tombstone is no longer live.
    assert done.rows_left_out == 2
    assert table.history().height == rows_before - 2
    assert table.index().filter(pl.col("utterance_id") == "c/7")["content_key"].item() == ""


def test_compacting_again_does_nothing(table):
    busy(table)
    compact(table)
    gc(table, 0)
    names = table.all_parts()
    done = compact(table)
    assert (done.parts_before, done.parts_after, done.rows_left_out) == (1, 1, 0)
    assert table.all_parts() == names


def test_compacting_nothing(table):
    assert compact(table).parts_after == 0
    assert gc(table, 0) == []


def test_large_parts_are_let_alone_and_batches_are_cut(table, monkeypatch):
    for number in range(6):
        table.append([row(number * 10 + n, "k", n + 1) for n in range(10)])
    sizes = [table.files.size(table.part_path(name)) for name in table.parts()]
    monkeypatch.setattr(compaction, "FLUSH_BYTES", 1000)
    assert compact(table).parts_after == 6, "all are larger than half the flush size"
    monkeypatch.setattr(compaction, "FLUSH_BYTES", 2 * max(sizes) + 2)
    before = state(table)
    assert 1 < compact(table).parts_after < 6 or len(table.parts()) == 1
    assert state(table) == before


def test_merging_a_merged_part_again(table):
    busy(table)
    compact(table)
    table.append([row(50, "k", 5)])
    before = state(table)
    compact(table)
    assert state(table) == before
    assert len(table.parts()) == 1
    gc(table, 0)
    assert len(table.all_parts()) == 1
    assert state(table) == before


def test_gc_killed_at_any_removal_leaves_the_same_rows(table):
    busy(table)
    compact(table)
    table.append([row(50, "k", 5)])
    compact(table)
    before = state(table)

    class Kill(BaseException):
        pass

    def kill(moment, operation, path):
        if operation == "remove" and moment == "after":
            raise Kill

    table.files.hook = kill
    for _ in range(20):
        try:
            gone = gc(table, 0)
        except Kill:
            assert state(table) == before
            continue
        assert gone == []
        break
    else:
        pytest.fail("gc never came to an end")


def test_gc_waits_for_readers(table):
    busy(table)
    compact(table)
    assert gc(table) == []
    assert gc(table, 3600) == []
    assert len(table.all_parts()) == 6


def test_gc_keeps_the_old_parts_of_a_merged_part_that_is_damaged(table):
    busy(table)
    before = state(table)
    compact(table)
    (merged,) = table.parts()
    data = bytearray(table.files.read(table.part_path(merged)))
    place = bytes(data).rindex(np.full(4, 104, "<f4").tobytes())
    data[place] ^= 1  # a value, which no listing and no index reads
    table.files.write(table.part_path(merged), bytes(data))
    with pytest.warns(QuarantineWarning, match=merged):
        assert gc(FeatureTable(table.files, TEXT), 0) == []
    assert state(table) == before


def test_compaction_leaves_a_damaged_part_out_and_merges_the_others(table):
    for number in range(4):
        table.append([row(number, "k", number + 1)])
    before = state(table)
    bad = table.parts()[1]
    data = bytearray(table.files.read(table.part_path(bad)))
    data[bytes(data).rindex(np.full(4, 2, "<f4").tobytes())] ^= 1
    table.files.write(table.part_path(bad), bytes(data))
    with pytest.warns(QuarantineWarning, match=bad):
        compact(table)
    del before["c/1"]
    assert state(table) == before
    assert len(table.parts()) == 1


def test_two_compactors_at_once(table):
    busy(table)
    before = state(table)
    gate = threading.Barrier(3)

    def work():
        own = FeatureTable(FileLayer(table.files.root), TEXT)
        gate.wait()
        compact(own)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state(table) == before
    gc(table, 0)
    assert state(table) == before


def test_two_compactors_that_no_lock_keeps_apart(table, monkeypatch):
    """On an object store two machines may merge the same parts: rows are repeated then, and live once."""
    import contextlib

    busy(table)
    before = state(table)
    monkeypatch.setattr(FileLayer, "lock", lambda self, name: contextlib.nullcontext())
    other = FeatureTable(FileLayer(table.files.root), TEXT)
    append = FeatureTable.append_table
    once = []

    def other_first(self, *arguments, **options):
        if not once:
            once.append(1)
            compact(other)
        return append(self, *arguments, **options)

    monkeypatch.setattr(FeatureTable, "append_table", other_first)
    compact(table)
    assert len(table.parts()) == 2
    assert state(table) == before
    gc(table, 0)
    assert state(table) == before
    compact(table)
    gc(table, 0)
    assert len(table.all_parts()) == 1
    assert state(table) == before


def test_a_row_written_while_parts_are_merged_stays_the_newest(table, monkeypatch):
    busy(table)
    append = FeatureTable.append_table
    once = []

    def writer_first(self, *arguments, **options):
        if not once:
            once.append(1)
            FeatureTable(FileLayer(table.files.root), TEXT).append([row(3, "newest", 33)])
        return append(self, *arguments, **options)

    monkeypatch.setattr(FeatureTable, "append_table", writer_first)
    compact(table)
    assert state(table)["c/3"][0] == "newest"
    gc(table, 0)
    assert state(table)["c/3"][0] == "newest"


@pytest.mark.parametrize("at", range(1, 40))
def test_a_part_committed_at_any_moment_of_a_compaction_is_not_lost(tmp_path, at):
    """At each operation in turn, another process commits a part before it."""
    table = FeatureTable(FileLayer(str(tmp_path / "root")), TEXT)
    busy(table)
    seen = []

    def writer(moment, operation, path):
        seen.append(operation)
        if len(seen) == at:
            FeatureTable(FileLayer(table.files.root), TEXT).append([row(3, "newest", 33), row(77, "late", 7)])

    own = FeatureTable(FileLayer(table.files.root, writer), TEXT)
    compact(own)
    assert len(seen) >= at, "fewer operations than this test covers: lower its range"
    for _ in range(2):
        found = state(table)
        assert (found["c/3"][0], found["c/77"][0]) == ("newest", "late")
        assert len(found) == 11
        gc(table, 0)


def test_two_rows_of_one_microsecond_stay_one_live_row(table, monkeypatch):
    monkeypatch.setattr(FeatureTable, "_next_us", lambda self: 1_800_000_000_000_000)
    table.append([row(1, "one", 1)])
    table.append([row(1, "two", 2)])
    before = state(table)
    compact(table)
    assert state(table) == before
    gc(table, 0)
    assert state(table) == before


def test_a_merged_part_tells_of_all_its_writers(table):
    busy(table)
    compact(table)
    (merged,) = table.parts()
    assert provenance_of(table.footer(merged)) == {"lib": "1.0 | 2.0", "device": "cpu"}


def test_a_reader_that_listed_before_gc_reads_on(table):
    busy(table)
    reader = FeatureTable(FileLayer(table.files.root), TEXT)
    before = reader.index()
    compact(table)
    gc(table, 0)
    assert (
        reader.index()
        .drop("part", "row")
        .sort("utterance_id")
        .equals(before.drop("part", "row").sort("utterance_id"))
    )


def test_what_killed_writers_staged_is_removed_when_it_is_old(tmp_path):
    files = FileLayer(str(tmp_path / "root"))
    with files.lock("x"):
        for name in ("old", "new"):
            files.local_path(f"tmp/{name}").write_bytes(b"half")
        hour_ago = time.time() - 4000
        os.utime(files.local_path("tmp/old"), (hour_ago, hour_ago))
        assert gc_temporary(files) == 1
        assert files.list_files("tmp") == ["new", "x.lock"]
        assert gc_temporary(files, 0) == 0, "somebody may be writing it now"


def test_nothing_is_warned_of_a_healthy_table(table):
    busy(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compact(table)
        gc(table, 0)
        state(table)
