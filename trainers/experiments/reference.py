"""The values that the papers report, each with its citation, to stand beside ours."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.experiments.settings_file import read_settings_file

REFERENCE = Path(__file__).parent / "reference.yaml"
_UNITS = {"percent": 100.0, "share": 1.0, "utterances": 1.0}
_KEYS = ("cite", "subset", "unit", "rows")


@dataclass(frozen=True)
class Cell:
    """One row of a paper's table.

    Attributes:
        name: table and row, such as ``000/table-2/meld/t-v-a``.
        cite: where it is printed.
        subset: the rows that it was measured on.
        unit: ``percent``, ``share`` (from 0 to 1) or ``utterances``, as printed.
        values: score to value; percent as shares from 0 to 1, as our scores are.
    """

    name: str
    cite: str
    subset: str
    unit: str
    values: Mapping[str, float]


@functools.cache
def reference_cells(path: Path = REFERENCE) -> Mapping[str, Cell]:
    """All cells by name.

    Args:
        path: a file as ``experiments/reference.yaml`` is.

    Raises:
        BadInputError: the file is not what it should be; the message names the table.
    """
    cells: dict[str, Cell] = {}
    for table, told in read_settings_file(path).items():
        _check(path, table, told)
        divisor = _UNITS[told["unit"]]
        for row, values in told["rows"].items():
            name = f"{table}/{row}"
            numbers = {score: value / divisor for score, value in values.items()}
            cells[name] = Cell(name, told["cite"], told["subset"], told["unit"], numbers)
    return cells


def reference_cell(name: str) -> Cell:
    """The cell of this name.

    Raises:
        UnknownNameError: there is none.
    """
    cells = reference_cells()
    if name not in cells:
        raise UnknownNameError("reference cell", name, cells)
    return cells[name]


def check_comparable(names: Sequence[str], where: str) -> None:
    """Refuse cells in one comparison that were measured on other rows than each other.

    Args:
        names: of cells.
        where: what an error names.

    Raises:
        UnknownNameError: a cell that does not exist.
        BadInputError: cells on several subsets, such as of papers/003's two families, whose TestA differ.
    """
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(reference_cell(name).subset, name)
    if len(first) > 1:
        told = "; ".join(f"{name} is on {subset}" for subset, name in first.items())
        raise BadInputError(f"{where}: {told}; allowed: cells of one subset in a comparison")


def _check(path: Path, table: str, told: Any) -> None:
    if not isinstance(told, dict) or set(told) != set(_KEYS):
        raise BadInputError(f"{path.name}: table {table!r} needs exactly the keys {', '.join(_KEYS)}")
    if told["unit"] not in _UNITS:
        raise BadInputError(
            f"{path.name}: table {table!r} has unit {told['unit']!r}; allowed: {', '.join(_UNITS)}"
        )
    for row, values in told["rows"].items():
        plain = isinstance(values, dict) and values
        if not plain or not all(type(value) in (int, float) for value in values.values()):
            raise BadInputError(f"{path.name}: row {row!r} of table {table!r} needs scores with numbers")
