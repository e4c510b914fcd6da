"""CREMA-D: twelve sentences by 91 actors in six emotions, everything in the file name (CORPORA: acted corpora)."""

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.corpus_files import files_below, one_copy_each, unfetched
from extractors.corpora.delimited import Delimited, parse_delimited, require_columns
from extractors.corpora.reader import option
from extractors.corpora.recordings import Recording, recording_rows
from extractors.corpora.registry import register_reader
from extractors.corpora.text_repair import decode_lenient
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_rules import RULES

SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
# Actor, sentence, emotion, level. One published clip, 1040_ITH_SAD_X, lacks a letter of its level.
_NAME = re.compile(
    rf"(100[1-9]|10[1-8]\d|109[01])_({'|'.join(SENTENCES)})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)"
)
_SUFFIXES = {"audio": (".wav",), "mp3": (".mp3",), "video": (".flv", ".mp4")}
# Votes have the first letter of a clip's code.
_LETTERS = {code[0].upper(): label for code, label in RULES["cremad"].codes.items()}
_SUMMARY = {"voice": "VoiceVote", "face": "FaceVote", "multimodal": "MultiModalVote"}
_QUERY = {
    "voice": 1,
    "face": 2,
    "multimodal": 3,
}  # a row of tabulatedVotes.csv is 100,000 times this, plus the clip


@dataclass(frozen=True)
class CremadOptions:
    """What the CREMA-D reader can be told."""

    media: Literal["audio", "mp3", "video"] = option(
        "audio", "which copy of an utterance: AudioWAV/*.wav, AudioMP3/*.mp3 or VideoFlash/*.flv"
    )
    votes: Literal["voice", "face", "multimodal", "none"] = option(
        "voice", "which raters are counted: those who heard, those who saw, those who did both, or nobody"
    )


@register_reader(
    "cremad",
    layout="AudioWAV/1001_IEO_NEU_XX.wav (or AudioMP3, VideoFlash) at any depth; votes from processedResults",
    licence="ODbL 1.0, contents DbCL 1.0",
    redistributable=True,
    options=CremadOptions,
)
def read_cremad(folder: Path, corpus: str, options: CremadOptions) -> pl.DataFrame:
    """One row per clip, 7,442 in the whole corpus; the emotion is the one that was acted.

    ``rater_counts`` are the raters' choices from ``processedResults/tabulatedVotes.csv``. Without that file they come
    from ``summaryTable.csv``, which holds the winners alone: 1 for each, several where they tie.

    Raises:
        BadInputError: a clip whose name is not in CREMA-D's code, two different clips of one name, none of the chosen
            kind, or a table of votes that can't be read.
        UnknownNameError: a vote for an emotion that CREMA-D does not have, or a column that is missing.
    """
    clips = one_copy_each(files_below(folder, *_SUFFIXES[options.media]), _name)
    if not clips:
        there = [kind for kind, suffixes in _SUFFIXES.items() if files_below(folder, *suffixes)]
        raise BadInputError(
            f"{folder}: no clips for media={options.media}; there are clips for: {', '.join(there) or 'none'}"
            f" (--option media=...)"
        )
    if pointers := unfetched(clips.values()):
        warnings.warn(
            f"{corpus}: {len(pointers):,} of {len(clips):,} clips are pointers of Git LFS, such as {pointers[0]};"
            " fetch them with: git lfs pull",
            stacklevel=2,
        )
    votes = {} if options.votes == "none" else _votes(folder, options.votes)
    labels = RULES["cremad"].codes
    return recording_rows(
        corpus,
        "cremad",
        [
            Recording(name, path, labels[emotion.lower()], actor, SENTENCES[sentence], raters=votes.get(name))
            for name, path in clips.items()
            for actor, sentence, emotion, _ in [name.split("_")]
        ],
    )


def _name(path: Path) -> str:
    """The clip's name with its level whole, as the tables of votes have it."""
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise BadInputError(f"{path}: not a CREMA-D name; expected codes such as 1001_IEO_NEU_XX")
    return path.stem + "X" if match[4] == "X" else path.stem


def _votes(folder: Path, kind: str) -> Mapping[str, Counter[str]]:
    """Clip to label to the number of raters who chose it; empty where the corpus has no tables of votes."""
    # Who points at AudioWAV means the tables beside it too.
    for place in (folder, folder.parent):
        counted = place / "processedResults" / "tabulatedVotes.csv"
        if counted.is_file():
            return _tabulated(_table(counted), kind)
        summary = place / "processedResults" / "summaryTable.csv"
        if summary.is_file():
            return _summary(_table(summary), kind)
    return {}


def _table(path: Path) -> Delimited:
    return parse_delimited(path, decode_lenient(path))


def _file_name(table: Delimited) -> str:
    """The column with the clip's name: FileName in one table, fileName in the other."""
    for column in table.frame.columns:
        if column.casefold() == "filename":
            return column
    raise UnknownNameError(f"column of {table.path}", "fileName", table.frame.columns)


def _tabulated(table: Delimited, kind: str) -> Mapping[str, Counter[str]]:
    require_columns(table.path, table.frame.columns, tuple(_LETTERS))
    column = _file_name(table)
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for row, cells in enumerate(table.frame.iter_rows(named=True)):
        number, *_ = cells.values()  # the first column has no name
        try:
            if int(number) // 100_000 == _QUERY[kind]:
                votes[cells[column].strip()].update(
                    {label: int(cells[letter]) for letter, label in _LETTERS.items() if int(cells[letter])}
                )
        except ValueError as error:
            raise BadInputError(f"{table.where(row)}: {error}") from error
    return votes


def _summary(table: Delimited, kind: str) -> Mapping[str, Counter[str]]:
    require_columns(table.path, table.frame.columns, (_SUMMARY[kind],))
    votes: dict[str, Counter[str]] = {}
    names = table.frame[_file_name(table)]
    for row, (name, winners) in enumerate(zip(names, table.frame[_SUMMARY[kind]], strict=True)):
        letters = [letter.strip() for letter in winners.split(":") if letter.strip()]
        for letter in letters:
            if letter not in _LETTERS:
                raise UnknownNameError(f"vote in {table.where(row)}", letter, _LETTERS)
        votes[name.strip()] = Counter(_LETTERS[letter] for letter in letters)
    return votes
