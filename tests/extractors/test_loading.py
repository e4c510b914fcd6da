"""Loading: which device, and which extra brings what is missing."""

import tomllib
from pathlib import Path

import pytest

from extractors.loading import extra_of, load, resolve_device
from extractors.registry import create
from feature_repo.errors import BadInputError


def test_devices():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(BadInputError, match="'tpu' is not there; this machine has: cpu"):
        resolve_device("tpu")


@pytest.mark.parametrize(
    ("module", "modality", "extra"),
    [
        ("ultralytics", "faces", "face-yolo"),
        ("cv2.dnn", "faces", "face"),
        ("torch", "faces", "face"),
        ("torch", "offsets", "face"),
        ("torch", "speaker", "speaker"),
        ("faster_whisper", "transcript", "asr"),
        ("absent", "transcript", "asr"),
        ("absent", "level", "media"),
        ("absent", "audio", "media"),
        ("av", "faces", "media"),
        ("rapidfuzz", "alignment", "quality"),
        ("absent", "unheard", "all"),
    ],
)
def test_the_extra_that_brings_a_module(module, modality, extra):
    assert extra_of(module, modality) == extra


def test_the_extras_are_those_of_the_project():
    import extractors.loading as loading

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    named = {*loading._EXTRA_OF_MODULE.values(), *loading._EXTRA_OF_MODALITY.values(), "all"}
    assert named <= set(project["optional-dependencies"])


def test_a_decoder_that_is_not_installed_is_told_before_the_first_file(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(BadInputError, match=r"'waveform' needs the package 'soxr'.*affectstore\[media\]"):
        load(create("waveform"), "cpu")
