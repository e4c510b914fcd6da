"""EmoV-DB: CMU ARCTIC's sentences by four speakers in five manners of speaking (CORPORA: acted corpora)."""

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
from extractors.corpora.sentence_file import beside
from extractors.corpora.text_repair import decode_lenient
from feature_repo.errors import BadInputError
from feature_repo.label_rules import RULES

SPEAKERS = ("bea", "jenie", "josh", "sam")
_LABELS = ("amused", "angry", "disgusted", "neutral", "sleepy")
# Manner, range of the annotation file, number of the sentence.
_NAME = re.compile(r"(?P<manner>[a-z]+)_(?P<range>\d+-\d+)_(?P<number>\d{1,4})", re.IGNORECASE)
# `( arctic_a0001 "Author of the danger trail." )`, or the same without brackets and quotes.
_PROMPT = re.compile(r'\W*(?:arctic_)?(?P<list>[ab])(?P<number>\d{4})[\s|,:"]+(?P<text>.*?)[\s")]*')
_PROMPT_FILES = ("cmuarctic.data", "txt.done.data", "cmuarctic.txt", "prompts.txt")


@dataclass(frozen=True)
class EmovdbOptions:
    """What the EmoV-DB reader can be told."""

    sleepy: Literal["drop", "neutral"] = option(
        "drop", "what becomes of 'sleepy': left out, or counted as neutral"
    )
    prompts: str = option(
        "",
        "CMU ARCTIC's list of sentences, cmuarctic.data or lines such as `a0001 text`; by default"
        " cmuarctic.data or txt.done.data beside the clips; without one texts are null",
    )


@register_reader(
    "emovdb",
    layout="bea_Amused/amused_57-84_0057.wav or bea/Amused/amused_57-84_0057.wav, cmuarctic.data beside",
    licence="non-commercial research",
    options=EmovdbOptions,
)
def read_emovdb(folder: Path, corpus: str, options: EmovdbOptions) -> pl.DataFrame:
    """One row per clip, about 6,890 in the whole corpus (copies differ); josh is neither angry nor disgusted.

    The number at the end of a name is a sentence of ARCTIC's list A. The manner is the folder's; where a file's name
    says another, that is told.

    Raises:
        BadInputError: a clip whose name or folder is not in EmoV-DB's code, two different clips of one name, or a list
            of sentences that is missing or has none.
    """
    clips = one_copy_each(files_below(folder, ".wav"), _name)
    source = beside(folder, options.prompts, _PROMPT_FILES)
    prompts = {} if source is None else _prompts(source)
    recordings, odd = [], []
    for name, path in clips.items():
        speaker, label, _ = name.split("/")
        match = _match(path)
        if _label(match["manner"]) not in (label, None):
            odd.append(path)
        text = prompts.get(int(match["number"]))
        recordings.append(Recording(name, path, label, speaker, text))
    if odd:
        warnings.warn(
            f"{corpus}: {len(odd):,} clips lie in the folder of another manner than their name says, such as"
            f" {odd[0]}; the folder decides",
            stacklevel=2,
        )
    remedy = (
        "their numbers are not in list A of " + str(source)
        if source
        else "give CMU ARCTIC's sentences (festvox.org/cmu_arctic/cmuarctic.data): --option prompts=FILE"
    )
    tell_without_text(corpus, recordings, remedy)
    return recording_rows(corpus, "emovdb", recordings, {"sleepy": options.sleepy})


def _name(path: Path) -> str:
    """Speaker, manner and the file's own name: two speakers have files of the same name."""
    stem = _match(path)[0].lower()
    speaker, _, manner = path.parent.name.lower().partition("_")
    if not manner:  # the sorted copy: a folder for the speaker, in it one for each manner
        speaker, manner = path.parent.parent.name.lower(), speaker
    label = _label(manner)
    if speaker not in SPEAKERS or label is None:
        raise BadInputError(
            f"{path}: expected a folder such as bea_Amused or bea/Amused; speakers {', '.join(SPEAKERS)},"
            f" manners {', '.join(_LABELS)}"
        )
    return f"{speaker}/{label}/{stem}"


def _match(path: Path) -> re.Match[str]:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise BadInputError(f"{path}: not an EmoV-DB name; expected one such as amused_57-84_0057")
    return match


def _label(manner: str) -> str | None:
    word = manner.lower()
    label = RULES["emovdb"].codes.get(word, word)
    return label if label in _LABELS else None


def _prompts(path: Path) -> Mapping[int, str]:
    """Number to sentence of list A, which alone was recorded; list B counts from 1 again."""
    if not path.is_file():
        raise BadInputError(f"{path} does not exist; expected CMU ARCTIC's list of sentences")
    found: dict[int, str] = {}
    for number, line in enumerate(decode_lenient(path).splitlines(), 1):
        match = _PROMPT.fullmatch(line.strip())
        if match is None or match["list"] != "a" or not match["text"]:
            continue
        if found.setdefault(int(match["number"]), match["text"]) != match["text"]:
            raise BadInputError(f"{path}: line {number}: a second sentence a{match['number']}")
    if not found:
        raise BadInputError(f'{path}: no line such as ( arctic_a0001 "Author of the danger trail." )')
    return found
