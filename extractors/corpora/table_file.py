"""A user's own table as polars columns, whatever its format, with the place of every row for messages."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extractors.corpora.delimited import parse_delimited
from extractors.corpora.text_repair import decode_strict
from feature_repo.errors import BadInputError, UnknownNameError


@dataclass(frozen=True)
class TableFile:
    """A table file's columns.

    Attributes:
        path: the file.
        frame: its rows; columns of CSV and TSV are text.
        where: row number (from 0) to ``FILE: line N`` or ``FILE: row N``.
        blank_is_null: an empty cell may mean "nothing", because the format has no other way to say so.
    """

    path: Path
    frame: pl.DataFrame
    where: Callable[[int], str]
    blank_is_null: bool


def read_table_file(path: Path, encoding: str = "utf-8") -> TableFile:
    """Read a CSV, TSV, JSON Lines or Parquet file, told apart by its name's ending.

    Raises:
        UnknownNameError: another ending.
        BadInputError: broken encoding (line and byte are named), a broken row, or not such a file.
    """
    if path.is_dir():
        raise BadInputError(f"{path} is a folder; name the table itself ({', '.join(sorted(_READERS))})")
    ending = path.suffix.lower()
    if ending not in _READERS:
        raise UnknownNameError("ending of a table file", ending or path.name, _READERS)
    return _READERS[ending](path, encoding)


def _delimited(delimiter: str) -> Callable[[Path, str], TableFile]:
    def read(path: Path, encoding: str) -> TableFile:
        table = parse_delimited(path, decode_strict(path, encoding), delimiter=delimiter)
        return TableFile(path, table.frame, table.where, blank_is_null=True)

    return read


def _json_lines(path: Path, encoding: str) -> TableFile:
    rows: list[dict[str, object]] = []
    lines: list[int] = []
    # Not splitlines(): it also breaks at U+2028 and U+0085, which JSON allows inside a string.
    for number, line in enumerate(decode_strict(path, encoding).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BadInputError(f"{path}: line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadInputError(f"{path}: line {number}: expected an object, found {type(row).__name__}")
        rows.append(row)
        lines.append(number)
    names = list(dict.fromkeys(name for row in rows for name in row))
    # As Python values: one column may hold numbers here and text there.
    columns = {name: pl.Series([row.get(name) for row in rows], dtype=pl.Object) for name in names}
    frame = pl.DataFrame(columns)
    return TableFile(path, frame, lambda row: f"{path}: line {lines[row]}", blank_is_null=False)


def _parquet(path: Path, encoding: str) -> TableFile:
    try:
        frame = pl.read_parquet(io.BytesIO(path.read_bytes()))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInputError(f"{path}: not a readable Parquet file: {error}") from error
    return TableFile(path, frame, lambda row: f"{path}: row {row + 1}", blank_is_null=False)


_READERS: dict[str, Callable[[Path, str], TableFile]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
TABLE_ENDINGS = frozenset(_READERS)
