"""Hugging Face ``datasets``: a folder that ``load_from_disk`` opens, and the Parquet and Arrow files of others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.exchange.bundle import FACTS, Bundle, ExportedSlot, Segment, bundle_from, facts_from_text
from feature_repo.exchange.exporting import licences_text
from feature_repo.exchange.flat_values import batches_of_rows
from feature_repo.exchange.foreign import (
    ID_NAMES,
    ForeignRequest,
    ForeignTable,
    as_name,
    features_of,
    stored_type,
)
from feature_repo.exchange.format import Format
from feature_repo.exchange.registry import register_format
from feature_repo.id_file import ids_in
from feature_repo.outcome import Fault, Outcome
from feature_repo.steps import Steps

if TYPE_CHECKING:
    from datasets import Features

Array = npt.NDArray[Any]

_FACTS = f"{FACTS}.json"
_STATE = "state.json"  # what `save_to_disk` leaves in every folder
_VALUES = "/values"  # ends the column of a slot's vectors: its name alone may be the manifest's, as `text` is
_ROWS = 2_000  # rows that are written at once, at most
_ARROW, _PARQUET = b"ARROW1", b"PAR1"


@register_format
class HuggingFaceFormat(Format):
    """One row per utterance: everything the manifest says, a column a slot, the label as a class."""

    name: ClassVar[str] = "hf"
    summary: ClassVar[str] = "a folder of Hugging Face datasets; load_from_disk reads it"
    folder: ClassVar[bool] = True

    def recognises(self, path: Path) -> bool:
        """By the files of ``save_to_disk``, of a folder of Parquet or Arrow files, or by the first bytes of one."""
        if path.is_file():
            with path.open("rb") as source:
                return source.read(8).startswith((_ARROW, _PARQUET))
        return path.is_dir() and ((path / _STATE).is_file() or bool(_files(path)))

    def write(self, bundle: Bundle, path: Path, on_rows: Callable[[int], None]) -> None:
        """Stream the rows into an Arrow file, let ``datasets`` save it with what it keeps beside."""
        import datasets  # takes a second

        features = _features(bundle)
        schema = features.arrow_schema
        staged = path.with_name(f"{path.name}.rows")
        try:
            with pa.OSFile(str(staged), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
                for batch in _batches(bundle, schema, on_rows):
                    writer.write_table(batch)
            info = datasets.DatasetInfo(
                features=features,
                license=licences_text(bundle.licences),
                description="Features exported by affectstore",
            )
            with _quiet():
                saved = datasets.Dataset.from_file(str(staged), info=info)
                saved.save_to_disk(str(path), max_shard_size="500MB")
            (path / _FACTS).write_text(json.dumps(bundle.facts(), indent=2, sort_keys=True), "utf-8")
        finally:
            staged.unlink(missing_ok=True)

    def read(self, path: Path) -> Bundle | None:
        """The bundle; sequences are mapped, vectors copied into memory slot by slot."""
        if not (path / _FACTS).is_file():
            return None
        facts = facts_from_text((path / _FACTS).read_text("utf-8"))
        columns = _columns(path)
        try:
            slots: Mapping[str, Any] = facts["slots"]
            values = {
                name: _exported(columns[name + _VALUES], told["recipe"]) for name, told in slots.items()
            }
            rest = [name for name in columns if not name.endswith(_VALUES) and name != "label"]
            rows = pl.DataFrame({name: pl.Series(name, pl.from_arrow(columns[name])) for name in rest})
            classes = pl.Series(facts["labels"]["classes"], dtype=pl.String)
            label = pl.Series("label", pl.from_arrow(columns["label"])).cast(pl.Int64)
            rows = rows.with_columns(classes.gather(label).alias("label"))
        except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
            raise BadInputError(f"{path} is a damaged export: {error}") from error
        return bundle_from(facts, rows, values)

    def tables(self, path: Path, asked: ForeignRequest, manifest: pl.DataFrame) -> list[ForeignTable]:
        """Columns of lists of numbers, or of lists of such lists; ids from a column."""
        columns = _columns(path)
        names = list(asked.arrays) or _only(columns, path)
        known = [asked.ids] if asked.ids else [name for name in ID_NAMES if name in columns]
        if asked.ids and asked.ids not in columns and Path(asked.ids).is_file():
            ids = ids_in(Path(asked.ids))
        elif not known or known[0] not in columns:
            raise UnknownNameError(f"column of ids of {path}", asked.ids or ID_NAMES[0], columns)
        else:
            ids = [as_name(each) for each in columns[known[0]].to_pylist()]
        for name in names:
            if name not in columns:
                raise UnknownNameError(f"column of {path}", name, columns)
        return [_table(name, columns[name], ids, path) for name in names]


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar of the library's own: there is one already."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _features(bundle: Bundle) -> Features:
    from datasets import ClassLabel, Features, List, Value

    kinds: dict[Any, Any] = {
        pl.String: Value("string"),
        pl.Int32: Value("int32"),
        pl.Int64: Value("int64"),
        pl.Float32: Value("float32"),
        pl.Float64: Value("float64"),
        pl.Boolean: Value("bool"),
    }
    told: dict[str, Any] = {}
    for name, kind in bundle.rows().drop("label").schema.items():
        told[name] = (
            List(kinds[kind.inner.base_type()]) if isinstance(kind, pl.List) else kinds[kind.base_type()]
        )
    told["label"] = ClassLabel(names=list(bundle.classes))
    for name, slot in bundle.slots.items():
        vector = List(Value(_number(slot)), length=slot.recipe.width)
        told[name + _VALUES] = List(vector) if isinstance(slot.values, Steps) else vector
    return Features(told)


def _number(slot: ExportedSlot) -> str:
    return str(np.dtype(slot.recipe.dtype)) if isinstance(slot.values, Steps) else "float32"


def _batches(bundle: Bundle, schema: pa.Schema, on_rows: Callable[[int], None]) -> Iterator[pa.Table]:
    rows = bundle.rows().drop("label")
    largest = max(bundle.slots.values(), key=lambda slot: int(slot.lengths().sum()) * slot.recipe.width)
    for start, stop in batches_of_rows(largest, _ROWS):
        arrow = rows[start:stop].to_arrow(compat_level=pl.CompatLevel.oldest())
        columns = {name: arrow[name].combine_chunks() for name in arrow.column_names}
        labels = bundle.labels[start:stop]
        columns["label"] = pa.array(labels, mask=labels < 0)
        for name, slot in bundle.slots.items():
            columns[name + _VALUES] = _lists(slot, start, stop)
        yield pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema)
        on_rows((stop - start) * len(bundle.slots))


def _lists(slot: ExportedSlot, start: int, stop: int) -> pa.Array:
    absent = ~slot.present[start:stop]
    width = slot.recipe.width
    if not isinstance(slot.values, Steps):
        flat = pa.array(np.ascontiguousarray(slot.values[start:stop]).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, width, mask=pa.array(absent))
    values, offsets = slot.values.flat(np.arange(start, stop))
    items = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), width)
    return pa.LargeListArray.from_arrays(pa.array(offsets), items, mask=pa.array(absent))


def _files(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.suffix in (".parquet", ".arrow"))


def _columns(path: Path) -> dict[str, pa.ChunkedArray]:
    """The columns of a saved dataset, mapped, or of Parquet or Arrow files."""
    try:
        if path.is_dir() and (path / _STATE).is_file():
            from datasets import load_from_disk  # takes a second

            found = load_from_disk(str(path))
            if isinstance(found, dict):
                raise BadInputError(
                    f"{path} holds several splits: name one of {', '.join(found)} as its folder"
                )
            table = found.with_format("arrow")[:]
        elif path.is_dir():
            if not (files := _files(path)):
                raise BadInputError(
                    f"{path} holds no dataset: several splits are named one by one, as folders"
                )
            table = pa.concat_tables([_one(file) for file in files])
        else:
            table = _one(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInputError(f"{path} is no dataset that can be read: {error}") from error
    return {name: table[name] for name in table.column_names}


def _one(path: Path) -> pa.Table:
    with path.open("rb") as source:
        if source.read(len(_PARQUET)) == _PARQUET:
            return pq.ParquetFile(source).read()
    with pa.memory_map(str(path)) as source:
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()


def _exported(column: pa.ChunkedArray, recipe: Mapping[str, Any]) -> Array | list[Segment]:
    """An exported slot's values: ``[rows, width]``, or the steps of each chunk where they lie in the file."""
    width = int(recipe["width"])
    if recipe["layout"] == "steps":
        return [(len(chunk), _steps_of(chunk, width)) for chunk in column.chunks]
    whole = np.zeros((len(column), width), np.float32)
    place = 0
    for chunk in column.chunks:
        present = pl.Series(chunk.is_valid()).to_numpy()
        flat = _numbers(chunk.flatten())
        whole[place : place + len(chunk)][present] = flat.reshape(-1, width)
        place += len(chunk)
    return whole


def _steps_of(chunk: pa.Array, width: int) -> Array:
    # By the offsets: flattening lists of which some are null copies them. A null one is empty, as it was written.
    bounds = _numbers(chunk.offsets)
    if not len(bounds):
        return _numbers(chunk.values.values.slice(0, 0)).reshape(0, width)
    vectors = chunk.values.slice(int(bounds[0]), int(bounds[-1] - bounds[0]))
    return _numbers(vectors.flatten()).reshape(-1, width)


def _numbers(flat: pa.Array) -> Array:
    # Through the buffer: Arrow's own way to NumPy imports pandas.
    if flat.null_count:
        raise ValueError("a vector with a number missing")
    dtype = np.dtype(flat.type.to_pandas_dtype())
    data = flat.buffers()[1]
    if data is None:
        return np.empty(0, dtype)
    return np.frombuffer(data, dtype, len(flat), flat.offset * dtype.itemsize)


def _only(columns: Mapping[str, pa.ChunkedArray], path: Path) -> list[str]:
    fitting = [name for name, column in columns.items() if _depth(column.type)]
    if len(fitting) != 1:
        told = f"several columns of vectors: {', '.join(fitting)}" if fitting else "no column of vectors"
        raise BadInputError(f"{path} has {told}; name those that are wanted with --array")
    return fitting


def _depth(kind: pa.DataType) -> int:
    """How many lists lie around the floats; 0 for anything else."""
    depth = 0
    while _is_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth if depth in (1, 2) and pa.types.is_floating(kind) else 0


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _table(name: str, column: pa.ChunkedArray, ids: list[str], path: Path) -> ForeignTable:
    depth = _depth(column.type)
    if not depth:
        raise BadInputError(f"{path}: column {name!r} is {column.type}, not lists of numbers")
    if len(ids) != len(column):
        raise BadInputError(
            f"{path}: column {name!r} has {len(column):,} rows, and there are {len(ids):,} ids"
        )
    kept = [index for index, valid in enumerate(pl.Series(column.is_valid())) if valid]
    kind = column.type
    while _is_list(kind):
        kind = kind.value_type
    numbers = np.dtype(kind.to_pandas_dtype())
    layout = "steps" if depth == 2 else "pooled"
    width = next((found for index in kept if (found := _width(column[index], depth))), 0)
    if not width:
        raise BadInputError(f"{path}: column {name!r} holds no vector")
    dtype = stored_type(numbers, layout)

    def row(index: int) -> Outcome:
        try:
            value = np.asarray(column[kept[index]].as_py(), numbers)
            return features_of(
                value.reshape(-1, width) if layout == "steps" and not value.size else value, dtype
            )
        except (ValueError, TypeError) as error:
            return Fault("extract", "BadVector", f"{path.name}, {name}: {error}")

    return ForeignTable(
        name, [ids[index] for index in kept], "steps" if depth == 2 else "pooled", width, dtype, row
    )


def _width(value: pa.Scalar, depth: int) -> int:
    if depth == 1:
        return len(value)
    return len(value[0]) if len(value) else 0
