"""JAFFE: posed expressions of ten women, everything in the file name (CORPORA: faces)."""

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extractors.corpora.registry import register_reader
from extractors.corpora.stills import Still, image_files, still_rows
from feature_repo.errors import BadInputError
from feature_repo.label_rules import RULES

# Subject, expression with repetition, running number.
_NAME = re.compile(r"(K[ALMR]|MK|N[AM]|TM|UY|YM)\.(AN|DI|FE|HA|NE|SA|SU)(\d)\.(\d{1,3})")


@dataclass(frozen=True)
class JaffeOptions:
    """The JAFFE reader has no options."""


@register_reader(
    "jaffe",
    layout="KA.AN1.39.tiff at any depth",
    licence="non-commercial research, on request",
    options=JaffeOptions,
)
def read_jaffe(folder: Path, corpus: str, options: JaffeOptions) -> pl.DataFrame:
    """One row per picture, 213 in the whole corpus.

    Raises:
        BadInputError: a picture whose name is not in JAFFE's code, or two different pictures of one name.
    """
    found: dict[str, Path] = {}
    stills = []
    paths = image_files(folder, ".tiff", ".tif")
    for path in sorted(paths, key=lambda path: (len(path.parts), path)):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise BadInputError(f"{path}: not a JAFFE name; expected codes such as KA.AN1.39")
        first = found.setdefault(path.stem, path)
        if first == path:
            label = RULES["jaffe"].codes[match[2].lower()]
            stills.append(Still(path.stem, path, label, subject=match[1]))
        elif first.read_bytes() != path.read_bytes():
            raise BadInputError(f"{first} and {path} are different pictures of one name")
    return still_rows(corpus, "jaffe", stills)
