"""A mirror segment: one part's values as raw bytes that are memory-mapped (DESIGN section 5)."""

import contextlib
import json
import mmap
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from feature_repo.cosine_search import euclidean_norms
from feature_repo.errors import BadInputError
from feature_repo.recipe import Recipe

Array = npt.NDArray[Any]

# Raised when the files' layout changes: segments of another number are made anew.
_LAYOUT = 1
_VALUES, _OFFSETS, _FACTS, _NORMS = "values.bin", "offsets.bin", "facts.json", "norms.bin"


@dataclass(frozen=True)
class Segment:
    """One part's values, mapped read-only; row ``i`` is row ``i`` of the part.

    Attributes:
        values: pooled ``[rows, width]``, zeros where the part has none; sequences ``[steps, width]``, row after row.
        offsets: for sequences int64 ``[rows + 1]``: row ``i`` is ``values[offsets[i]:offsets[i + 1]]``; else None.
    """

    values: Array
    offsets: npt.NDArray[np.int64] | None


def write_segment(folder: Path, recipe: Recipe, batches: Iterable[pa.RecordBatch]) -> None:
    """Write a segment's files, synced, into an empty folder.

    Args:
        folder: where; made durable before it is moved to its name, so that a crash leaves no half under that name.
        recipe: whose part it is.
        batches: the part's value column, in the order of its rows.

    Raises:
        BadInputError: a value of another width than the recipe's.
        OSError: the folder can't be written.
    """
    dtype = stored_dtype(recipe)
    rows = 0
    lengths = [np.zeros(1, np.int64)]
    with (folder / _VALUES).open("wb") as values:
        for batch in batches:
            rows += batch.num_rows
            column = batch.column(0)
            if recipe.layout == "pooled":
                values.write(_pooled(recipe, column).reshape(-1).data)
            else:
                data, counts = _steps(recipe, column, dtype.itemsize)
                values.write(data)
                lengths.append(counts)
        _sync(values)
    if recipe.layout == "steps":
        with (folder / _OFFSETS).open("wb") as offsets:
            offsets.write(np.cumsum(np.concatenate(lengths)).data)
            _sync(offsets)
    with (folder / _FACTS).open("wb") as facts:
        facts.write(json.dumps({"layout": _LAYOUT, "rows": rows}).encode())
        _sync(facts)


def open_segment(folder: Path, recipe: Recipe) -> Segment | None:
    """The segment in the folder; None when there is none, or one that is torn or of another layout."""
    dtype = stored_dtype(recipe)
    try:
        facts = json.loads((folder / _FACTS).read_bytes())
        values = _map(folder / _VALUES, dtype, whole=recipe.layout == "pooled")
        if facts["layout"] != _LAYOUT:
            return None
        values = values.reshape(-1, recipe.width)
        if recipe.layout == "pooled":
            return Segment(values, None) if len(values) == facts["rows"] else None
        offsets = _map(folder / _OFFSETS, np.dtype("<i8"), whole=True)
        if len(offsets) != facts["rows"] + 1 or offsets[-1] != len(values):
            return None
        return Segment(values, offsets)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def segment_norms(folder: Path, segment: Segment) -> npt.NDArray[np.float64]:
    """Euclidean norms ``[rows]`` of a pooled segment, from its folder where they were computed before.

    Where the folder can't be written they are computed again by the next process, no more.
    """
    path = folder / _NORMS
    with contextlib.suppress(OSError, ValueError):
        found = np.fromfile(path, "<f8")
        if len(found) == len(segment.values):
            return found
    norms = euclidean_norms(segment.values)
    staged = path.with_name(f"{_NORMS}-{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        try:
            with staged.open("wb") as handle:
                handle.write(norms.astype("<f8").data)
                _sync(handle)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
    return norms


def stored_dtype(recipe: Recipe) -> np.dtype[Any]:
    """Number type of the recipe's values in parts and segments: little-endian."""
    return np.dtype(recipe.dtype if recipe.layout == "steps" else "float32").newbyteorder("<")


def _pooled(recipe: Recipe, column: pa.ListArray) -> Array:
    # Through Polars: Arrow's own way to NumPy imports pandas.
    flat, valid = (pl.Series(array).to_numpy() for array in (column.flatten(), column.is_valid()))
    present = int(valid.sum())
    if len(flat) != present * recipe.width:
        raise BadInputError(f"{recipe.view}: a stored vector has not the recipe's {recipe.width} numbers")
    flat = np.ascontiguousarray(flat, dtype="<f4").reshape(present, recipe.width)
    if present == len(column):
        return flat
    whole = np.zeros((len(column), recipe.width), "<f4")
    whole[valid] = flat
    return whole


def _steps(recipe: Recipe, column: pa.BinaryArray, itemsize: int) -> tuple[memoryview, npt.NDArray[np.int64]]:
    _, offset_buffer, data = column.buffers()
    bounds = np.frombuffer(offset_buffer, np.int32)[column.offset : column.offset + len(column) + 1]
    counts, rest = np.divmod(np.diff(bounds).astype(np.int64), recipe.width * itemsize)
    if rest.any():
        raise BadInputError(f"{recipe.view}: a stored sequence has not whole steps of {recipe.width} numbers")
    # An Arrow array of nothing but empty values may have no data buffer at all.
    whole = memoryview(data) if data is not None else memoryview(b"")
    return whole[int(bounds[0]) : int(bounds[-1])], counts


def _map(path: Path, dtype: np.dtype[Any], *, whole: bool) -> Array:
    # What is taken whole is mapped whole at once (Linux): page by page, the faults took three times as long as the
    # copying. Sequences are read a batch at a time and may be larger than memory.
    populate = getattr(mmap, "MAP_POPULATE", 0) if whole else 0
    with path.open("rb") as handle:
        if os.fstat(handle.fileno()).st_size == 0:
            return np.empty(0, dtype)
        if populate:
            mapped = mmap.mmap(handle.fileno(), 0, flags=mmap.MAP_SHARED | populate, prot=mmap.PROT_READ)
        else:
            mapped = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, dtype)


def _sync(handle: BinaryIO) -> None:
    handle.flush()
    os.fsync(handle.fileno())
