"""How loud a sound is, and which channel of the file it was (papers/000 III-D)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from extractors.audio_extractor import AudioExtractor, AudioSettings
from extractors.protocol import SAMPLE_RATE, Item, Outputs, Waveform
from extractors.registry import register
from extractors.settings import Settings
from extractors.sound import MEAN
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe

CODE_VERSION = 1
FLOOR_DB = -120.0  # what digital silence is said to have, whose level is minus infinity


@dataclass(frozen=True)
class Level:
    """A sound's length and level.

    Attributes:
        seconds: its length.
        rms_db: root mean square, in dB relative to full scale (a square wave from -1 to 1 has 0), at least -120.
        peak_db: largest magnitude, likewise.
    """

    seconds: float
    rms_db: float
    peak_db: float


def measure_level(samples: Waveform) -> Level:
    """The level of a sound ``[samples]`` at 16 kHz; one without a sample is as silent as silence."""
    if not len(samples):
        return Level(0.0, FLOOR_DB, FLOOR_DB)
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return Level(len(samples) / SAMPLE_RATE, _decibels(rms), _decibels(float(np.abs(samples).max())))


def _decibels(magnitude: float) -> float:
    return max(FLOOR_DB, 20 * float(np.log10(magnitude))) if magnitude > 0 else FLOOR_DB


@register
class LevelExtractor(AudioExtractor):
    """A record of length and level; silence is data here, not a fault."""

    name: ClassVar[str] = "level"
    modality: ClassVar[str] = "level"
    Settings: ClassVar[type[Settings]] = AudioSettings
    code_version: ClassVar[int] = CODE_VERSION
    refuses_silence: ClassVar[bool] = False
    uses_device: ClassVar[bool] = False
    summary: ClassVar[str] = "length and loudness of the sound, and its channel"

    def recipes(self) -> Mapping[str, Recipe]:
        """One record."""
        recipe = Recipe(
            "level",
            self.name,
            self.code_version,
            "media",
            "record",
            0,
            settings=self.identity(),
            columns={
                "channels": "int",
                "channel": "int",
                "seconds": "float",
                "rms_db": "float",
                "peak_db": "float",
            },
        )
        return {"level": recipe}

    def load(self, device: str) -> None:
        """Nothing to load."""

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        """The outcome of each item, in the batch's order, with the channels that the decoder told of."""
        outcomes = super().extract(batch)
        return [_with_channels(outcome, item) for outcome, item in zip(outcomes, batch, strict=True)]

    def embed(self, waveforms: Sequence[Waveform]) -> Sequence[Features | npt.NDArray[Any]]:
        """The level of each sound."""
        return [Features(None, columns=asdict(measure_level(samples))) for samples in waveforms]


def _with_channels(outcome: Outputs, item: Item) -> Outputs:
    if isinstance(outcome, Fault):
        return outcome
    channels = {
        "channels": item.facts.get("channels"),
        "channel": item.facts.get("channel", MEAN),
    }
    return {
        name: replace(found, columns={**channels, **found.columns}) if not found.note else found
        for name, found in outcome.items()
    }
