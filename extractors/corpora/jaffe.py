"""JAFFE: posed expressions of ten women, everything in the file name (CORPORA: faces)."""

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extractors.corpora.corpus_files import files_below, one_copy_each
from extractors.corpora.registry import register_reader
from extractors.corpora.stills import Still, still_rows
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
    redistributable=False,
    options=JaffeOptions,
)
def read_jaffe(folder: Path, corpus: str, options: JaffeOptions) -> pl.DataFrame:
    """One row per picture, 213 in the whole corpus.

    Raises:
        BadInputError: a picture whose name is not in JAFFE's code, or two different pictures of one name.
    """
    pictures = one_copy_each(files_below(folder, ".tiff", ".tif"), _name)
    stills = []
    for name, path in pictures.items():
        subject, expression = name.split(".")[:2]
        label = RULES["jaffe"].codes[expression[:2].lower()]
        stills.append(Still(name, path, label, subject=subject))
    return still_rows(corpus, "jaffe", stills)


def _name(path: Path) -> str:
    if not _NAME.fullmatch(path.stem):
        raise BadInputError(f"{path}: not a JAFFE name; expected codes such as KA.AN1.39")
    return path.stem
