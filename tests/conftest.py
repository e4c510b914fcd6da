"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest

SAMPLES_VARIABLE = "AFFECTSTORE_SAMPLES"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real corpora samples, named by AFFECTSTORE_SAMPLES; the test is skipped without it."""
    folder = os.environ.get(SAMPLES_VARIABLE)
    if not folder:
        pytest.skip(f"{SAMPLES_VARIABLE} is not set: no real corpora at hand")
    return Path(folder)
