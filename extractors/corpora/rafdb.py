"""RAF-DB, basic set: faces from the web with seven expressions that forty people agreed on (CORPORA: faces)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.reader import no_files, option
from extractors.corpora.registry import register_reader
from extractors.corpora.stills import Still, still_rows
from extractors.corpora.text_repair import decode_strict
from feature_repo.errors import BadInputError
from feature_repo.label_rules import RULES

LABELS = "EmoLabel/list_patition_label.txt"  # spelled so in the release
_LINE = re.compile(r"((train|test)_\d+)\.jpg\s+(\d+)")


@dataclass(frozen=True)
class RafDbOptions:
    """What the RAF-DB reader can be told."""

    images: Literal["aligned", "original"] = option(
        "aligned",
        "aligned: the release's faces of 100 x 100 pixels; original: the pictures as found, whose faces "
        "are to be extracted with --set stills=detect",
    )


@register_reader(
    "rafdb",
    layout=f"{LABELS}, Image/aligned/train_00001_aligned.jpg (also below basic)",
    licence="on request, non-commercial research",
    redistributable=False,
    options=RafDbOptions,
)
def read_rafdb(folder: Path, corpus: str, options: RafDbOptions) -> pl.DataFrame:
    """One row per picture of the basic set: 12,271 in train, 3,068 in test. Nobody knows who is shown.

    Raises:
        BadInputError: no label list, or a line of it that can't be read or names a picture again.
    """
    places = [folder, folder / "basic"]
    base = next((place for place in places if (place / LABELS).is_file()), None)
    if base is None:
        raise no_files("RAF-DB", [place / LABELS for place in places])
    return still_rows(corpus, "rafdb", list(_stills(base, options)))


def _stills(base: Path, options: RafDbOptions) -> Iterator[Still]:
    path = base / LABELS
    codes = RULES["rafdb"].codes
    seen: set[str] = set()
    for number, line in enumerate(decode_strict(path).splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise BadInputError(
                f"{path}: line {number}: expected a line such as 'train_00001.jpg 5', found {line!r}"
            )
        name, split, code = match.groups()
        if code not in codes:
            raise BadInputError(
                f"{path}: line {number}: label {code}; the basic set has 1 to {len(codes)} (is this the compound set?)"
            )
        if name in seen:
            raise BadInputError(f"{path}: line {number}: {name} stands there twice")
        seen.add(name)
        image = f"aligned/{name}_aligned.jpg" if options.images == "aligned" else f"original/{name}.jpg"
        yield Still(name, base / "Image" / image, codes[code], split=split)
