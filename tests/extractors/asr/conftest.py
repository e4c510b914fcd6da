"""The tiny Whisper, built once."""

from pathlib import Path

import pytest

from tests.extractors.asr.tiny_whisper import build_tiny_whisper


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")
