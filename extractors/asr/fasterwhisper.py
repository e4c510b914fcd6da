"""Transcripts by Whisper through faster-whisper, several utterances in one pass (papers/000 III-D1c)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from extractors.asr.transcript import COLUMNS, EMPTY_TRANSCRIPT
from extractors.asr.windows import cut, speech_spans, trimmed
from extractors.audio_extractor import AudioExtractor, AudioModelSettings
from extractors.encoders.whisper import WINDOW_S, Heard, WhisperDecoder, whisper_facts
from extractors.protocol import SAMPLE_RATE, Waveform
from extractors.registry import register
from extractors.settings import Settings, runtime
from extractors.sound import is_silent
from extractors.weights import locate
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe

CODE_VERSION = 1
DETECTED = "auto"
# `int8` leaves the activations' type to the machine; the words must not depend on that.
_RESOLVED = {"int8": "int8_float32"}


@dataclass(frozen=True)
class FasterWhisperSettings(AudioModelSettings):
    """Settings of transcripts. There is no sampling and no temperature fallback: the same sound gives the same words.

    Attributes:
        model: a folder in CTranslate2's format, or such a hub id.
        batch_size: windows of 30 s per pass, at most.
        compute_type: number types of weights and activations; ``int8`` is ``int8_float32``.
        language: ISO code of what is spoken, utterances in another are left out; ``auto`` detects it for each
            utterance, from its first 30 s.
        beam_size: hypotheses that are followed.
        initial_prompt: text that is given as if it had been said before, such as names and their spelling.
        vad: whether only the part from the first to the last speech of a window is heard, by the Silero detector.
        no_speech: a window is silence if the probability that nobody speaks is above this,
        logprob: and the words' mean log probability is below this (both as in Whisper's own defaults).
    """

    model: str = runtime("Systran/faster-whisper-large-v3")
    batch_size: int = runtime(16)
    # These two are fields of the recipe itself.
    compute_type: Literal[
        "int8",
        "int8_float32",
        "int8_float16",
        "int8_bfloat16",
        "int16",
        "float16",
        "bfloat16",
        "float32",
    ] = runtime("int8")
    language: str = runtime("en")
    beam_size: int = 5
    initial_prompt: str = ""
    vad: bool = False
    no_speech: float = 0.6
    logprob: float = -1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beam_size < 1:
            raise BadInputError(f"beam_size={self.beam_size}: must be at least 1")
        if not 0 <= self.no_speech <= 1:
            raise BadInputError(f"no_speech={self.no_speech}: a probability lies between 0 and 1")


@dataclass(frozen=True)
class _Window:
    """A part of a sound: which sound of the batch, which of its parts, where it starts."""

    place: int
    number: int
    offset_s: float
    samples: Waveform


@register
class FasterWhisper(AudioExtractor):
    """Whisper's words with their times; a sound without words is a legitimate nothing."""

    name: ClassVar[str] = "fasterwhisper"
    modality: ClassVar[str] = "transcript"
    Settings: ClassVar[type[Settings]] = FasterWhisperSettings
    code_version: ClassVar[int] = CODE_VERSION
    refuses_silence: ClassVar[bool] = False
    batch_tolerance: ClassVar[float] = 1e-4  # of the log probabilities; words and times are the same
    summary: ClassVar[str] = "Whisper's transcript and its segments"
    settings: FasterWhisperSettings

    def __init__(self, settings: FasterWhisperSettings) -> None:
        super().__init__(settings)
        self._recipes: dict[str, Recipe] = {}
        self._decoder: WhisperDecoder | None = None

    def recipes(self) -> Mapping[str, Recipe]:
        """One record.

        Raises:
            UnknownNameError: a language that the model does not know.
            BadInputError: the model is not at hand, or its folder lacks a file.
        """
        if not self._recipes:
            settings = self.settings
            facts = whisper_facts(locate(settings.model, download=settings.download))
            if settings.language == DETECTED:
                languages = () if facts.multilingual else facts.languages
            elif settings.language in facts.languages:
                languages = (settings.language,)
            else:
                raise UnknownNameError(
                    f"language of model {settings.model!r}", settings.language, (DETECTED, *facts.languages)
                )
            self._recipes["transcript"] = Recipe(
                "transcript",
                self.name,
                self.code_version,
                "media",
                "record",
                0,
                weights=facts.digest,
                compute_dtype=self._compute_type(),
                languages=languages,
                settings=self.identity(),
                columns=COLUMNS,
            )
        return self._recipes

    def load(self, device: str) -> None:
        """Load the model onto the device."""
        settings = self.settings
        self._decoder = WhisperDecoder(
            locate(settings.model, download=settings.download),
            device,
            compute_type=self._compute_type(),
            beam_size=settings.beam_size,
            initial_prompt=settings.initial_prompt,
        )

    def embed(self, waveforms: Sequence[Waveform]) -> Sequence[Features | npt.NDArray[Any]]:
        """The transcript of each sound; the windows of all of them share the passes."""
        windows = [
            _Window(place, number, start / SAMPLE_RATE, samples[start:end])
            for place, samples in enumerate(waveforms)
            for number, (start, end) in enumerate(self._windows(samples))
        ]
        heard: list[list[tuple[float, Heard]]] = [[] for _ in waveforms]
        for group in self._groups(windows):
            pending = iter(group)
            while batch := list(islice(pending, self.settings.batch_size)):
                for window, found in zip(batch, self._hear(batch, heard), strict=True):
                    heard[window.place].append((window.offset_s, found))
        return [self._features(found) for found in heard]

    def _compute_type(self) -> str:
        return _RESOLVED.get(self.settings.compute_type, self.settings.compute_type)

    def _windows(self, samples: Waveform) -> list[tuple[int, int]]:
        if is_silent(samples):
            return []
        longest = WINDOW_S * SAMPLE_RATE
        speech = speech_spans(samples) if self.settings.vad or len(samples) > longest else []
        windows = cut(len(samples), speech, longest)
        return trimmed(windows, speech) if self.settings.vad else windows

    def _groups(self, windows: Sequence[_Window]) -> list[list[_Window]]:
        if self.settings.language != DETECTED:
            return [list(windows)]
        # A sound has one language, that of its first window; so those are heard before the others.
        return [[each for each in windows if (each.number > 0) == later] for later in (False, True)]

    def _hear(self, batch: Sequence[_Window], before: Sequence[Sequence[tuple[float, Heard]]]) -> list[Heard]:
        assert self._decoder is not None, "load() comes first"
        given = None if self.settings.language == DETECTED else self.settings.language
        languages = [
            given or (before[window.place][0][1].language if window.number else None) for window in batch
        ]
        return self._decoder.hear([window.samples for window in batch], languages)

    def _features(self, heard: Sequence[tuple[float, Heard]]) -> Features:
        said = [
            (offset, each)
            for offset, each in heard
            if each.no_speech <= self.settings.no_speech or each.logprob >= self.settings.logprob
        ]
        segments = [(offset, each, segment) for offset, each in said for segment in each.segments]
        text = "".join(segment.text for _, _, segment in segments).strip()
        if not text:
            return Features(None, EMPTY_TRANSCRIPT)
        columns = {
            "text": text,
            "language": heard[0][1].language,
            "segment_start": np.array([offset + segment.start_s for offset, _, segment in segments]),
            "segment_end": np.array([offset + segment.end_s for offset, _, segment in segments]),
            "segment_logprob": np.array([each.logprob for _, each, _ in segments]),
            "segment_no_speech": np.array([each.no_speech for _, each, _ in segments]),
            "segment_text": [segment.text.strip() for _, _, segment in segments],
        }
        return Features(None, columns=columns)
