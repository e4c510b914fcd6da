"""SAVEE: TIMIT sentences by four men in seven emotions, foldered or flat (CORPORA: acted corpora)."""

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
from feature_repo.errors import BadInputError
from feature_repo.label_rules import RULES

SPEAKERS = ("DC", "JE", "JK", "KL")
# DC/a01 or DC_a01: the speaker, the emotion's letters, the sentence's number within the emotion.
_SENTENCE = r"(?P<emotion>a|d|f|h|n|sa|su)(?P<number>\d\d)"
_FLAT = re.compile(rf"(?P<speaker>{'|'.join(SPEAKERS)})_{_SENTENCE}")
_FOLDERED = re.compile(_SENTENCE)
_SUFFIXES = {"audio": ".wav", "video": ".avi"}


@dataclass(frozen=True)
class SaveeOptions:
    """What the SAVEE reader can be told."""

    media: Literal["audio", "video"] = option("audio", "AudioData/*.wav or AudioVisualClip/*.avi")
    texts: str = option(
        "",
        "a table sentence,text with sentences such as DC_a01, or a01 for all speakers; by default"
        " savee_sentences.csv beside the clips; without one texts are null",
    )


@register_reader(
    "savee",
    layout="AudioData/{DC,JE,JK,KL}/a01.wav, or flat DC_a01.wav",
    licence="free for research, after registration",
    redistributable=False,
    options=SaveeOptions,
)
def read_savee(folder: Path, corpus: str, options: SaveeOptions) -> pl.DataFrame:
    """One row per clip, 480 in the whole corpus: 30 neutral ones and 15 of each other emotion by each speaker.

    Raises:
        BadInputError: a clip whose name is not in SAVEE's code or that lies in no speaker's folder, two different clips
            of one name, or a table of sentences that can't be used.
    """
    clips = one_copy_each(files_below(folder, _SUFFIXES[options.media]), _name)
    source = beside(folder, options.texts, ("savee_sentences.csv", "savee_sentences.tsv"))
    texts = {} if source is None else read_sentences(source, ("sentence",), _key)
    recordings = []
    for name, path in clips.items():
        speaker, sentence = name.split("_")
        label = RULES["savee"].codes[sentence[:-2]]
        text = texts.get((name,), texts.get((sentence,)))
        recordings.append(Recording(name, path, label, speaker, text))
    tell_without_text(corpus, recordings, "give a table sentence,text: --option texts=FILE")
    return recording_rows(corpus, "savee", recordings)


def _name(path: Path) -> str:
    match = _FLAT.fullmatch(path.stem)
    if match:
        return match[0]
    speaker = path.parent.name.upper()
    if not _FOLDERED.fullmatch(path.stem) or speaker not in SPEAKERS:
        raise BadInputError(
            f"{path}: not a SAVEE name; expected DC/a01.wav or DC_a01.wav, speakers {', '.join(SPEAKERS)}"
        )
    return f"{speaker}_{path.stem}"


def _key(sentence: str) -> tuple[str]:
    if not _FLAT.fullmatch(sentence) and not _FOLDERED.fullmatch(sentence):
        raise ValueError(f"sentence {sentence!r}: expected one such as DC_a01, or a01 for all speakers")
    return (sentence,)
