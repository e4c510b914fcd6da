"""Pickles of arrays that every NumPy reads: its own name their makers differently from version to version."""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

import numpy as np

_PROTOCOL = 4  # Python 3.4 and later; protocol 5 would save a copy of each array and shut out Python 3.7


class _Pickler(pickle.Pickler):
    def reducer_override(self, found: Any) -> Any:
        if type(found) is np.ndarray and found.dtype.kind in "biufS":
            # numpy.ndarray(shape, dtype, buffer), and numpy.dtype(name): names that have not moved since 2006. The
            # buffer is a bytearray, so that the array can be written to.
            return np.ndarray, (found.shape, _Type(found.dtype.str), bytearray(np.ascontiguousarray(found)))
        if type(found) is _Type:
            return np.dtype, (found.name,)
        return NotImplemented


class _Type:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def write_pickle(data: object, sink: BinaryIO) -> None:
    """Pickle plain data and arrays of numbers.

    Args:
        data: numbers, texts, lists, tuples, dictionaries and arrays.
        sink: opened for writing.
    """
    _Pickler(sink, _PROTOCOL).dump(data)
