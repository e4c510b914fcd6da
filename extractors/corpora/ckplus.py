"""CK+: posed expressions filmed from neutral to their peak, as published or as the CK+48 repack (CORPORA: faces)."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.corpus_files import files_below
from extractors.corpora.reader import no_files, option
from extractors.corpora.registry import register_reader
from extractors.corpora.stills import Still, still_rows
from feature_repo.errors import BadInputError
from feature_repo.label_rules import RULES

_FRAME = re.compile(r"(?P<sequence>(?P<subject>S\d{3})_(?P<number>\d{3}))_(?P<frame>\d{8})")
_LABEL_FILE = "_emotion.txt"
_LAST = 3
REPACKED = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")


@dataclass(frozen=True)
class CkPlusOptions:
    """What the CK+ reader can be told."""

    frames: Literal["apex", "last3"] = option(
        "apex", "apex: a labelled sequence's peak, its last frame; last3: its last three frames"
    )
    first: Literal["drop", "neutral"] = option(
        "drop", "the first frame of a labelled sequence: left out, or counted as neutral"
    )
    contempt: Literal["drop", "disgust"] = option(
        "drop", "what becomes of 'contempt': left out, or counted as disgust"
    )


@register_reader(
    "ckplus",
    layout="Emotion and cohn-kanade-images with S005/001/S005_001_00000011* (faces: extract with --set stills=detect), "
    "or CK+48/{anger,...}/*.png",
    licence="signed agreement, research use; CK+48 is a third party's repack",
    redistributable=False,
    options=CkPlusOptions,
)
def read_ckplus(folder: Path, corpus: str, options: CkPlusOptions) -> pl.DataFrame:
    """One row per chosen frame: 327 sequences have a label, the other 266 have none and are left out.

    Subjects are the speakers, a sequence is the dialogue of its frames. The published pictures show more than the face:
    extract faces with ``--set stills=detect``; CK+48 is faces alone.

    Raises:
        BadInputError: neither layout, a name or label that CK+ does not have, a sequence with fewer frames than are
            asked for or with two labels, or ``first=neutral`` of the repack, which holds no neutral frame.
    """
    labels = next(
        (p for p in (folder / "Emotion", folder / "Emotion_labels" / "Emotion") if p.is_dir()), None
    )
    if labels is not None:
        return _rows(corpus, list(_published(folder, labels, options)), options)
    places = [folder, folder / "CK+48"]
    repack = next((p for p in places if any((p / name).is_dir() for name in REPACKED)), None)
    if repack is None:
        raise no_files("CK+", [folder / "Emotion", folder / "CK+48" / REPACKED[0]])
    if options.first != "drop":
        raise BadInputError(
            f"{repack}: CK+48 holds the last frames of each sequence, none is neutral (first=drop)"
        )
    return _rows(corpus, list(_repacked(repack, options)), options)


def _rows(corpus: str, stills: list[Still], options: CkPlusOptions) -> pl.DataFrame:
    return still_rows(corpus, "ckplus", stills, {"contempt": options.contempt})


def _published(folder: Path, labels: Path, options: CkPlusOptions) -> Iterator[Still]:
    places = [folder / "cohn-kanade-images", folder / "extended-cohn-kanade-images" / "cohn-kanade-images"]
    images = next((place for place in places if place.is_dir()), None)
    if images is None:
        raise no_files("CK+'s images", places)
    seen: dict[str, Path] = {}
    for path in sorted(labels.rglob(f"*{_LABEL_FILE}")):
        if path.name[0] == ".":
            continue
        match = _FRAME.fullmatch(path.name.removesuffix(_LABEL_FILE))
        if match is None:
            raise BadInputError(f"{path}: expected a name such as S005_001_00000011{_LABEL_FILE}")
        first = seen.setdefault(match["sequence"], path)
        if first != path:
            raise BadInputError(f"sequence {match['sequence']} has two labels: {first} and {path}")
        label = _label(path)
        place = images / match["subject"] / match["number"]
        if options.frames == "apex":
            yield _still(match, place / f"{match[0]}.png", label)
        if options.frames == "last3" or options.first == "neutral":
            yield from _neighbours(place, match, label, options)


def _neighbours(place: Path, apex: re.Match[str], label: str, options: CkPlusOptions) -> Iterator[Still]:
    """The frames beside the apex that the options ask for; frame numbers may have gaps."""
    found = {path.stem: path for path in files_below(place, ".png")}
    stems = [stem for stem in sorted(found) if _FRAME.fullmatch(stem) and stem <= apex[0]]
    needed = (_LAST if options.frames == "last3" else 1) + (options.first == "neutral")
    if len(stems) < needed:
        raise BadInputError(f"{place}: {len(stems)} frames up to {apex[0]}, {needed} are needed")
    if options.frames == "last3":
        for stem in stems[-_LAST:]:
            yield _still(apex, found[stem], label)
    if options.first == "neutral":
        yield _still(apex, found[stems[0]], "neutral", note="first frame of its sequence as neutral")


def _label(path: Path) -> str:
    codes = RULES["ckplus"].codes
    text = path.read_text("utf-8", errors="replace").strip()
    try:
        code = float(text)  # written as 3.0000000e+00
        return codes[f"{code:.0f}" if code.is_integer() else ""]
    except (ValueError, KeyError):
        raise BadInputError(f"{path}: line 1: label {text!r}; expected a number from 0 to 7") from None


def _repacked(folder: Path, options: CkPlusOptions) -> Iterator[Still]:
    sequences: dict[str, dict[str, re.Match[str]]] = defaultdict(dict)
    files: dict[str, Path] = {}
    for label in REPACKED:
        for path in files_below(folder / label, ".png"):
            match = _FRAME.fullmatch(path.stem)
            if match is None:
                raise BadInputError(f"{path}: expected a name such as S010_004_00000017.png")
            first = files.setdefault(match[0], path)
            others = {files[stem].parent.name for stem in sequences[match["sequence"]]}
            if first != path or others - {label}:
                raise BadInputError(
                    f"{path}: sequence {match['sequence']} has two labels, {', '.join(sorted(others | {label}))}"
                )
            sequences[match["sequence"]][match[0]] = match
    for frames in sequences.values():
        kept = sorted(frames)[-(1 if options.frames == "apex" else _LAST) :]
        for stem in kept:
            yield _still(frames[stem], files[stem], files[stem].parent.name)


def _still(match: re.Match[str], image: Path, label: str, note: str | None = None) -> Still:
    return Still(
        name=image.stem,
        image=image,
        label=label,
        subject=match["subject"],
        sequence=match["sequence"],
        note=note,
    )
