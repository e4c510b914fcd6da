"""TESS: 200 words in a carrier phrase by two actresses, everything in the file name (CORPORA: acted corpora)."""

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extractors.corpora.corpus_files import files_below, one_copy_each
from extractors.corpora.recordings import Recording, recording_rows
from extractors.corpora.registry import register_reader
from feature_repo.errors import BadInputError
from feature_repo.label_rules import RULES

# Actress (older, younger), word, emotion. One published clip, OA_bite_neutral, lacks a letter of its actress.
_NAME = re.compile(
    r"(?P<actress>OAF?|YAF?)_(?P<word>[a-z][a-z'-]*)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TessOptions:
    """The TESS reader has no options."""


@register_reader(
    "tess",
    layout="OAF_back_angry.wav at any depth",
    licence="CC BY-NC-ND 4.0",
    redistributable=False,
    options=TessOptions,
)
def read_tess(folder: Path, corpus: str, options: TessOptions) -> pl.DataFrame:
    """One row per clip, 2,800 in the whole corpus; ``ps`` is pleasant surprise.

    Raises:
        BadInputError: a clip whose name is not in TESS's code, or two different clips of one name.
    """
    codes = RULES["tess"].codes
    recordings = []
    for name, path in one_copy_each(files_below(folder, ".wav"), _name).items():
        actress, word, emotion = name.split("_")
        label = codes.get(emotion, emotion)
        recordings.append(Recording(name, path, label, actress, f"Say the word {word}"))
    return recording_rows(corpus, "tess", recordings)


def _name(path: Path) -> str:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise BadInputError(f"{path}: not a TESS name; expected one such as OAF_back_angry")
    actress = match["actress"].upper()[:2] + "F"
    return f"{actress}_{match['word'].lower()}_{match['emotion'].lower()}"
