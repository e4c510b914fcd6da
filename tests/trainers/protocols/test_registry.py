"""Protocols by name."""

import numpy as np
import pytest

from feature_repo.errors import UnknownNameError
from tests.trainers.protocols.manifests import manifest_of
from trainers.protocols.registry import is_protocol, plan_splits


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(
        UnknownNameError,
        match="'random'; allowed: leave-corpus-out, official, session-folds, speaker-folds, split:NAME",
    ):
        plan_splits("random", manifest_of(["a"]), np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("name", "may"), [("official", True), ("split:a", True), ("split:", False), ("split", False), ("", False)]
)
def test_a_saved_split_is_a_protocol_too(name: str, may: bool) -> None:
    assert is_protocol(name) is may
