"""Comma- and tab-separated files, read so that a broken row is named by file and line."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError

# Python refuses fields above 128 KiB by default; a transcript of an hour is longer.
_FIELD_LIMIT = 2**24


@dataclass(frozen=True)
class Delimited:
    """A file's rows as text columns, and the line on which each row starts (1 is the first line)."""

    path: Path
    frame: pl.DataFrame
    lines: list[int]

    def where(self, row: int) -> str:
        """``FILE: line N`` of a row, for messages."""
        return f"{self.path}: line {self.lines[row]}"


def parse_delimited(
    path: Path, text: str, *, delimiter: str = ",", columns: Sequence[str] | None = None, quoted: bool = True
) -> Delimited:
    """The rows of a delimited text.

    Args:
        path: where the text is from, for messages.
        text: the file's text.
        delimiter: what stands between two fields.
        columns: names of the columns of a file without a header; None takes the first row.
        quoted: whether a double quote opens a field that may hold delimiters and line ends.

    Raises:
        BadInputError: no header, a column named twice, a row with more or fewer fields, or a quote left open.
    """
    csv.field_size_limit(_FIELD_LIMIT)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    source = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    names = list(columns or ())
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for fields in source:
            start, line = line, source.line_num + 1
            if not fields:
                continue
            if not names:
                names = [field.strip() for field in fields]
                continue
            if len(fields) != len(names):
                raise BadInputError(
                    f"{path}: line {start}: {len(fields)} fields where the columns are {len(names)}:"
                    f" {', '.join(names)}"
                )
            rows.append(fields)
            lines.append(start)
    except csv.Error as error:
        raise BadInputError(
            f"{path}: line {line}: {error} (a quote that is not closed, or not doubled?)"
        ) from error
    if not names:
        raise BadInputError(f"{path}: the file is empty; it should start with the columns' names")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInputError(f"{path}: column {twice[0]!r} stands twice in the header")
    schema = dict.fromkeys(names, pl.String)
    return Delimited(path, pl.DataFrame(rows, schema=schema, orient="row"), lines)


def require_columns(path: Path, columns: Sequence[str], required: Sequence[str]) -> None:
    """Make sure that a file has the columns.

    Raises:
        UnknownNameError: one is missing; the message lists the file's columns.
    """
    for name in required:
        if name not in columns:
            raise UnknownNameError(f"column of {path}", name, columns)
