"""NumPy archives: what ``np.load`` reads without pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar

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
from feature_repo.exchange.flat_values import flat_batches, flat_shape
from feature_repo.exchange.foreign import ForeignRequest, ForeignTable, named_tables
from feature_repo.exchange.format import Format
from feature_repo.exchange.registry import register_format
from feature_repo.steps import Steps

Array = npt.NDArray[Any]

_TOLD = ("split", "dialogue_id", "turn", "speaker_id", "emotion", "text")
_ZIP, _NPY = b"PK\x03\x04", b"\x93NUMPY"
_LOCAL_HEADER = 30  # bytes before a member's name (PKWARE APPNOTE 4.3.7)


@register_format
class NpzFormat(Format):
    """One array a slot, with masks, offsets, ids and what the manifest says of them."""

    name: ClassVar[str] = "npz"
    summary: ClassVar[str] = "a NumPy archive; np.load reads it without pickle"
    suffixes: ClassVar[tuple[str, ...]] = (".npz", ".npy")

    def recognises(self, path: Path) -> bool:
        """By the first bytes of a ZIP archive or of a single array."""
        return path.is_file() and _head(path).startswith((_ZIP, _NPY))

    def write(self, bundle: Bundle, path: Path, on_rows: Callable[[int], None]) -> None:
        """Arrays by name; sequences are streamed, words are compressed."""
        with zipfile.ZipFile(path, "w") as archive:
            for name, array in _described(bundle).items():
                _write(archive, name, array)
            for name, slot in bundle.slots.items():
                shape, dtype = flat_shape(slot)
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    header = {
                        "descr": np.lib.format.dtype_to_descr(dtype),
                        "fortran_order": False,
                        "shape": shape,
                    }
                    np.lib.format.write_array_header_2_0(member, header)
                    for rows, values in flat_batches(slot):
                        member.write(values.data)
                        on_rows(rows)

    def read(self, path: Path) -> Bundle | None:
        """The bundle, its values mapped and not read."""
        arrays = read_arrays(path)
        if FACTS not in arrays or ROWS not in arrays:
            return None
        facts = facts_from_text(str(arrays[FACTS][()]))
        rows = rows_from_bytes(np.asarray(arrays[ROWS]).tobytes())
        return bundle_from(facts, rows, {name: arrays[name] for name in facts["slots"] if name in arrays})

    def tables(self, path: Path, asked: ForeignRequest, manifest: pl.DataFrame) -> list[ForeignTable]:
        """Arrays of an archive, or the only one of a ``.npy`` file, called after the file."""
        return named_tables(read_arrays(path), asked, path)


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an archive, or the one of a ``.npy`` file under the file's name; large ones are mapped.

    Raises:
        BadInputError: it is damaged, or wants pickle.
    """
    try:
        if _head(path).startswith(_NPY):
            return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}
        with zipfile.ZipFile(path) as archive, path.open("rb") as source:
            return {
                entry.filename.removesuffix(".npy"): _read(archive, source, entry)
                for entry in archive.infolist()
                if entry.filename.endswith(".npy")
            }
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        OSError,
        EOFError,
        KeyError,
        NotImplementedError,
        RuntimeError,  # an encrypted one
        MemoryError,  # one that declares more than there is
    ) as error:
        raise BadInputError(f"{path} is no NumPy archive that can be read without pickle: {error}") from error


def _described(bundle: Bundle) -> dict[str, Array]:
    arrays: dict[str, Array] = {
        FACTS: np.array(json.dumps(bundle.facts(), sort_keys=True)),
        ROWS: np.frombuffer(rows_to_bytes(bundle.rows()), np.uint8),
        "ids": _words(bundle.manifest["utterance_id"]),
        "labels": bundle.labels,
        "classes": np.array(bundle.classes, np.str_),
        "snapshot": np.array(bundle.snapshot),
    }
    for column in _TOLD:
        told = bundle.manifest[column]
        if told.null_count() < len(told) or not len(told):
            arrays[f"manifest_{column}"] = (
                _words(told) if told.dtype == pl.String else told.fill_null(-1).to_numpy()
            )
    for name, slot in bundle.slots.items():
        arrays[f"{name}_present"] = slot.present
        arrays[f"{name}_content_key"] = _words(slot.content_keys)
        if isinstance(slot.values, Steps):
            arrays[f"{name}_offsets"] = np.concatenate(
                [np.zeros(1, np.int64), np.cumsum(slot.lengths(), dtype=np.int64)]
            )
    return arrays


def _words(told: pl.Series) -> Array:
    return np.array(told.fill_null("").to_list(), np.str_)


def _write(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    # NumPy pads words to the longest and keeps four bytes a letter; numbers gain nothing by compression.
    entry = zipfile.ZipInfo(f"{name}.npy")
    entry.compress_type = zipfile.ZIP_DEFLATED if array.dtype.kind == "U" else zipfile.ZIP_STORED
    with archive.open(entry, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def _read(archive: zipfile.ZipFile, source: IO[bytes], entry: zipfile.ZipInfo) -> Array:
    with archive.open(entry) as member:
        if entry.compress_type != zipfile.ZIP_STORED:
            return np.lib.format.read_array(member, allow_pickle=False)
        version = np.lib.format.read_magic(member)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read_header(member)
        begin = member.tell()
    if dtype.hasobject:
        raise ValueError(f"array {entry.filename!r} holds Python objects")
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size != entry.file_size - begin:
        raise ValueError(
            f"array {entry.filename!r} has {entry.file_size - begin:,} bytes and declares {size:,}"
        )
    source.seek(entry.header_offset)
    header = source.read(_LOCAL_HEADER)
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    place = entry.header_offset + _LOCAL_HEADER + names + begin
    if size == 0:
        return np.empty(shape, dtype)
    mapped = np.memmap(source, dtype, "r", place, shape, "F" if fortran else "C")
    return np.asarray(mapped)


def _head(path: Path) -> bytes:
    with path.open("rb") as source:
        return source.read(8)
