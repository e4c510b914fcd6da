"""IEMOCAP: evaluated turns of ten actors in dialogues filmed on a split screen (CORPORA: IEMOCAP)."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.reader import no_files, option
from extractors.corpora.registry import register_reader
from extractors.corpora.text_repair import decode_lenient
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_bridge import bridge_labels
from feature_repo.label_rules import RULES

_SESSIONS = tuple(f"Session{number}" for number in range(1, 6))
_NUMBER = r"(\d+(?:\.\d+)?)"
# Turns whose number starts with XX are noises and short answers that nobody evaluated.
_NAME = r"(Ses0[1-5][FM]_\w+_[FM](?:\d+|XX\w*))"
_EVALUATED = re.compile(
    rf"\[{_NUMBER}\s*-\s*{_NUMBER}\]\s+{_NAME}\s+(\S+)\s+\[{_NUMBER},\s*{_NUMBER},\s*{_NUMBER}\]"
)
_TRANSCRIBED = re.compile(rf"{_NAME}\s+\[{_NUMBER}\s*-\s*{_NUMBER}\]:?\s*(.*)")
_RATER = re.compile(r"C-E\d+:\s*([^\t(]*)")  # C-F1 and C-M1 are the actors, who judge themselves


@dataclass(frozen=True)
class IemocapOptions:
    """What the IEMOCAP reader can be told."""

    media: Literal["video", "audio", "none"] = option(
        "video",
        "video: the dialogue's avi and the turn's span in it; audio: the turn's own wav; none: text alone",
    )
    unlabelled: bool = option(False, "also turns that were transcribed but that nobody evaluated")


@dataclass(frozen=True)
class _Turn:
    """A turn as the corpus's files describe it; its name is like ``Ses01F_impro01_M004``.

    Times are seconds from the start of the dialogue.
    """

    name: str
    start_s: float
    end_s: float
    text: str | None = None
    label: str | None = None
    dimensions: tuple[float | None, float | None, float | None] = (None, None, None)
    raters: Counter[str] = field(default_factory=Counter)

    @property
    def dialogue(self) -> str:
        """The dialogue's name: what is before the last underscore."""
        return self.name.rpartition("_")[0]

    @property
    def speaker(self) -> str:
        """Session and the letter of the turn."""
        return self.name[:5] + self.name.rpartition("_")[2][0]

    @property
    def picture(self) -> str:
        """The half of the screen with the speaker; the dialogue's letter is of who wears markers and sits left."""
        return "left" if self.name[5] == self.speaker[5] else "right"


@register_reader(
    "iemocap",
    layout="IEMOCAP_full_release/Session{1..5}/{dialog/{EmoEvaluation,transcriptions,avi},sentences/wav}",
    licence="signed release form of USC SAIL, research use",
    redistributable=False,
    options=IemocapOptions,
)
def read_iemocap(folder: Path, corpus: str, options: IemocapOptions) -> pl.DataFrame:
    """One row per evaluated turn; 10,039 in the whole corpus.

    ``speaker_id`` is the session and the letter of the turn, ten in all: the dialogue's letter tells who wears
    markers. Five-fold evaluation by session is evaluation by pairs of speakers. ``picture`` is the half of the split
    screen that shows the speaker: the one with markers is on the left. ``turn`` counts a dialogue's rows by time.
    ``rater_counts`` counts the outside evaluators' choices; one who chose two labels counts for both.

    Raises:
        BadInputError: no session, a file that is missing or a line that can't be read (named by file and line), or a
            turn that is described twice.
        UnknownNameError: a label that IEMOCAP does not have.
    """
    places = [folder, folder / "IEMOCAP_full_release"]
    base = next((place for place in places if any((place / name).is_dir() for name in _SESSIONS)), None)
    if base is None:
        raise no_files("IEMOCAP", [place / "Session1" for place in places])
    frames = []
    for session in (base / name for name in _SESSIONS if (base / name).is_dir()):
        turns = _turns(session, unlabelled=options.unlabelled)
        frames.append(_rows(turns, corpus, _media(session, turns, options.media), options.media == "video"))
    return pl.concat(frames).with_columns(
        turn=pl.struct("start_s", "utterance_id").rank("ordinal").over("dialogue_id").cast(pl.Int32) - 1,
        **({} if options.media == "video" else {"start_s": pl.lit(None), "end_s": pl.lit(None)}),
    )


def _turns(session: Path, *, unlabelled: bool) -> list[_Turn]:
    evaluations = session / "dialog" / "EmoEvaluation"
    files = [path for path in sorted(evaluations.glob("*.txt")) if path.name.startswith("Ses")]
    if not files:
        raise no_files(f"IEMOCAP's evaluations of {session.name}", [evaluations / "Ses*.txt"])
    found: dict[str, _Turn] = {}
    for path in files:
        texts = _transcribed(session / "dialog" / "transcriptions" / path.name)
        for turn in _evaluated(path, texts):
            if turn.name in found:
                raise BadInputError(f"{path}: turn {turn.name} is evaluated twice")
            found[turn.name] = turn
        for turn in texts.values() if unlabelled else ():
            _check_span(str(path), turn.name, turn.start_s, turn.end_s)
            found.setdefault(turn.name, turn)
    return list(found.values())


def _evaluated(path: Path, texts: Mapping[str, _Turn]) -> Iterator[_Turn]:
    """Turns of one evaluation file: a line in brackets begins each, the raters' lines follow it."""
    turn: _Turn | None = None
    for number, line in enumerate(decode_lenient(path).splitlines(), 1):
        if line.startswith("["):
            if turn is not None:
                yield turn
            turn = _evaluation(f"{path}: line {number}", line, texts)
        elif turn is not None and (match := _RATER.match(line)):
            turn.raters.update(_label(choice) for choice in match[1].split(";") if choice.strip())
    if turn is not None:
        yield turn


def _evaluation(where: str, line: str, texts: Mapping[str, _Turn]) -> _Turn | None:
    match = _EVALUATED.match(line)
    if match is None:
        raise BadInputError(f"{where}: expected [start - end] TURN label [v, a, d], found {line.strip()!r}")
    start, end, name, label, *dimensions = match.groups()
    if "XX" in name:
        return None
    if label not in RULES["iemocap"].labels:
        raise UnknownNameError(f"label of turn {name} ({where})", label, RULES["iemocap"].labels)
    _check_span(where, name, float(start), float(end))
    said = texts[name].text if name in texts else None
    valence, arousal, dominance = (float(value) for value in dimensions)
    return _Turn(name, float(start), float(end), said, label, (valence, arousal, dominance))


def _label(choice: str) -> str:
    """A rater's word as the corpus's code (``Happiness``: ``hap``); a word without a code stays."""
    word = choice.strip().lower()
    return RULES["iemocap"].codes.get(word, word)


def _transcribed(path: Path) -> dict[str, _Turn]:
    """A dialogue's turns with their words; lines without times are remarks and breaths that are no turn."""
    if not path.is_file():
        raise no_files("IEMOCAP's transcription", [path])
    turns: dict[str, _Turn] = {}
    for number, line in enumerate(decode_lenient(path).splitlines(), 1):
        match = _TRANSCRIBED.match(line)
        if match is None or "XX" in match[1]:
            continue
        name, start, end, text = match.groups()
        turn = turns.setdefault(name, _Turn(name, float(start), float(end), text.strip()))
        if turn.text != text.strip():
            raise BadInputError(
                f"{path}: line {number}: turn {name} is transcribed twice, not the same both times"
            )
    return turns


def _check_span(where: str, name: str, start: float, end: float) -> None:
    if end <= start:
        raise BadInputError(f"{where}: turn {name} starts at {start} s and ends at {end} s")


def _media(session: Path, turns: list[_Turn], media: str) -> dict[str, Path]:
    """Turn to its file, or to where that should be."""
    if media == "none":
        return {}
    if media == "audio":
        wavs = session / "sentences" / "wav"
        return {turn.name: wavs / turn.dialogue / f"{turn.name}.wav" for turn in turns}
    # The folder is DivX, and Divx in some copies.
    films = session / "dialog" / "avi"
    found = {
        path.stem: path
        for path in sorted(films.rglob("*"))
        if path.suffix.lower() == ".avi" and path.name[0] != "."
    }
    return {turn.name: found.get(turn.dialogue, films / "DivX" / f"{turn.dialogue}.avi") for turn in turns}


def _rows(turns: list[_Turn], corpus: str, media: Mapping[str, Path], video: bool) -> pl.DataFrame:
    bridged = bridge_labels("iemocap", [turn.label for turn in turns])
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/{turn.name}" for turn in turns],
            "split": ["all"] * len(turns),
            "dialogue_id": [f"{corpus}/{turn.dialogue}" for turn in turns],
            "speaker_id": [f"{corpus}/{turn.speaker}" for turn in turns],
            "speaker_raw": [turn.speaker for turn in turns],
            "text": [turn.text for turn in turns],
            "language": ["en"] * len(turns),
            "label_raw": [turn.label for turn in turns],
            "emotion": bridged.emotion,
            "label_note": bridged.label_note,
            "valence": [turn.dimensions[0] for turn in turns],
            "arousal": [turn.dimensions[1] for turn in turns],
            "dominance": [turn.dimensions[2] for turn in turns],
            "media_uri": [str(media[turn.name]) if media else None for turn in turns],
            "start_s": [turn.start_s for turn in turns],
            "end_s": [turn.end_s for turn in turns],
            "rater_counts": [
                json.dumps(dict(sorted(turn.raters.items()))) if turn.raters else None for turn in turns
            ],
            "picture": [turn.picture if video else None for turn in turns],
        },
        schema_overrides={
            **dict.fromkeys(
                ("speaker_id", "text", "label_raw", "media_uri", "rater_counts", "picture"), pl.String
            ),
            **dict.fromkeys(("valence", "arousal", "dominance"), pl.Float32),
        },
    )
