"""Safetensors: named tensors behind a JSON header, mapped and never run (huggingface/safetensors, its README)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.exchange.bundle import (
    FACTS,
    ROWS,
    Bundle,
    bundle_from,
    facts_from_text,
    rows_from_bytes,
    rows_to_bytes,
)
from feature_repo.exchange.exporting import licences_text
from feature_repo.exchange.flat_values import flat_batches, flat_shape
from feature_repo.exchange.foreign import ForeignRequest, ForeignTable, named_tables
from feature_repo.exchange.format import Format
from feature_repo.exchange.registry import register_format
from feature_repo.steps import Steps

Array = npt.NDArray[Any]

_NAMES = {"f4": "F32", "f2": "F16", "i2": "I16", "i8": "I64", "i4": "I32", "u1": "U8", "b1": "BOOL"}
_METADATA = "__metadata__"
_MOST = 100_000_000  # bytes of a header that the library reads


@register_format
class SafetensorsFormat(Format):
    """One tensor a slot; ids, classes, licences and recipes in the header's metadata."""

    name: ClassVar[str] = "safetensors"
    summary: ClassVar[str] = "safetensors; NumPy, torch, JAX and TensorFlow map it"
    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)

    def recognises(self, path: Path) -> bool:
        """By a header that begins with a brace and ends inside the file."""
        if not path.is_file() or path.stat().st_size < 9:
            return False
        with path.open("rb") as source:
            length = int.from_bytes(source.read(8), "little")
            return length + 8 <= path.stat().st_size and source.read(1) == b"{"

    def write(self, bundle: Bundle, path: Path, on_rows: Callable[[int], None]) -> None:
        """The header, then the tensors; the library wants all of them in memory at once, so they are streamed here."""
        small: dict[str, Array] = {
            ROWS: np.frombuffer(rows_to_bytes(bundle.rows()), np.uint8),
            "labels": bundle.labels,
        }
        for name, slot in bundle.slots.items():
            small[f"{name}_present"] = slot.present
            if isinstance(slot.values, Steps):
                small[f"{name}_offsets"] = np.concatenate(
                    [np.zeros(1, np.int64), np.cumsum(slot.lengths(), dtype=np.int64)]
                )
        shapes = {name: flat_shape(slot) for name, slot in bundle.slots.items()}
        shapes |= {name: (array.shape, array.dtype) for name, array in small.items()}
        # The widest numbers first, so that each tensor lies at a multiple of its size.
        order = sorted(shapes, key=lambda name: (-shapes[name][1].itemsize, name))
        with path.open("wb") as sink:
            sink.write(_header(bundle, {name: shapes[name] for name in order}))
            for name in order:
                if name in small:
                    sink.write(np.ascontiguousarray(small[name]).data)
                    continue
                for rows, values in flat_batches(bundle.slots[name]):
                    sink.write(values.data)
                    on_rows(rows)

    def read(self, path: Path) -> Bundle | None:
        """The bundle, its values mapped and not read."""
        metadata, arrays = read_tensors(path)
        if FACTS not in metadata or ROWS not in arrays:
            return None
        facts = facts_from_text(metadata[FACTS])
        rows = rows_from_bytes(arrays[ROWS].tobytes())
        return bundle_from(facts, rows, {name: arrays[name] for name in facts["slots"] if name in arrays})

    def tables(self, path: Path, asked: ForeignRequest, manifest: pl.DataFrame) -> list[ForeignTable]:
        """Tensors by name; ids from the metadata entry ``ids`` (a JSON list) or a text file."""
        metadata, arrays = read_tensors(path)
        ids = None
        if not asked.ids and "ids" in metadata:
            try:
                ids = [str(each) for each in json.loads(metadata["ids"])]
            except (ValueError, TypeError) as error:
                raise BadInputError(f"{path}: the metadata entry 'ids' is no JSON list: {error}") from error
        return named_tables(arrays, asked, path, ids)


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Array]]:
    """Metadata and mapped tensors by name.

    Raises:
        BadInputError: it is damaged, or has numbers that NumPy lacks.
    """
    from safetensors import SafetensorError, safe_open  # only who exchanges needs it

    try:
        with safe_open(path, framework="np") as checked:  # the library looks whether the header is sound
            metadata = dict(checked.metadata() or {})
        with path.open("rb") as source:
            length = int.from_bytes(source.read(8), "little")
            header = json.loads(source.read(length))
        whole = np.memmap(path, np.uint8, "r")
        return metadata, dict(_mapped(header, np.asarray(whole), 8 + length))
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInputError(f"{path} is no sound safetensors file: {error}") from error


def _mapped(header: dict[str, Any], whole: Array, begin: int) -> Iterator[tuple[str, Array]]:
    types = {name: np.dtype(f"<{code}") for code, name in _NAMES.items()} | {"F64": np.dtype("<f8")}
    for name, told in header.items():
        if name == _METADATA:
            continue
        if told["dtype"] not in types:
            raise ValueError(f"tensor {name!r} is {told['dtype']}; NumPy knows {', '.join(sorted(types))}")
        first, last = told["data_offsets"]
        dtype = types[told["dtype"]]
        data = whole[begin + first : begin + last]
        # A tensor may lie anywhere; one that is not aligned is copied.
        aligned = (begin + first) % dtype.itemsize == 0
        values = data.view(dtype) if aligned else np.frombuffer(data.tobytes(), dtype)
        yield name, values.reshape(told["shape"])


def _header(bundle: Bundle, shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]]) -> bytes:
    metadata = {
        FACTS: json.dumps(bundle.facts(), sort_keys=True),
        "ids": json.dumps(bundle.manifest["utterance_id"].to_list()),
        "classes": json.dumps(bundle.classes),
        "licences": licences_text(bundle.licences),
    }
    told: dict[str, Any] = {_METADATA: metadata}
    place = 0
    for name, (shape, dtype) in shapes.items():
        end = place + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        told[name] = {"dtype": _NAMES[dtype.str[1:]], "shape": list(shape), "data_offsets": [place, end]}
        place = end
    header = json.dumps(told).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > _MOST:
        raise BadInputError(
            f"{len(bundle):,} ids make a safetensors header of {len(header):,} bytes, more than its readers take: "
            "choose another format, or export in parts"
        )
    return len(header).to_bytes(8, "little") + header
