"""A table that somebody else computed: its rows by the names that its file has for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.id_file import ids_in
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import StoredDtype

Array = npt.NDArray[Any]

# What files call the names of their rows, the likeliest first.
ID_NAMES = ("utterance_id", "ids", "utterance_ids", "id")
_FLOAT16, _INT16 = np.dtype(np.float16), np.dtype(np.int16)


@dataclass(frozen=True)
class ForeignRequest:
    """What the user says of a file.

    Attributes:
        arrays: names of the arrays, columns or modalities that are wanted; by default the only one there is.
        ids: name of the array or column of ids, or a text file with one a line.
        layout: name of the layout of a pickle of dialogues.
        corpus: the corpus that the file is about, where the file names no utterances.
    """

    arrays: tuple[str, ...] = ()
    ids: str = ""
    layout: str = ""
    corpus: str = ""


@dataclass(frozen=True)
class ForeignTable:
    """One array of a file, row by row.

    Attributes:
        name: what the file calls it.
        ids: what the file calls each row.
        layout: one vector a row, or a sequence of them.
        width: numbers per vector or step.
        dtype: number type that it is stored in.
        row: the features of a row, or why they are not to be had.
        splits: the split of each row as a manifest names it, empty where the file has none.
        modality: what the table is by the file's own account; empty where it does not say.
        facts: what of the reading decides the numbers, for the recipe.
    """

    name: str
    ids: Sequence[str]
    layout: Literal["pooled", "steps"]
    width: int
    dtype: StoredDtype
    row: Callable[[int], Outcome]
    splits: Sequence[str] = ()
    modality: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def stored_type(dtype: np.dtype[Any], layout: str) -> StoredDtype:
    """The type that a sequence of these numbers is stored in; vectors are always float32.

    Raises:
        BadInputError: they are no numbers that a table could hold.
    """
    if dtype.kind not in "fiu":
        raise BadInputError(f"numbers of type {dtype}: floats or integers are imported")
    if layout == "steps" and dtype.newbyteorder("=") == _FLOAT16:
        return "float16"
    return "int16" if layout == "steps" and dtype.newbyteorder("=") == _INT16 else "float32"


def features_of(value: Array, dtype: StoredDtype) -> Features:
    """A row's value in the type that it is stored in; what does not fit is the gate's to refuse."""
    if value.dtype.kind == "f" or dtype == "int16":
        return Features(value)
    return Features(value.astype(np.float64))


def named_table(
    arrays: Mapping[str, Array], name: str, ids: Sequence[str], splits: Sequence[str] = ()
) -> ForeignTable:
    """The table in an array ``[n, d]``, ``[n, L, d]`` or, with ``<name>_offsets``, ``[sum of steps, d]``.

    ``<name>_present`` tells which rows there are, ``<name>_lengths`` how many steps each has; without lengths, zero
    steps at a row's end are taken for padding.

    Raises:
        BadInputError: shapes that do not fit together.
    """
    array = arrays[name]
    offsets, lengths = arrays.get(f"{name}_offsets"), arrays.get(f"{name}_lengths")
    layout: Literal["pooled", "steps"] = "steps" if offsets is not None or array.ndim == 3 else "pooled"
    if array.ndim not in (2, 3):
        raise BadInputError(
            f"array {name!r} has the shape {list(array.shape)}: [n, d] or [n, steps, d] is wanted"
        )
    for end, told in (("offsets", offsets), ("lengths", lengths)):
        if told is not None and (told.ndim != 1 or told.dtype.kind not in "iuf"):
            raise BadInputError(
                f"array '{name}_{end}' is {told.dtype} {list(told.shape)}, not a list of numbers"
            )
    rows = len(offsets) - 1 if offsets is not None else len(array)
    if rows != len(ids):
        raise BadInputError(f"array {name!r} has {rows:,} rows, and there are {len(ids):,} ids")
    if lengths is not None and len(lengths) != rows:
        raise BadInputError(f"array '{name}_lengths' has {len(lengths):,} entries for {rows:,} rows")
    if lengths is not None and (np.asarray(lengths) < 0).any():
        raise BadInputError(f"array '{name}_lengths' has entries below zero")
    if offsets is not None and not (
        offsets[0] == 0 and offsets[-1] == len(array) and (np.diff(offsets) >= 0).all()
    ):
        raise BadInputError(f"array '{name}_offsets' does not tell where the rows of {name!r} begin")
    present = np.asarray(arrays.get(f"{name}_present", np.ones(rows, bool)), bool)
    if len(present) != rows:
        raise BadInputError(f"array '{name}_present' has {len(present):,} entries for {rows:,} rows")
    kept: list[int] = np.flatnonzero(present).tolist()
    dtype = stored_type(array.dtype, layout)

    def row(index: int) -> Outcome:
        number = kept[index]
        if offsets is not None:
            value = array[int(offsets[number]) : int(offsets[number + 1])]
        elif array.ndim == 3:
            value = array[number]
            value = value[: _steps(value) if lengths is None else int(lengths[number])]
        else:
            value = array[number]
        return features_of(np.asarray(value), dtype)

    return ForeignTable(
        name,
        [ids[number] for number in kept],
        layout,
        array.shape[-1],
        dtype,
        row,
        [splits[number] for number in kept] if splits else (),
    )


def named_tables(
    arrays: Mapping[str, Array], asked: ForeignRequest, path: Path, ids: Sequence[str] | None = None
) -> list[ForeignTable]:
    """The asked arrays of a file that gives its arrays names.

    Args:
        arrays: by name.
        asked: which of them, and where the ids are.
        path: the file, for errors.
        ids: the ids where the file has them elsewhere.

    Raises:
        UnknownNameError: an array that is not there.
        BadInputError: no ids, or several arrays that could be meant.
    """
    names = list(asked.arrays) or _only(arrays, path)
    for name in names:
        if name not in arrays:
            raise UnknownNameError(f"array of {path}", name, arrays)
    found = ids_of(arrays, asked.ids, path) if ids is None or asked.ids else ids
    return [named_table(arrays, name, found) for name in names]


def ids_of(arrays: Mapping[str, Array], named: str, path: Path) -> list[str]:
    """The ids of a file's rows: an array of it, or the lines of a text file.

    Raises:
        BadInputError: there are none.
    """
    if named and named not in arrays and Path(named).is_file():
        return ids_in(Path(named))
    names = [named] if named else [name for name in ID_NAMES if name in arrays]
    if not names or names[0] not in arrays:
        raise BadInputError(
            f"{path}: {'no array or file ' + repr(named) if named else 'no ids'}; name the array of ids, or a text "
            f"file with one a line, with --ids; arrays there are: {', '.join(sorted(arrays)) or 'none'}"
        )
    array = np.asarray(arrays[names[0]])
    if array.ndim != 1 or array.dtype.kind not in "USOiu":
        raise BadInputError(
            f"{path}: array {names[0]!r} of ids is {array.dtype} {list(array.shape)}, not a list of names"
        )
    return [as_name(value) for value in array.tolist()]


def as_name(value: object) -> str:
    """An id as text, whatever a file keeps it as."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _only(arrays: Mapping[str, Array], path: Path) -> list[str]:
    ends = ("_offsets", "_present", "_lengths", "_content_key")
    fitting = [
        name
        for name, array in arrays.items()
        if array.ndim in (2, 3) and array.dtype.kind == "f" and not name.endswith(ends)
    ]
    if len(fitting) != 1:
        told = f"several arrays: {', '.join(sorted(fitting))}" if fitting else "no array of vectors"
        raise BadInputError(f"{path} has {told}; name those that are wanted with --array")
    return fitting


def _steps(value: Array) -> int:
    """Steps up to the last one that is not all zero."""
    filled = np.flatnonzero(value.any(axis=1))
    return int(filled[-1]) + 1 if len(filled) else 0
