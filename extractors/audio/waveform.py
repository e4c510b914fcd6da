"""The sound itself as 16-bit steps, stored so that training decodes nothing (DESIGN section 4)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from extractors.audio_extractor import AudioExtractor, AudioSettings
from extractors.protocol import Waveform
from extractors.registry import register
from extractors.settings import Settings
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe

CODE_VERSION = 1
INT16_SCALE = 32767  # full scale of one maps to the largest 16-bit number; divide by it to get the sound back


@register
class WaveformExtractor(AudioExtractor):
    """16 kHz mono as int16 ``[samples, 1]``; silence is data here, not a fault."""

    name: ClassVar[str] = "waveform"
    modality: ClassVar[str] = "audio"
    Settings: ClassVar[type[Settings]] = AudioSettings
    code_version: ClassVar[int] = CODE_VERSION
    refuses_silence: ClassVar[bool] = False
    uses_device: ClassVar[bool] = False
    summary: ClassVar[str] = "16 kHz mono sound, for training that reads audio"

    def recipes(self) -> Mapping[str, Recipe]:
        """One step recipe of width 1."""
        recipe = Recipe(
            "audio",
            self.name,
            self.code_version,
            "media",
            "steps",
            1,
            dtype="int16",
            settings=self.identity(),
        )
        return {"audio_steps": recipe}

    def load(self, device: str) -> None:
        """Nothing to load."""

    def embed(self, waveforms: Sequence[Waveform]) -> Sequence[Features | npt.NDArray[Any]]:
        """Each sound clipped to full scale and rounded."""
        return [
            np.rint(np.clip(samples, -1.0, 1.0) * INT16_SCALE).astype(np.int16)[:, None]
            for samples in waveforms
        ]
