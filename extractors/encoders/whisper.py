"""Whisper in CTranslate2's format: what a folder states of itself, and windows of sound into timed words."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from extractors.protocol import SAMPLE_RATE
from extractors.weights import files_digest
from feature_repo.errors import BadInputError

WINDOW_S = 30  # what Whisper hears at once; shorter sound is padded to it

_NEEDED = ("model.bin", "config.json", "tokenizer.json")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_PREPROCESSOR = "preprocessor_config.json"
_ENGLISH_ONLY = 51_864  # tokens of the published English-only models; multilingual ones have more
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
_TOKEN_S = 0.02  # between two timestamp tokens
_TOKENS = 448  # that the decoder has positions for, the prompt's included


@dataclass(frozen=True)
class WhisperFacts:
    """What a folder states without being loaded.

    Attributes:
        digest: of the files that decide the words: 64 hexadecimal digits.
        languages: ISO codes that the model knows, sorted.
        multilingual: whether it is told the language; an English-only model isn't.
    """

    digest: str
    languages: tuple[str, ...]
    multilingual: bool


def whisper_facts(folder: Path) -> WhisperFacts:
    """What a folder in CTranslate2's format states in its files.

    Raises:
        BadInputError: a file is missing that would otherwise be looked for on the hub, or one is unreadable.
    """
    vocabulary = next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise BadInputError(
                f"{folder} is not a complete Whisper folder in CTranslate2's format: {name} is missing; "
                f"needed: {', '.join((*_NEEDED, ' or '.join(_VOCABULARIES)))}"
            )
    if vocabulary is None:
        raise BadInputError(f"{folder} has no vocabulary; needed: {' or '.join(_VOCABULARIES)}")
    multilingual = _count_tokens(vocabulary) > _ENGLISH_ONLY
    tokens = _read_json(folder / "tokenizer.json").get("added_tokens", [])
    found = (_LANGUAGE.fullmatch(str(token.get("content"))) for token in tokens)
    languages = sorted(match[1] for match in found if match) if multilingual else ["en"]
    files = [folder / name for name in (*_NEEDED, vocabulary.name, _PREPROCESSOR)]
    return WhisperFacts(
        files_digest(folder, [file for file in files if file.is_file()]), tuple(languages), multilingual
    )


def _count_tokens(vocabulary: Path) -> int:
    if vocabulary.suffix == ".json":
        return len(_read_json(vocabulary))
    return vocabulary.read_bytes().rstrip(b"\n").count(b"\n") + 1


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        raise BadInputError(f"{file}: not readable: {error}") from error


@dataclass(frozen=True)
class HeardSegment:
    """A stretch of words.

    Attributes:
        start_s: seconds from the window's start.
        end_s: likewise, within the window.
        text: as decoded: where the language has spaces it begins with one.
    """

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Heard:
    """What was heard in one window.

    Attributes:
        language: ISO code, given or detected.
        logprob: mean log probability of the tokens.
        no_speech: probability that nobody speaks.
        segments: in order of time; none without words.
    """

    language: str
    logprob: float
    no_speech: float
    segments: tuple[HeardSegment, ...]


class WhisperDecoder:
    """A loaded model that hears several windows at once: beam search, so the same sound gives the same words.

    Args:
        folder: the model in CTranslate2's format, complete (:func:`whisper_facts`).
        device: ``cpu``, ``cuda``, ``cuda:1``; ``mps``, which CTranslate2 does not know, is the CPU.
        compute_type: number types of weights and activations, such as ``int8_float32``.
        beam_size: hypotheses that are followed.
        initial_prompt: text that is given as if it had been said before each window.

    Raises:
        BadInputError: a compute type that the device lacks, a folder whose files don't fit together, a prompt that
            is too long.
    """

    def __init__(
        self, folder: Path, device: str, *, compute_type: str, beam_size: int, initial_prompt: str = ""
    ) -> None:
        # Together a second to import.
        import ctranslate2
        from faster_whisper import WhisperModel

        facts = whisper_facts(folder)
        kind, _, index = device.replace("mps", "cpu").partition(":")
        allowed = sorted(ctranslate2.get_supported_compute_types(kind, int(index or 0)))
        if compute_type not in allowed:
            raise BadInputError(
                f"compute type {compute_type!r} is not to be had on {kind}; allowed there: {', '.join(allowed)}"
            )
        self._model = WhisperModel(
            str(folder),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            local_files_only=True,
        )
        if self._model.model.is_multilingual != facts.multilingual:
            raise BadInputError(f"{folder}: vocabulary and model disagree on whether it is multilingual")
        bands = self._model.feature_extractor.mel_filters.shape[0]
        if bands != self._model.model.n_mels:
            raise BadInputError(
                f"{folder}: the model hears {self._model.model.n_mels} mel bands; {_PREPROCESSOR} "
                f"{'says' if (folder / _PREPROCESSOR).is_file() else 'is missing, which means'} {bands}"
            )
        self._multilingual = facts.multilingual
        self._beam_size = beam_size
        self._tokenizers: dict[str, Any] = {}
        self._prompt: list[int] = []
        if initial_prompt:
            tokenizer = self._tokenizer("en")
            self._prompt = tokenizer.encode(" " + initial_prompt.strip())
            if len(self._prompt) >= _TOKENS // 2:
                raise BadInputError(
                    f"initial_prompt has {len(self._prompt)} tokens; at most {_TOKENS // 2 - 1} are read"
                )

    def hear(
        self, windows: Sequence[npt.NDArray[np.float32]], languages: Sequence[str | None]
    ) -> list[Heard]:
        """The words of each window, in order.

        Args:
            windows: sounds ``[samples]``, 16 kHz, of at most 30 s.
            languages: of each its language's ISO code, or None to detect it.
        """
        from faster_whisper.audio import pad_or_trim
        from faster_whisper.transcribe import get_suppressed_tokens

        extractor = self._model.feature_extractor
        features = np.stack([pad_or_trim(extractor(window)[..., :-1]) for window in windows])
        encoded = self._model.encode(features)
        spoken = self._spoken(encoded, languages)
        tokenizers = [self._tokenizer(language) for language in spoken]
        prompts = [self._model.get_prompt(tokenizer, self._prompt) for tokenizer in tokenizers]
        results = self._model.model.generate(
            encoded,
            prompts,
            beam_size=self._beam_size,
            max_length=_TOKENS,
            suppress_tokens=get_suppressed_tokens(tokenizers[0], [-1]),
            return_scores=True,
            return_no_speech_prob=True,
        )
        heard = []
        for window, language, tokenizer, result in zip(windows, spoken, tokenizers, results, strict=True):
            tokens = result.sequences_ids[0]
            spans = timed_tokens(tokens, tokenizer.timestamp_begin, len(window) / SAMPLE_RATE)
            segments = [
                HeardSegment(start, end, text)
                for start, end, said in spans
                if (text := tokenizer.decode(said)).strip()
            ]
            # The score is the mean over the tokens; the end of the text, which counts too, is not among them.
            logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
            heard.append(Heard(language, logprob, result.no_speech_prob, tuple(segments)))
        return heard

    def _spoken(self, encoded: Any, languages: Sequence[str | None]) -> list[str]:
        if not self._multilingual:
            return ["en"] * len(languages)
        if None not in languages:
            return [str(language) for language in languages]
        likeliest = [found[0][0] for found in self._model.model.detect_language(encoded)]
        return [given or token[2:-2] for given, token in zip(languages, likeliest, strict=True)]

    def _tokenizer(self, language: str) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer, self._multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]


def timed_tokens(
    tokens: Sequence[int], timestamp_begin: int, longest_s: float
) -> list[tuple[float, float, list[int]]]:
    """Start, end and ordinary tokens of each segment of a decoded window.

    Words stand between timestamp tokens. What follows the last one is a segment to the window's end: such words
    would be heard again in a next window if windows overlapped, which they don't.

    Args:
        tokens: as decoded.
        timestamp_begin: the token of 0.00 s; greater ones count steps of 0.02 s.
        longest_s: the window's length, beyond which no time lies.
    """
    segments = []
    start, said = 0.0, list[int]()
    for token in tokens:
        if token < timestamp_begin:
            said.append(token)
            continue
        time = min((token - timestamp_begin) * _TOKEN_S, longest_s)
        if said:
            segments.append((start, max(start, time), said))
            said = []
        start = time
    if said:
        segments.append((start, longest_s, said))
    return segments
