"""Bytes of values, counted by hand."""

import dataclasses

import numpy as np

from extractors.held_bytes import held_bytes


def test_arrays_and_texts_within_anything_are_counted():
    @dataclasses.dataclass
    class Seen:
        crop: np.ndarray
        name: str

    seen = (Seen(np.zeros((4, 5), np.float32), "abc"), {"a": [np.zeros(7, np.uint8)]}, None, 3)
    assert held_bytes(seen) == 80 + 3 + 7
