"""Feature tables: which row is live, and what damage costs."""

import contextlib
import errno
import os
import threading
import time
import warnings

import numpy as np
import polars as pl
import pytest

from feature_repo import feature_table
from feature_repo.errors import StoreReadError
from feature_repo.feature_table import FeatureTable, QuarantineWarning
from feature_repo.files import FileLayer
from feature_repo.part import Row
from tests.feature_repo.planted import STEPS, TEXT, memory_root


@pytest.fixture(params=["folder", "memory"])
def files(request, tmp_path) -> FileLayer:
    return FileLayer(str(tmp_path / "root") if request.param == "folder" else memory_root())


@pytest.fixture
def table(files) -> FeatureTable:
    return FeatureTable(files, TEXT)


def row(number: int, key: str = "k", value: float = 1.0) -> Row:
    return Row(f"c/{number}", key, np.full(4, value, "<f4"))


def keys(table: FeatureTable) -> dict[str, str]:
    return dict(table.live_keys().sort("utterance_id").iter_rows())


def values(table: FeatureTable) -> dict[str, float | None]:
    found = {}
    for entry in table.index().iter_rows(named=True):
        value = table.read_part(entry["part"])["text"][entry["row"]].as_py()
        found[entry["utterance_id"]] = value and value[0]
    return dict(sorted(found.items()))


def damage(table: FeatureTable, name: str, how: str) -> None:
    path = table.part_path(name)
    data = bytearray(table.files.read(path))
    if how == "cut":
        del data[len(data) // 2 :]
    elif how == "empty":
        data.clear()
    elif how == "value":  # a bit of the last value, which the index never reads
        place = bytes(data).rindex(np.full(4, 1, "<f4").tobytes())
        data[place] ^= 1
    elif how == "footer":
        data[-20] ^= 1
    table.files.write(path, bytes(data))


def test_the_newest_row_is_live_whoever_asks(table):
    table.append([row(1, "old", 1), row(2, "k", 2)])
    table.append([row(1, "new", 3)])
    for reader in (table, FeatureTable(table.files, TEXT)):
        assert keys(reader) == {"c/1": "new", "c/2": "k"}
        assert values(reader) == {"c/1": 3, "c/2": 2}
    assert table.history().height == 3


def test_an_empty_table(table):
    assert table.parts() == []
    assert table.index().is_empty()
    assert table.index().schema == FeatureTable(table.files, STEPS).history().schema
    assert table.append([]) is None


def test_a_clock_that_goes_backwards_keeps_the_newest_row_live(table, monkeypatch):
    table.append([row(1, "first")])
    for hour, key in enumerate(["second", "third"], 1):
        monkeypatch.setattr(time, "time_ns", lambda hour=hour: (1_000_000 - hour) * 10**9)
        FeatureTable(table.files, TEXT).append([row(1, key)])
        assert keys(table) == {"c/1": key}
    stamps = table.history()["created_timestamp"]
    assert stamps.n_unique() == 3


def test_a_clock_that_stands_still_does_too(table, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000 * 10**9)
    for key in ("a", "b", "c"):
        table.append([row(1, key)])
    assert keys(table) == {"c/1": "c"}


def test_two_writers_of_one_microsecond_have_one_live_row_for_every_reader(table, monkeypatch):
    """Both listed before either wrote: the stamps are the same, and readers must agree all the same."""
    monkeypatch.setattr(FeatureTable, "_next_us", lambda self: 1_800_000_000_000_000)
    table.append([row(1, "one", 1)])
    table.append([row(1, "two", 2)])
    assert len({tuple(keys(FeatureTable(table.files, TEXT)).items()) for _ in range(5)}) == 1
    assert table.index().height == 1


def test_a_tombstone_hides_and_a_later_row_shows_again(table):
    table.append([row(1), row(2)])
    table.bury(["c/1"])
    assert keys(table) == {"c/2": "k"}
    assert table.index().filter(pl.col("utterance_id") == "c/1")["n"].item() == 0
    table.append([row(1, "again")])
    assert keys(table) == {"c/1": "again", "c/2": "k"}


def test_copying_forward_makes_an_older_row_live_with_its_value_and_note(table):
    table.append([row(1, "old", 5), Row("c/2", "old", None, "nothing there")])
    table.append([row(1, "new", 6), row(2, "new", 6)])
    older = table.history().filter(pl.col("content_key") == "old")
    table.copy_forward(older)
    assert keys(table) == {"c/1": "old", "c/2": "old"}
    assert values(table) == {"c/1": 5, "c/2": None}
    assert table.index().filter(pl.col("utterance_id") == "c/2")["note"].item() == "nothing there"


def test_copying_forward_from_many_parts_in_chunks(table, monkeypatch):
    monkeypatch.setattr(feature_table, "_COPIED_AT_ONCE", 3)
    for number in range(8):
        table.append([row(number, "old", number + 1), row(number + 100, "old", number + 1)])
    older = table.history()
    table.append([row(number, "new", 99) for number in range(8)])
    table.copy_forward(older.sample(fraction=1, shuffle=True, seed=1))
    assert set(keys(table).values()) == {"old"}
    assert values(table) == {f"c/{n + extra}": n + 1 for n in range(8) for extra in (0, 100)}


def test_counts_of_steps(files):
    table = FeatureTable(files, STEPS)
    table.append([Row("c/1", "k", np.ones((3, 2), "<f2")), Row("c/2", "k", None, "nothing")])
    assert dict(table.index().select("utterance_id", "n").iter_rows()) == {"c/1": 3, "c/2": 0}


@pytest.mark.parametrize("how", ["cut", "empty", "value", "footer"])
def test_a_damaged_part_goes_to_quarantine_is_told_and_the_rest_is_readable(table, how):
    table.append([row(1, "k", 1)])
    (bad,) = table.parts()
    table.append([row(2, "k", 2)])
    damage(table, bad, how)
    reader = FeatureTable(table.files, TEXT)
    told = rf"{bad} of {TEXT.view} can't be read.*run `affectstore extract` again"
    if how == "value":
        assert keys(reader) == {"c/1": "k", "c/2": "k"}, "the index reads keys only"
    with pytest.warns(QuarantineWarning, match=told), contextlib.suppress(FileNotFoundError):
        reader.read_part(bad)
    assert reader.quarantined() == [bad]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for again in (reader, FeatureTable(table.files, TEXT)):
            assert keys(again) == {"c/2": "k"}
            assert values(again) == {"c/2": 2}


def test_a_foreign_parquet_file_is_not_taken_for_a_part(table):
    table.append([row(1)])
    other = FeatureTable(table.files, STEPS)
    other.append([Row("c/9", "k", np.ones((1, 2), "<f2"))])
    (name,) = other.parts()
    table.files.write(table.part_path(name), table.files.read(other.part_path(name)))
    with pytest.warns(QuarantineWarning, match=name):
        FeatureTable(table.files, TEXT).history()
    assert keys(table) == {"c/1": "k"}


def test_other_files_in_the_folder_are_let_alone(table):
    table.files.write(f"{table.folder}/recipe.json", b"{}")
    table.append([row(1)])
    assert keys(table) == {"c/1": "k"}
    assert table.files.exists(f"{table.folder}/recipe.json")


@pytest.mark.parametrize("operation", ["read", "list"])
def test_a_disk_or_network_that_fails_is_not_taken_for_damage(table, operation):
    table.append([row(1)])

    def fail(moment, failing, path):
        if failing == operation:
            raise OSError(errno.EIO, "Input/output error")

    table.files.hook = fail
    with pytest.raises(StoreReadError, match="Input/output error"):
        FeatureTable(table.files, TEXT).index()
    table.files.hook = None
    assert keys(FeatureTable(table.files, TEXT)) == {"c/1": "k"}
    assert table.quarantined() == []


def test_a_read_that_breaks_off_once_is_not_taken_for_damage(table, monkeypatch):
    table.append([row(1)])
    (name,) = table.parts()

    class Broken:
        def __init__(self, source):
            self.source = source

        def __getattr__(self, name):
            return getattr(self.source, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.source.close()

        def read(self, *_):
            raise OSError(errno.EIO, "Input/output error")

    opened = FileLayer.open
    monkeypatch.setattr(FileLayer, "open", lambda self, *rest: Broken(opened(self, *rest)))
    with pytest.raises(StoreReadError, match="a second look found it whole"):
        table.read_part(name)
    monkeypatch.undo()
    assert table.quarantined() == []
    assert table.read_part(name).num_rows == 1


def test_a_reader_who_may_not_move_the_damaged_part_reads_the_rest(table):
    if not table.files.is_local:
        pytest.skip("moving is a copy there")
    table.append([row(1)])
    (bad,) = table.parts()
    table.append([row(2)])
    damage(table, bad, "cut")

    def read_only(moment, operation, path):
        if operation in ("make_folder", "replace"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    reader = FeatureTable(FileLayer(table.files.root, read_only), TEXT)
    with pytest.warns(QuarantineWarning, match=f"kept at .*features/{TEXT.view}/{bad}"):
        assert keys(reader) == {"c/2": "k"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keys(reader) == {"c/2": "k"}


def test_readers_that_race_for_a_damaged_part_all_read_the_rest(table):
    names = []
    for number in range(4):
        names.append(table.append([row(number)]))
    for bad in names[:3]:
        damage(table, bad, "cut")
    readers = [FeatureTable(FileLayer(table.files.root), TEXT) for _ in range(6)]
    found: list[object] = []
    gate = threading.Barrier(len(readers))

    def read(reader):
        gate.wait()
        try:
            found.append(keys(reader))
        except BaseException as error:
            found.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        threads = [threading.Thread(target=read, args=(reader,)) for reader in readers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [{"c/3": "k"}] * len(readers)
    assert table.quarantined() == sorted(names[:3])


def test_a_part_that_gc_takes_between_listing_and_reading_is_looked_for_again(table):
    table.append([row(1)])
    (old,) = table.parts()
    data = table.files.read(table.part_path(old))
    reader = FeatureTable(FileLayer(table.files.root), TEXT)
    taken = []

    def take(moment, operation, path):
        if moment == "after" and operation == "read" and not taken:
            taken.append(path)
            table.files.write(table.part_path(old.replace("part-0", "part-1")), data)
            table.files.remove(table.part_path(old))

    reader.files.hook = take
    assert keys(reader) == {"c/1": "k"}
    assert taken


def test_a_failed_append_shows_nothing(table):
    if not table.files.is_local:
        pytest.skip("an upload is one operation")
    table.append([row(1)])

    def fail(moment, operation, path):
        if operation == "sync" and moment == "before":
            raise OSError(errno.ENOSPC, "No space left on device")

    table.files.hook = fail
    with pytest.raises(Exception, match="No space left"):
        table.append([row(1, "new"), row(2)])
    table.files.hook = None
    assert keys(FeatureTable(table.files, TEXT)) == {"c/1": "k"}
