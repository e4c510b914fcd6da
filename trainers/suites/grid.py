"""A table in words, ready to be printed or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Titles and cells in words.

    Attributes:
        title: one line.
        columns: titles; the first column is left-aligned, others to the right.
        rows: cells ``[rows][columns]``.
        rules: numbers of rows that a line comes before.
        strong: numbers of rows that stand out.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    rules: Sequence[int] = ()
    strong: Sequence[int] = ()
