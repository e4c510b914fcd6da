"""MEAD: scripted sentences in eight emotions and three intensities, as sound and in seven views (CORPORA: acted)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.corpus_files import files_below, one_copy_each
from extractors.corpora.reader import option
from extractors.corpora.recordings import Recording, recording_rows, tell_without_text
from extractors.corpora.registry import register_reader
from extractors.corpora.sentence_file import beside, read_sentences
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_rules import RULES

LEVELS = ("1", "2", "3")
_VIEWS = ("down", "front", "left_30", "left_60", "right_30", "right_60", "top")
_PATH = re.compile(
    r"(?P<speaker>[MW]\d{3})/(?:audio|video/\w+)/(?P<emotion>\w+)/(?P<level>level_[123])/(?P<number>\d{3})\.\w+$"
)
_SUFFIXES = {"audio": (".m4a", ".wav"), "video": (".mp4",)}
_ANY = "all"  # in place of an emotion in a table of sentences


@dataclass(frozen=True)
class MeadOptions:
    """What the MEAD reader can be told."""

    media: Literal["audio", "video"] = option("audio", "the sound alone, or the video of one view")
    view: Literal["front", "left_30", "left_60", "right_30", "right_60", "down", "top"] = option(
        "front", "with media=video: which camera; an utterance is read once, not seven times"
    )
    part: str = option("", "only this folder of the download, such as Part0; by default all of it")
    levels: tuple[str, ...] = option(LEVELS, "intensities; neutral has one alone and is always read")
    contempt: Literal["drop", "disgust"] = option(
        "drop", "what becomes of 'contempt': left out, or counted as disgust"
    )
    texts: str = option(
        "",
        "a table emotion,number,text, where emotion `all` serves those without a row of their own; by default"
        " mead_sentences.csv beside the speakers; without one texts are null",
    )


@register_reader(
    "mead",
    layout="W019/audio/neutral/level_1/020.m4a, M003/video/front/angry/level_3/001.mp4, at any depth",
    licence="research only",
    redistributable=False,
    options=MeadOptions,
)
def read_mead(folder: Path, corpus: str, options: MeadOptions) -> pl.DataFrame:
    """One row per utterance; about 31,730 of 48 speakers in the published sound.

    An utterance has the same id as sound and in any view. What it says is listed in the authors' supplement alone:
    a table of it is looked up by emotion and number, else by number under ``all``, else the text is null.

    Raises:
        BadInputError: a file outside MEAD's layout, two different ones of one name, none of the chosen kind, or a table
            of sentences that can't be used.
        UnknownNameError: a level or a part that does not exist.
    """
    for level in options.levels:
        if level not in LEVELS:
            raise UnknownNameError("level of MEAD", level, LEVELS)
    place = _part(folder, options.part)
    clips = one_copy_each(_wanted(place, options), _name)
    source = beside(folder, options.texts, ("mead_sentences.csv", "mead_sentences.tsv"))
    texts = {} if source is None else read_sentences(source, ("emotion", "number"), _key)
    recordings = []
    for name, path in clips.items():
        speaker, label, level, number = name.split("/")
        if label != "neutral" and level.removeprefix("level_") not in options.levels:
            continue
        text = texts.get((_class(label), number), texts.get((_ANY, number)))
        recordings.append(Recording(name, path, label, speaker, text))
    tell_without_text(corpus, recordings, "give a table emotion,number,text: --option texts=FILE")
    return recording_rows(corpus, "mead", recordings, {"contempt": options.contempt})


def _part(folder: Path, part: str) -> Path:
    if not part:
        return folder
    there = {path.name: path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else {}
    if part not in there:
        raise UnknownNameError(f"part of MEAD in {folder}", part, there)
    return there[part]


def _wanted(folder: Path, options: MeadOptions) -> list[Path]:
    """Files of the chosen kind and view; the other views of an utterance are left alone."""
    paths = files_below(folder, *_SUFFIXES[options.media])
    others = {view for view in _VIEWS if view != options.view}
    found = [
        path for path in paths if options.media == "audio" or path.parent.parent.parent.name not in others
    ]
    if not found:
        views = sorted({path.parent.parent.parent.name for path in paths})
        branch = "audio" if options.media == "audio" else f"video/{options.view}"
        there = f"; views there: {', '.join(views)} (--option view=...)" if views else ""
        raise BadInputError(f"{folder}: nothing in SPEAKER/{branch}/EMOTION/level_N{there}")
    return found


def _name(path: Path) -> str:
    match = _PATH.search(path.as_posix())
    if match is None or match["emotion"].lower() not in RULES["mead"].labels:
        raise BadInputError(
            f"{path}: not in MEAD's layout; expected W019/audio/neutral/level_1/020.m4a or"
            " M003/video/front/angry/level_3/001.mp4, one of MEAD's eight emotions and a level from 1 to 3"
        )
    return "/".join((match["speaker"], match["emotion"].lower(), match["level"], match["number"]))


def _class(label: str) -> str:
    """The emotion whatever its spelling (angry, anger); contempt is its own whatever its policy."""
    return RULES["mead"].labels[label] or label


def _key(emotion: str, number: str) -> tuple[str, str]:
    if not number.isdecimal():
        raise ValueError(f"number {number!r}: expected a sentence's number such as 020")
    word = emotion.lower()
    if word in ("", _ANY):
        return _ANY, number.zfill(3)
    if word not in RULES["mead"].labels:
        raise ValueError(f"emotion {emotion!r}: expected one of {', '.join(RULES['mead'].labels)}, {_ANY}")
    return _class(word), number.zfill(3)
