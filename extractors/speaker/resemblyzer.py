"""Resemblyzer voice vectors, whose weights come with the package."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from extractors.audio_extractor import AudioExtractor, AudioSettings
from extractors.encoders.resemblyzer import WIDTH, ResemblyzerEncoder
from extractors.protocol import Waveform
from extractors.registry import register
from extractors.settings import Settings
from extractors.weights import packaged_file, weights_digest
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe

CODE_VERSION = 1


@dataclass(frozen=True)
class ResemblyzerSettings(AudioSettings):
    """Settings of Resemblyzer.

    Attributes:
        trim: whether long silences are cut out first, as the package's own preprocessing does.
    """

    trim: bool = True


@register
class Resemblyzer(AudioExtractor):
    """The mean of 1.6 s windows' voice vectors; sound without a voice is a legitimate nothing."""

    name: ClassVar[str] = "resemblyzer"
    modality: ClassVar[str] = "speaker"
    Settings: ClassVar[type[Settings]] = ResemblyzerSettings
    code_version: ClassVar[int] = CODE_VERSION
    # A frame is 25 ms and the voice detector's smoothing spans eight windows of 30 ms.
    min_seconds: ClassVar[float] = 0.24
    batch_tolerance: ClassVar[float] = 1e-5
    summary: ClassVar[str] = "Resemblyzer vector of the voice, weights in its package"
    settings: ResemblyzerSettings

    def __init__(self, settings: ResemblyzerSettings) -> None:
        super().__init__(settings)
        self._recipes: dict[str, Recipe] = {}
        self._encoder: ResemblyzerEncoder | None = None

    def recipes(self) -> Mapping[str, Recipe]:
        """One pooled speaker recipe."""
        if not self._recipes:
            weights = weights_digest(packaged_file("resemblyzer", "pretrained.pt"))
            self._recipes["speaker"] = Recipe(
                "speaker",
                self.name,
                self.code_version,
                "media",
                "pooled",
                WIDTH,
                weights=weights,
                settings=self.identity(),
            )
        return self._recipes

    def load(self, device: str) -> None:
        """Load the model onto the device."""
        self._encoder = ResemblyzerEncoder(packaged_file("resemblyzer", "pretrained.pt"), device)

    def embed(self, waveforms: Sequence[Waveform]) -> Sequence[Features | npt.NDArray[Any]]:
        """One vector a sound, or a nothing where no voice is found."""
        assert self._encoder is not None, "load() comes first"
        prepared = [self._encoder.prepare(samples, trim=self.settings.trim) for samples in waveforms]
        voiced = [samples for samples in prepared if len(samples)]
        vectors = iter(self._encoder.encode(voiced) if voiced else ())
        return [next(vectors) if len(samples) else Features(None, "no voice") for samples in prepared]
