"""Rows of several arrays, gathered into one in a single pass."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

Array = npt.NDArray[Any]


def gather_rows(
    sources: Mapping[int, Array], source: npt.NDArray[np.int32], row: npt.NDArray[np.int64]
) -> Array:
    """The rows ``sources[source[i]][row[i]]``, and zeros where ``source[i]`` is negative.

    All sources are seen as one array of overlapping windows that begins at the lowest of their addresses, one window
    at every number. Reading only windows that are rows, one indexing writes the result in order. Source by source,
    the result would be written all over, which was measured to take a third more of the processor's time, and more
    than ``np.load`` of one file with everything in it leaves.

    Args:
        sources: C-contiguous ``[rows, width]`` of one dtype and width; at least one.
        source: ``[n]``, keys of ``sources``; negative for none.
        row: ``[n]``, rows of them.

    Returns:
        ``[n, width]``, fresh memory.

    Raises:
        IndexError: a row that its source does not have.
    """
    filled = {number: array for number, array in sources.items() if len(array)}
    rows = np.zeros(max(sources) + 1, np.int64)
    begin = np.zeros(max(sources) + 1, np.int64)
    low = min((filled or sources).values(), key=_address)
    width, size = low.shape[1], low.itemsize
    for number, array in filled.items():
        rows[number] = len(array)
        begin[number] = (_address(array) - _address(low)) // size
    absent = source < 0
    # Checked here: a window outside the sources is nobody's memory.
    if (((row < 0) | (row >= rows[source])) & ~absent).any():
        raise IndexError("a row that its source does not have")
    if not filled:
        return np.zeros((len(source), low.shape[1]), low.dtype)
    place = np.where(absent, 0, begin[source] + row * width)
    end = max(_address(array) + array.nbytes for array in filled.values())
    count = (end - _address(low)) // size - width + 1
    windows = as_strided(low.reshape(-1)[:1], shape=(count, width), strides=(size, size), writeable=False)
    out: Array = windows[place]
    if absent.any():
        out[absent] = 0
    return out


def _address(array: Array) -> int:
    return int(array.ctypes.data)
