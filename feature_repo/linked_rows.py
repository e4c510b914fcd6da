"""Rows that belong together: those that share a person, a dialogue or a recording, and whoever these share one with."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt
import polars as pl


def linked_rows(keys: pl.DataFrame) -> npt.NDArray[np.int64]:
    """The group of each row: two rows are of one group if a chain of shared values leads from one to the other.

    Args:
        keys: ``[rows]`` of each column; a null is shared with nobody.

    Returns:
        int64 ``[rows]``: the first row of the row's group.
    """
    first = list(range(keys.height))

    def root(row: int) -> int:
        while first[row] != row:
            first[row] = first[first[row]]  # halves the way for whoever comes next
            row = first[row]
        return row

    for column in keys:
        seen: dict[Hashable, int] = {}
        for row, value in enumerate(column.to_list()):
            if value is None:
                continue
            one, other = root(seen.setdefault(value, row)), root(row)
            if one != other:
                first[max(one, other)] = min(one, other)
    return np.array([root(row) for row in range(keys.height)], np.int64)
