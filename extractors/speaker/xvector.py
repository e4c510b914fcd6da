"""WavLM x-vectors: who speaks, in place of the paper's commercial engine (papers/000 III-B2, a stated substitution)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy.typing as npt

from extractors.audio_extractor import AudioExtractor, AudioModelSettings
from extractors.encoders.xvector import XVectorConfig, XVectorEncoder
from extractors.protocol import SAMPLE_RATE, Waveform
from extractors.registry import register
from extractors.settings import Settings, runtime
from extractors.weights import locate, weights_digest
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe

CODE_VERSION = 1


@dataclass(frozen=True)
class XVectorSettings(AudioModelSettings):
    """Settings of x-vectors.

    Attributes:
        model: a WavLM model with an x-vector head.
        max_seconds: attention costs the square of the length; a voice is known within half a minute (assumed).
        compute_dtype: number type of the forward pass.
    """

    batch_size: int = runtime(16)
    model: str = runtime("microsoft/wavlm-base-plus-sv")
    max_seconds: float = 30.0
    compute_dtype: Literal["float32", "float16", "bfloat16"] = runtime(
        "float32"
    )  # a field of the recipe itself


@register
class XVector(AudioExtractor):
    """WavLMForXVector's embedding."""

    name: ClassVar[str] = "xvector"
    modality: ClassVar[str] = "speaker"
    Settings: ClassVar[type[Settings]] = XVectorSettings
    code_version: ClassVar[int] = CODE_VERSION
    batch_tolerance: ClassVar[float] = 1e-4
    summary: ClassVar[str] = "WavLM x-vector of the voice"
    settings: XVectorSettings

    def __init__(self, settings: XVectorSettings) -> None:
        super().__init__(settings)
        self._recipes: dict[str, Recipe] = {}
        self._encoder: XVectorEncoder | None = None

    def recipes(self) -> Mapping[str, Recipe]:
        """One pooled speaker recipe."""
        if not self._recipes:
            folder = locate(self.settings.model, download=self.settings.download)
            self._recipes["speaker"] = Recipe(
                "speaker",
                self.name,
                self.code_version,
                "media",
                "pooled",
                XVectorConfig.read(folder).width,
                weights=weights_digest(folder),
                compute_dtype=self.settings.compute_dtype,
                settings=self.identity(),
            )
        return self._recipes

    def shortest_s(self) -> float:
        """Seconds for two steps behind the time-delay layers."""
        assert self._encoder is not None, "load() comes first"
        return self._encoder.config.minimum_samples / SAMPLE_RATE

    def load(self, device: str) -> None:
        """Load the model onto the device."""
        folder = locate(self.settings.model, download=self.settings.download)
        self._encoder = XVectorEncoder(folder, device, self.settings.compute_dtype)

    def embed(self, waveforms: Sequence[Waveform]) -> Sequence[Features | npt.NDArray[Any]]:
        """One vector a sound."""
        assert self._encoder is not None, "load() comes first"
        return list(self._encoder.encode(waveforms))
