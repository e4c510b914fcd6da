"""How much memory a value holds: what windows and limits of the runner count."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def held_bytes(value: Any) -> int:
    """Bytes of the arrays and texts within a value: an array, dataclass, mapping, or sequence of such."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(held_bytes, value.values()))
    if isinstance(value, Sequence):
        return sum(map(held_bytes, value))
    if dataclasses.is_dataclass(value):
        return sum(held_bytes(getattr(value, item.name)) for item in dataclasses.fields(value))
    return 0
