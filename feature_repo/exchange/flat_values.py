"""A slot's values as one array that is never whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.exchange.bundle import ExportedSlot
from feature_repo.steps import Steps

_BATCH = 32 * 2**20  # bytes that are in memory at once


def flat_shape(slot: ExportedSlot) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Shape and type of all values: ``[rows, width]``, or ``[sum of n, width]`` of sequences."""
    if isinstance(slot.values, Steps):
        return (int(slot.lengths().sum(dtype=np.int64)), slot.recipe.width), slot.values.dtype
    return (len(slot.values), slot.recipe.width), np.dtype("<f4")


def flat_batches(slot: ExportedSlot) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """The values in order, a few megabytes at a time: (rows, values ``[rows or steps, width]``)."""
    if not isinstance(slot.values, Steps):
        many = max(1, _BATCH // (4 * slot.recipe.width))
        for start in range(0, len(slot.values), many):
            batch = np.ascontiguousarray(slot.values[start : start + many], "<f4")
            yield len(batch), batch
        return
    for start, stop in batches_of_rows(slot):
        values, _ = slot.values.flat(np.arange(start, stop))
        yield stop - start, values


def batches_of_rows(slot: ExportedSlot, most: int | None = None) -> Iterator[tuple[int, int]]:
    """Rows ``[start, stop)`` whose values take about ``_BATCH`` bytes, each batch at least one row.

    Args:
        slot: the slot.
        most: rows of a batch at most.
    """
    _, dtype = flat_shape(slot)
    ends = np.cumsum(slot.lengths(), dtype=np.int64) * slot.recipe.width * dtype.itemsize
    start, rows = 0, len(ends)
    while start < rows:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _BATCH, side="right")))
        if most is not None:
            stop = min(stop, start + most)
        yield start, stop
        start = stop
