"""One planted store for the tests that only read it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_repo.store import open_store
from tests.trainers.end_to_end.planted_recordings import Recordings, planted_recordings


@pytest.fixture(scope="session")
def _first(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return planted_recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def copied(_first: Recordings, tmp_path: Path) -> Callable[[str], Recordings]:
    """Copies of the store, each of its own."""

    def copy(name: str) -> Recordings:
        root = tmp_path / name
        shutil.copytree(_first.store.root, root)
        store = open_store(str(root), cache=str(tmp_path / f"{name}-cache"))
        return Recordings(store, _first.speech_model, _first.text_model, _first.speech, _first.text)

    return copy


@pytest.fixture
def recordings(copied: Callable[[str], Recordings]) -> Recordings:
    """A store of the test's own."""
    return copied("store")
