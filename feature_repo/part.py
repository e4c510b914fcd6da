"""A part: one immutable Parquet file of a feature table, its columns, its name and its footer."""

import io
import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.recipe import ColumnType, Recipe

TIMESTAMP = pa.timestamp("us", tz="UTC")
KEY_COLUMNS = ("utterance_id", "speaker_id", "content_key", "event_timestamp", "created_timestamp", "note")
TOMBSTONE = ""  # content key of a row that says: this utterance has left the manifest
_TAIL = 2**16  # bytes; more than the footer of any part but one that merged thousands
_SUPERSEDES = b"affectstore.supersedes"
_PROVENANCE = b"affectstore.provenance"
_COLUMN_TYPES: dict[ColumnType, pa.DataType] = {
    "float": pa.float32(),
    "int": pa.int64(),
    "text": pa.string(),
    "floats": pa.list_(pa.float32()),
    "texts": pa.list_(pa.string()),
    "step": pa.list_(pa.float32()),
}


@dataclass(frozen=True)
class Row:
    """One row to be stored.

    Attributes:
        utterance_id: what the row is about; a speaker's id in a speaker's table.
        content_key: hash of what was read; ``TOMBSTONE`` in a row that says that there is nothing any more.
        value: ``[width]``, ``[n, width]``, or None for a record, a nothing or a tombstone.
        note: why there is nothing.
        columns: the recipe's further columns by name, as the gate gives them.
    """

    utterance_id: str
    content_key: str
    value: np.ndarray[Any, Any] | None = None
    note: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


def part_schema(recipe: Recipe) -> pa.Schema:
    """Arrow schema of the recipe's parts."""
    fields = [pa.field(key_column(recipe), pa.string()), pa.field("content_key", pa.string())]
    fields += [pa.field(name, TIMESTAMP) for name in ("event_timestamp", "created_timestamp")]
    fields.append(pa.field("note", pa.string()))
    if recipe.layout == "pooled":
        fields.append(pa.field(recipe.slot, pa.list_(pa.float32())))
    elif recipe.layout == "steps":
        fields += [pa.field(recipe.slot, pa.binary()), pa.field(count_column(recipe), pa.int32())]
    fields += [
        pa.field(stored, _COLUMN_TYPES[recipe.columns[name]])
        for name, stored in further_columns(recipe).items()
    ]
    return pa.schema(fields)


def key_column(recipe: Recipe) -> str:
    """Name of the stored column that says what a row is about, and of Feast's join key."""
    return f"{recipe.entity}_id"


def count_column(recipe: Recipe) -> str:
    """Name of the column that counts a sequence's steps."""
    return f"{recipe.modality}_n"


def further_columns(recipe: Recipe) -> dict[str, str]:
    """Name of each further column of the recipe to the name that it is stored under."""
    return {name: f"{recipe.modality}_{name}" for name in recipe.columns}


def feature_columns(recipe: Recipe) -> list[str]:
    """Names of all stored columns that hold what was computed: the value's, the count's, the further ones."""
    names: list[str] = part_schema(recipe).names
    return names[names.index("note") + 1 :]


def rows_to_arrow(recipe: Recipe, rows: Sequence[Row], created_us: int) -> pa.Table:
    """The rows as a part's table, all created at one time.

    Args:
        recipe: whose table it is.
        rows: what is stored; values have passed the gate.
        created_us: microseconds since 1970, UTC.
    """
    schema = part_schema(recipe)
    stamps = pa.array(np.full(len(rows), created_us), pa.int64()).cast(TIMESTAMP)
    columns = [
        pa.array([row.utterance_id for row in rows], pa.string()),
        pa.array([row.content_key for row in rows], pa.string()),
        stamps,
        stamps,
        pa.array([row.note or None for row in rows], pa.string()),
    ]
    values = [row.value for row in rows]
    if recipe.layout == "pooled":
        columns.append(_pooled_column(values))
    elif recipe.layout == "steps":
        columns.append(pa.array([b"" if value is None else value.tobytes() for value in values], pa.binary()))
        columns.append(pa.array([0 if value is None else len(value) for value in values], pa.int32()))
    for name, stored in further_columns(recipe).items():
        columns.append(pa.array([row.columns.get(name) for row in rows], schema.field(stored).type))
    return pa.Table.from_arrays(columns, schema=schema)


def _pooled_column(values: Sequence[np.ndarray[Any, Any] | None]) -> pa.Array:
    offsets = np.cumsum([0, *(0 if value is None else len(value) for value in values)], dtype=np.int32)
    present = [value for value in values if value is not None]
    flat = np.concatenate(present) if present else np.empty(0, np.float32)
    absent = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat, pa.float32()), mask=absent)


def part_name(created_us: int, data: bytes) -> str:
    """A unique file name that tells the newest ``created_timestamp`` in the part, and its footer's checksum.

    Parquet has a checksum for each page and none for the footer, where a flipped bit can turn one column's data into
    another's.
    """
    return f"part-{created_us:017d}-{zlib.crc32(_footer_of(data)):08x}{uuid.uuid4().hex[:8]}.parquet"


def is_part(name: str) -> bool:
    """Whether the file name is a part's."""
    return name.startswith("part-") and name.endswith(".parquet")


def newest_us(name: str) -> int:
    """Newest ``created_timestamp`` in the part, in microseconds since 1970, read off its name."""
    return int(name.split("-")[1])


def read_footer(recipe: Recipe, name: str, source: BinaryIO) -> pq.FileMetaData:
    """The footer of the recipe's part of this name.

    Raises:
        pa.ArrowInvalid: it is damaged, not the one that the name tells of, or of another table.
    """
    end = source.seek(0, io.SEEK_END)
    source.seek(max(0, end - _TAIL))
    tail = source.read()
    missing = _footer_length(tail) - len(tail)
    if 0 < missing <= end - len(tail):
        source.seek(end - len(tail) - missing)
        tail = source.read(missing) + tail
    footer = _footer_of(tail)
    if f"{zlib.crc32(footer):08x}" != name.split("-")[2][:8]:
        raise pa.ArrowInvalid("its footer is damaged or cut off")
    metadata = pq.read_metadata(pa.BufferReader(tail))
    if not metadata.schema.to_arrow_schema().remove_metadata().equals(part_schema(recipe)):
        raise pa.ArrowInvalid("its columns are not those of the table")
    return metadata


def _footer_length(data: bytes) -> int:
    """Bytes of the footer at the end of the data, with its length and magic number."""
    return int.from_bytes(data[-8:-4], "little") + 8


def _footer_of(data: bytes) -> bytes:
    return data[-_footer_length(data) :]


def encode_part(table: pa.Table, provenance: Mapping[str, str], supersedes: Sequence[str] = ()) -> bytes:
    """The bytes of a part.

    Args:
        table: rows in the recipe's schema.
        provenance: library versions and the like; told, never compared.
        supersedes: names of the older parts whose rows this merged part repeats.
    """
    metadata = {_PROVENANCE: json.dumps(dict(provenance), sort_keys=True).encode()}
    if supersedes:
        metadata[_SUPERSEDES] = json.dumps(list(supersedes)).encode()
    sink = io.BytesIO()
    # Floats of an embedding barely compress and a dictionary of them only costs time; page checksums tell a flipped
    # bit from data. Words compress well.
    words = {column.name for column in table.schema if column.type in (pa.string(), pa.list_(pa.string()))}
    pq.write_table(
        table.replace_schema_metadata(metadata),
        sink,
        compression={
            name: "zstd" if name in KEY_COLUMNS or name in words else "none" for name in table.column_names
        },
        use_dictionary=False,
        write_page_checksum=True,
    )
    return sink.getvalue()


def check_part(recipe: Recipe, name: str, data: bytes) -> None:
    """Read a part whole, checksums and all.

    Raises:
        Exception: whatever the Parquet reader says of a damaged file.
    """
    footer = read_footer(recipe, name, io.BytesIO(data))
    pq.ParquetFile(pa.BufferReader(data), metadata=footer, page_checksum_verification=True).read()


def superseded_by(footer: pq.FileMetaData) -> list[str]:
    """Names of the older parts that the part with this footer repeats."""
    return [str(name) for name in json.loads((footer.metadata or {}).get(_SUPERSEDES, b"[]"))]


def provenance_of(footer: pq.FileMetaData) -> dict[str, str]:
    """What the writer of the part told of itself."""
    return dict(json.loads((footer.metadata or {}).get(_PROVENANCE, b"{}")))
