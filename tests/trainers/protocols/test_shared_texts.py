"""Test rows whose words were trained on."""

import numpy as np
import polars as pl

from trainers.protocols.shared_texts import shared_texts


def test_the_same_letters_count_and_nothing_else() -> None:
    texts = ["Yeah.", "No.", "", None, " ", "Yeah.", "yeah.", "No.", "", None, "Yeah.", "Well"]
    manifest = pl.DataFrame({"text": texts})
    assert shared_texts(manifest, np.arange(5), np.arange(5, 12)) == 3
    assert shared_texts(manifest, np.array([6]), np.arange(5, 6)) == 0
