"""Leakage between parts is refused."""

import numpy as np
import pytest

from trainers.protocols.plan import LeakageError, check_apart


def test_shared_values_are_leakage() -> None:
    parts = {"train": np.array(["a", "b"]), "validation": np.array(["c"]), "test": np.array(["b"])}
    with pytest.raises(LeakageError, match=r"fold 3: 1 speaker.* 'b' are in train and in test"):
        check_apart(parts, "speaker", 3)
