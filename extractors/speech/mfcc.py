"""Mean and deviation over time of 80 mel-frequency cepstral coefficients (papers/003 section 2.1)."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from extractors.audio_extractor import AudioExtractor, AudioSettings
from extractors.protocol import SAMPLE_RATE, Waveform
from extractors.registry import register
from extractors.settings import Settings
from feature_repo.errors import BadInputError
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe

CODE_VERSION = 1
# The paper names only the number of coefficients; frame and hop are librosa's, assumed.
FRAME = 2048
HOP = 512
MELS = 128


@dataclass(frozen=True)
class MfccSettings(AudioSettings):
    """Settings of the cepstral coefficients.

    Attributes:
        n_mfcc: coefficients; 80 in papers/003 section 2.1.
    """

    n_mfcc: int = 80

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.n_mfcc <= MELS:
            raise BadInputError(f"n_mfcc={self.n_mfcc}: must be 1 to {MELS}, the number of mel bands")


@register
class Mfcc(AudioExtractor):
    """librosa's MFCC, mean then standard deviation over frames: 160 numbers."""

    name: ClassVar[str] = "mfcc"
    modality: ClassVar[str] = "speech"
    Settings: ClassVar[type[Settings]] = MfccSettings
    code_version: ClassVar[int] = CODE_VERSION
    min_seconds: ClassVar[float] = FRAME / SAMPLE_RATE
    uses_device: ClassVar[bool] = False
    summary: ClassVar[str] = "MFCC-80 mean and standard deviation, no weights"
    settings: MfccSettings

    def recipes(self) -> Mapping[str, Recipe]:
        """One pooled speech recipe."""
        recipe = Recipe(
            "speech",
            self.name,
            self.code_version,
            "media",
            "pooled",
            2 * self.settings.n_mfcc,
            settings=self.identity(),
        )
        return {"speech": recipe}

    def load(self, device: str) -> None:
        """Nothing to load; librosa compiles at first use."""
        import librosa

        librosa.feature.mfcc(y=np.zeros(FRAME, np.float32), sr=SAMPLE_RATE, n_mfcc=1)

    def embed(self, waveforms: Sequence[Waveform]) -> Sequence[Features | npt.NDArray[Any]]:
        """Each sound's ``[2 * n_mfcc]``."""
        return [self._one(samples) for samples in waveforms]

    def _one(self, samples: Waveform) -> npt.NDArray[np.float32]:
        import librosa

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # librosa warns of empty mel bands in narrow-band sound
            frames = librosa.feature.mfcc(
                y=samples,
                sr=SAMPLE_RATE,
                n_mfcc=self.settings.n_mfcc,
                n_fft=FRAME,
                hop_length=HOP,
                n_mels=MELS,
            )
        return np.concatenate([frames.mean(axis=1), frames.std(axis=1)]).astype(np.float32)
