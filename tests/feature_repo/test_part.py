"""Parts: any Parquet reader understands them, and no flipped bit gets through."""

import io

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.part import (
    Row,
    check_part,
    encode_part,
    feature_columns,
    newest_us,
    part_name,
    part_schema,
    provenance_of,
    read_footer,
    rows_to_arrow,
    superseded_by,
)
from feature_repo.recipe import Recipe
from tests.feature_repo.planted import STEPS, TEXT

SOUND = Recipe("audio", "waveform", 1, "media", "steps", 1, dtype="int16")
NOW = 1_800_000_000_123_456
VECTOR = np.array([1.5, -2, 0, 4], "<f4")
SEQUENCE = np.array([[1, 2], [3, 4.5]], "<f2")


def part(recipe, *rows: Row) -> bytes:
    return encode_part(rows_to_arrow(recipe, rows, NOW), {"lib": "1.0"}, ["part-1", "part-2"])


def pooled() -> bytes:
    return part(TEXT, Row("c/1", "k1", VECTOR), Row("c/2", "k2", None, "empty"), Row("c/3", ""))


def steps() -> bytes:
    return part(STEPS, Row("c/1", "k1", SEQUENCE), Row("c/2", "k2", None, "empty"))


def test_a_pooled_part_as_polars_reads_it():
    rows = pl.read_parquet(io.BytesIO(pooled())).to_dicts()
    assert [row["text"] for row in rows] == [[1.5, -2.0, 0.0, 4.0], None, None]
    assert [row["content_key"] for row in rows] == ["k1", "k2", ""]
    assert [row["note"] for row in rows] == [None, "empty", None]
    stamps = {row[name] for row in rows for name in ("event_timestamp", "created_timestamp")}
    assert {stamp.isoformat() for stamp in stamps} == {"2027-01-15T08:00:00.123456+00:00"}


def test_a_sequence_part_as_duckdb_reads_it(tmp_path):
    path = tmp_path / "part.parquet"
    path.write_bytes(steps())
    rows = duckdb.sql(f"select text_steps, text_n, note from '{path}' order by utterance_id").fetchall()
    assert rows == [(SEQUENCE.tobytes(), 2, None), (b"", 0, "empty")]
    np.testing.assert_array_equal(np.frombuffer(rows[0][0], "<f2").reshape(2, 2), [[1, 2], [3, 4.5]])


def test_sixteen_bit_sound_comes_back():
    value = np.array([[-32768], [0], [32767]], np.int16)
    table = pq.read_table(io.BytesIO(part(SOUND, Row("c/1", "k", value))))
    assert np.frombuffer(table["audio_steps"][0].as_py(), "<i2").tolist() == [-32768, 0, 32767]


def test_the_schema_is_the_documented_one():
    shared = ["utterance_id", "content_key", "event_timestamp", "created_timestamp", "note"]
    assert part_schema(TEXT).names == [*shared, "text"]
    assert part_schema(TEXT).field("text").type == pa.list_(pa.float32())
    assert part_schema(STEPS).names == [*shared, "text_steps", "text_n"]
    assert part_schema(STEPS).field("text_steps").type == pa.binary()
    assert part_schema(STEPS).field("created_timestamp").type == pa.timestamp("us", "UTC")


BOXED = Recipe("faces", "x", 1, "media", "steps", 2, columns={"x": "step", "times": "floats", "wide": "int"})
RECORD = Recipe(
    "transcript",
    "x",
    1,
    "text",
    "record",
    0,
    columns={"score": "float", "count": "int", "words": "text", "ends": "floats", "parts": "texts"},
)
PERSON = Recipe(
    "reference", "x", 1, "speaker", "pooled", 4, inputs=("ab",), entity="speaker", columns={"clips": "int"}
)


def record() -> bytes:
    columns = {
        "score": 0.5,
        "count": 2**40,
        "words": "two words",
        "ends": [0.5, 1.5],
        "parts": ["two", "words"],
    }
    nothing = Row("c/2", "k2", None, "empty", {"count": 0})
    return part(RECORD, Row("c/1", "k1", columns=columns), nothing, Row("c/3", ""))


def test_a_record_s_part_as_duckdb_reads_it(tmp_path):
    path = tmp_path / "part.parquet"
    path.write_bytes(record())
    names = "transcript_score, transcript_count, transcript_words, transcript_ends, transcript_parts, note"
    rows = duckdb.sql(f"select {names} from '{path}' order by utterance_id").fetchall()
    assert rows == [
        (0.5, 2**40, "two words", [0.5, 1.5], ["two", "words"], None),
        (None, 0, None, None, None, "empty"),
        (None, None, None, None, None, None),
    ]
    types = duckdb.sql(f"select {names} from '{path}'").types
    assert [str(kind) for kind in types] == ["FLOAT", "BIGINT", "VARCHAR", "FLOAT[]", "VARCHAR[]", "VARCHAR"]


def test_a_sequence_s_columns_as_polars_reads_them():
    boxes = {"x": np.array([1, 2], np.float32), "times": np.array([0.5], np.float32), "wide": 640}
    empty = Row("c/2", "k2", None, "no face", {"x": [], "wide": 320})
    rows = pl.read_parquet(
        io.BytesIO(part(BOXED, Row("c/1", "k1", SEQUENCE.astype("<f4"), columns=boxes), empty))
    )
    assert rows["faces_x"].to_list() == [[1.0, 2.0], []]
    assert rows["faces_times"].to_list() == [[0.5], None]
    assert rows["faces_wide"].to_list() == [640, 320]
    assert rows["faces_n"].to_list() == [2, 0]


def test_a_speaker_s_part_is_keyed_by_the_speaker():
    rows = pl.read_parquet(io.BytesIO(part(PERSON, Row("meld/ann", "k1", VECTOR, columns={"clips": 15}))))
    assert rows.columns[0] == "speaker_id"
    assert "utterance_id" not in rows.columns
    assert rows["speaker_id"].to_list() == ["meld/ann"]
    assert rows["reference"].to_list() == [VECTOR.tolist()]
    assert feature_columns(PERSON) == ["reference", "reference_clips"]


def test_columns_stand_after_what_was_there_before():
    assert part_schema(BOXED).names == [
        *part_schema(Recipe("faces", "x", 1, "media", "steps", 2)).names,
        "faces_times",
        "faces_wide",
        "faces_x",
    ]


def test_the_footer_tells_what_it_was_told():
    data = pooled()
    footer = read_footer(TEXT, part_name(NOW, data), io.BytesIO(data))
    assert superseded_by(footer) == ["part-1", "part-2"]
    assert provenance_of(footer) == {"lib": "1.0"}
    assert superseded_by(pq.read_metadata(io.BytesIO(data))) == ["part-1", "part-2"]


def test_a_footer_longer_than_one_look_at_the_tail():
    olds = [f"part-{number:030d}" for number in range(5000)]
    data = encode_part(rows_to_arrow(TEXT, [Row("c/1", "k1", VECTOR)], NOW), {}, olds)
    assert superseded_by(read_footer(TEXT, part_name(NOW, data), io.BytesIO(data))) == olds


def test_names_are_unique_sort_by_time_and_tell_it():
    data = pooled()
    first, second = part_name(NOW, data), part_name(NOW + 1, data)
    assert first < second
    assert part_name(NOW, data) != first
    assert newest_us(first) == NOW


@pytest.mark.parametrize(
    ("recipe", "data"),
    [(TEXT, pooled()), (STEPS, steps()), (RECORD, record())],
    ids=["pooled", "steps", "record"],
)
def test_no_flipped_bit_gets_through(recipe, data):
    """Every byte of a part, one bit each: told as damage, or the same rows."""
    name = part_name(NOW, data)
    truth = pq.read_table(io.BytesIO(data)).to_pylist()
    told = 0
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        try:
            check_part(recipe, name, bytes(flipped))
            footer = read_footer(recipe, name, io.BytesIO(flipped))
            file = pq.ParquetFile(
                pa.BufferReader(bytes(flipped)), metadata=footer, page_checksum_verification=True
            )
            rows = file.read().to_pylist()
        except Exception:
            told += 1
            continue
        assert rows == truth, f"byte {position} of {len(data)}"
    # All but bytes of page headers that no reader looks at.
    assert told > 0.8 * len(data)


@pytest.mark.parametrize("recipe_and_data", [(TEXT, pooled()), (STEPS, steps())], ids=["pooled", "steps"])
def test_no_cut_gets_through(recipe_and_data):
    recipe, data = recipe_and_data
    name = part_name(NOW, data)
    check_part(recipe, name, data)
    for length in range(len(data)):
        with pytest.raises((pa.ArrowException, OSError, ValueError)):
            check_part(recipe, name, data[:length])


def test_a_part_of_another_table_is_told():
    data = pooled()
    with pytest.raises(pa.ArrowInvalid, match="not those of the table"):
        check_part(STEPS, part_name(NOW, data), data)
