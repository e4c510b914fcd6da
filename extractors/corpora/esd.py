"""ESD: 350 parallel sentences in five emotions by ten Mandarin and ten English speakers (CORPORA: acted corpora)."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.corpus_files import files_below, one_copy_each
from extractors.corpora.reader import option
from extractors.corpora.recordings import Recording, recording_rows, tell_without_text
from extractors.corpora.registry import register_reader
from extractors.corpora.text_repair import decode_legacy
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_bridge import bridge
from feature_repo.label_rules import RULES

_SHOWN = 20  # names in a message: all speakers, but not all clips
# In the order of their numbers: 350 sentences each.
EMOTIONS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
PER_EMOTION = 350
LANGUAGES = ("en", "zh")
_MANDARIN = range(1, 11)
_CLIP = re.compile(r"(?P<speaker>00(?:0[1-9]|1\d|20))_(?P<number>\d{6})")
_LINE = re.compile(r"(?P<id>\d{4}_\d{6})\s*(?P<rest>.*)")
# Folders of the older archive; they do not part speakers or sentences.
_SPLITS = {"train": "train", "evaluation": "dev", "test": "test"}


@dataclass(frozen=True)
class EsdOptions:
    """What the ESD reader can be told."""

    languages: tuple[str, ...] = option(LANGUAGES, "en: speakers 0011 to 0020; zh: Mandarin, 0001 to 0010")
    splits: Literal["none", "folders"] = option(
        "none",
        "folders: the older archive's train, evaluation and test as splits, though each speaker is in all of them",
    )


@dataclass(frozen=True)
class _Said:
    """A row of a speaker's table: what is said, and the emotion in the speaker's language where it is given."""

    text: str
    label: str | None


@register_reader(
    "esd",
    layout="0011/Angry/0011_000351.wav (older archive: 0011/Angry/train/...), 0011/0011.txt, at any depth",
    licence="research only, signed form",
    redistributable=False,
    options=EsdOptions,
)
def read_esd(folder: Path, corpus: str, options: EsdOptions) -> pl.DataFrame:
    """One row per clip, 35,000 in the whole corpus; the same 350 sentences in every emotion.

    What is said is in a table for each speaker, else in a text file of the clip's name. They are UTF-8, UTF-16, GBK or
    Windows-1252, from copy to copy and from speaker to speaker; other encodings than UTF-8 are told. Labels of Mandarin
    speakers are those of their tables, in Chinese. Where a table says another emotion than the clip's folder, the
    folder decides, and that is told.

    Raises:
        BadInputError: a clip whose name is not in ESD's code, two different ones of one name, or a table that no
            encoding fits.
        UnknownNameError: a language that ESD does not have.
    """
    for language in options.languages:
        if language not in LANGUAGES:
            raise UnknownNameError("language of ESD", language, LANGUAGES)
    clips = {
        name: path
        for name, path in one_copy_each(files_below(folder, ".wav"), _name).items()
        if _language(name) in options.languages
    }
    said = _said(folder, corpus, list(clips))
    recordings, odd = [], []
    for name, path in clips.items():
        emotion, row = _emotion(name, path), said.get(name)
        agrees = row is None or row.label is None or bridge("esd", row.label)[0] == bridge("esd", emotion)[0]
        if not agrees:
            odd.append(name)
        recordings.append(
            Recording(
                name,
                path,
                row.label if row and row.label and agrees else emotion,
                name[:4],
                row.text if row else None,
                language=_language(name),
                split=_split(path) if options.splits == "folders" else "all",
            )
        )
    if odd:
        warnings.warn(
            f"{corpus}: {len(odd):,} clips have another emotion in their speaker's table than by their folder, such"
            f" as {odd[0]}; the folder decides",
            stacklevel=2,
        )
    tell_without_text(corpus, recordings, "the speakers' tables (0001/0001.txt) lack them")
    return recording_rows(corpus, "esd", recordings)


def _name(path: Path) -> str:
    match = _CLIP.fullmatch(path.stem)
    if match is None or not 1 <= int(match["number"]) <= PER_EMOTION * len(EMOTIONS):
        raise BadInputError(
            f"{path}: not an ESD name; expected one such as 0011_000351, speakers 0001 to 0020, numbers 1 to"
            f" {PER_EMOTION * len(EMOTIONS):,}"
        )
    return match[0]


def _language(name: str) -> str:
    return "zh" if int(name[:4]) in _MANDARIN else "en"


def _emotion(name: str, path: Path) -> str:
    """By the folder; a copy without folders goes by the clip's number."""
    for part in reversed(path.parts[-3:-1]):
        if part.capitalize() in EMOTIONS:
            return part.capitalize()
    return EMOTIONS[(int(name[5:]) - 1) // PER_EMOTION]


def _split(path: Path) -> str:
    return _SPLITS.get(path.parent.name.lower(), "all")


def _said(folder: Path, corpus: str, names: list[str]) -> Mapping[str, _Said]:
    """Clip to its row of its speaker's table, else to the text file of its name (papers/003 section 1.7)."""
    files: dict[str, Path] = {}
    for path in sorted(files_below(folder, ".txt"), key=lambda path: (len(path.parts), path)):
        files.setdefault(path.stem, path)
    said: dict[str, _Said] = {}
    encodings: dict[str, list[str]] = {}

    def decoded(stem: str) -> str:
        legacy = "gb18030" if _language(stem) == "zh" else "cp1252"
        text, encoding = decode_legacy(files[stem], legacy)
        encodings.setdefault(encoding, []).append(stem)
        return text

    for speaker in sorted({name[:4] for name in names} & set(files)):
        for line in decoded(speaker).splitlines():
            match = _LINE.fullmatch(line.strip())
            if match:
                said[match["id"]] = _row(match["rest"])
    for name in names:
        if name not in said and name in files:
            said[name] = _Said(decoded(name).strip(), None)
    others = "; ".join(
        f"{encoding}: {', '.join(found[:_SHOWN])}{', ...' if len(found) > _SHOWN else ''}"
        for encoding, found in encodings.items()
        if encoding != "utf-8"
    )
    if others:
        warnings.warn(f"{corpus}: texts that are not UTF-8 were decoded as {others}", stacklevel=3)
    return said


def _row(rest: str) -> _Said:
    """The words and the emotion; some rows lack a tab between the two, some the emotion."""
    # Without a tab only a label in a table's own spelling is one: a sentence may end with "sad".
    text, _, last = rest.rpartition("\t") if "\t" in rest else rest.rpartition(" ")
    label = last.strip()
    if label.capitalize() in EMOTIONS if "\t" in rest else label in EMOTIONS:
        return _Said(text.strip(), label)
    return _Said(text.strip(), label) if label in RULES["esd"].codes else _Said(rest.strip(), None)
