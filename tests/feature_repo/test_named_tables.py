"""Small tables under a name: whole or not at all, on a disk and on an object store."""

import io

import polars as pl
import pytest

from feature_repo.errors import BadInputError, StoreWriteError, UnknownNameError
from feature_repo.files import FileLayer
from feature_repo.named_tables import NamedTables, now
from tests.feature_repo.planted import memory_root

SCHEMA = {"utterance_id": pl.String, "weight": pl.Float32}


def tables(root: str, hook=None, forgotten=()) -> NamedTables:
    return NamedTables(FileLayer(root, hook), "weighing", "things/weighings", SCHEMA, lambda: forgotten)


def rows(**weights: float) -> pl.DataFrame:
    return pl.DataFrame({"weight": list(weights.values()), "utterance_id": list(weights), "more": 1})


@pytest.fixture(params=["disk", "memory"])
def root(request, tmp_path) -> str:
    return str(tmp_path) if request.param == "disk" else memory_root()


def test_rows_come_back_sorted_in_the_schema_s_columns_with_what_was_told(root):
    tables(root).save("w", rows(b=2, a=1), {"why": ["é", 1]})
    found, told = tables(root).read("w")
    assert found.rows() == [("a", 1.0), ("b", 2.0)]
    assert dict(found.schema) == SCHEMA
    assert told == {"why": ["é", 1]}
    assert tables(root).names() == ["w"]


def test_erasing_touches_those_that_have_it_alone(root):
    known = tables(root)
    known.save("one", rows(a=1, b=2), {"told": 1})
    known.save("two", rows(b=2), {})
    before = known.files.read("things/weighings/two.parquet")
    known.erase(["a"])
    assert known.read("one")[0]["utterance_id"].to_list() == ["b"]
    assert known.read("one")[1] == {"told": 1}
    assert known.files.read("things/weighings/two.parquet") == before


def test_what_is_forgotten_already_is_not_kept(root):
    tables(root, forgotten=["a"]).save("w", rows(a=1, b=2), {})
    assert tables(root).read("w")[0]["utterance_id"].to_list() == ["b"]


def test_a_failed_write_leaves_the_older_one(tmp_path):
    tables(str(tmp_path)).save("w", rows(a=1), {})

    def full(moment, operation, path):
        if operation == "replace":
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreWriteError, match="No space left"):
        tables(str(tmp_path), full).save("w", rows(b=1), {})
    assert tables(str(tmp_path)).read("w")[0]["utterance_id"].to_list() == ["a"]


def test_what_is_told_must_be_an_object(root):
    known = tables(root)
    sink = pl.DataFrame(schema=SCHEMA)
    known.save("w", sink, {})
    data = io.BytesIO()
    sink.write_parquet(data, metadata={"affectstore.weighing": "[1]"})
    known.files.write("things/weighings/w.parquet", data.getvalue())
    with pytest.raises(BadInputError, match="no JSON object.*save the weighing again"):
        known.read("w")


def test_names_are_those_of_files(root):
    known = tables(root)
    with pytest.raises(BadInputError, match="weighing name '../w'"):
        known.save("../w", rows(a=1), {})
    for name in ("../w", "w"):
        with pytest.raises(UnknownNameError, match="unknown weighing"):
            known.read(name)


def test_now_is_utc_to_the_second():
    assert now().endswith("+00:00")
    assert len(now()) == len("2026-01-01T00:00:00+00:00")
