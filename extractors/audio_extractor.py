"""What extractors of sound share: the policy for unusable media, the limits of length, the decoder's version."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from extractors.media import MediaError, MissingMedia, SilentAudio, TooShort
from extractors.noise import Noise, with_noise
from extractors.protocol import SAMPLE_RATE, Extractor, Item, Needs, Outputs, Waveform
from extractors.settings import ModelSettings, Settings
from extractors.sound import DECODE_VERSION, is_silent
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import identity_settings

_NOISE_DB = 20.0
Unusable = Literal["drop", "silence"]
Embedded = Features | npt.NDArray[Any] | Mapping[str, Features]


@dataclass(frozen=True)
class AudioSettings(Settings):
    """Settings of an extractor of sound.

    Attributes:
        unusable: what becomes of an utterance whose media can't be decoded, is silent or too short: ``drop`` is a
            fault; ``silence`` is a stored nothing with the note "silence: <reason>", which keeps the utterance in an
            outer join (DESIGN 8.2, papers/003 1.6). A missing file is a fault under both.
        max_seconds: only so much is read, from the start; 0 is everything.
        noise: added to what is read (:func:`~extractors.noise.with_noise`), for robustness: a view of its own.
        noise_db: signal to noise, decibels.
        noise_seed: another noise for every utterance.
    """

    unusable: Unusable = "drop"
    max_seconds: float = 0.0
    noise: Noise = "none"
    noise_db: float = _NOISE_DB
    noise_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.max_seconds < float("inf"):
            raise BadInputError(
                f"max_seconds={self.max_seconds}: must be 0 (everything) or a positive number"
            )
        if not math.isfinite(self.noise_db):
            raise BadInputError(f"noise_db={self.noise_db}: must be a number of decibels")
        if self.noise == "none" and (self.noise_db, self.noise_seed) != (_NOISE_DB, 0):
            raise BadInputError("noise_db and noise_seed say nothing without noise=white or noise=babble")


@dataclass(frozen=True)
class AudioModelSettings(AudioSettings, ModelSettings):
    """Settings of an extractor of sound with a model."""


class AudioExtractor(Extractor):
    """An extractor of sound; a subclass with one output gives just its value.

    Attributes:
        code_version: raised whenever the numbers change.
        min_seconds: shorter sound is refused.
        refuses_silence: whether silence is unusable.
    """

    needs: ClassVar[Needs] = "audio"
    code_version: ClassVar[int]
    min_seconds: ClassVar[float] = 0.0
    refuses_silence: ClassVar[bool] = True
    settings: AudioSettings

    def identity(self) -> dict[str, Any]:
        """Settings that change the output, and the decoder's version once it is not the first."""
        decoder = {"decode": DECODE_VERSION} if DECODE_VERSION != 1 else {}
        return identity_settings(self.settings) | decoder

    def shortest_s(self) -> float:
        """Seconds of sound that the model needs."""
        return self.min_seconds

    def cost(self, item: Item) -> float:
        """Seconds of sound that are read."""
        seconds = 0.0 if item.audio is None else len(item.audio) / SAMPLE_RATE
        return min(seconds, self.settings.max_seconds or seconds)

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        """The outcome of each item, in the batch's order."""
        outcomes: list[Outputs | None] = []
        usable: list[Waveform] = []
        for item in batch:
            try:
                usable.append(self._usable(item))
                outcomes.append(None)
            except MediaError as error:
                outcomes.append(self.without_media(error.fault()))
        computed = iter(self.embed(usable) if usable else ())
        return [self._outputs(next(computed)) if outcome is None else outcome for outcome in outcomes]

    @abstractmethod
    def embed(self, waveforms: Sequence[Waveform]) -> Sequence[Embedded]:
        """Features of usable sounds, in order: of the one output, or by output."""

    def _outputs(self, embedded: Embedded) -> Outputs:
        if isinstance(embedded, Mapping):
            return embedded
        (output,) = self.recipes()
        return {output: embedded if isinstance(embedded, Features) else Features(np.asarray(embedded))}

    def without_media(self, fault: Fault) -> Outputs:
        """The fault, or a marked silence where the settings say so."""
        if self.settings.unusable == "drop" or fault.error == MissingMedia.__name__:
            return fault
        nothing = Features(None, f"silence: {fault.message}")
        return dict.fromkeys(self.recipes(), nothing)

    def _usable(self, item: Item) -> Waveform:
        if item.audio is None:
            raise MissingMedia(f"{item.utterance_id}: no sound was decoded")
        samples = item.audio
        if self.settings.max_seconds:
            samples = samples[: round(self.settings.max_seconds * SAMPLE_RATE)]
        seconds = len(samples) / SAMPLE_RATE
        if seconds < self.shortest_s() or not len(samples):
            raise TooShort(
                f"{item.utterance_id}: {seconds:.3f} s of sound, {self.name} needs {self.shortest_s():.3f} s",
                decoded_s=round(seconds, 3),
            )
        if self.refuses_silence and is_silent(samples):
            raise SilentAudio(
                f"{item.utterance_id}: silent, no sample above -80 dBFS", decoded_s=round(seconds, 3)
            )
        settings = self.settings
        key = f"{settings.noise_seed}/{item.utterance_id}"
        return with_noise(samples, settings.noise, settings.noise_db, key)
