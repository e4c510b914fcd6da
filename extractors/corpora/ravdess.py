"""RAVDESS: acted speech and song of 24 actors, everything in the file name (CORPORA: acted corpora)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.corpus_files import files_below, one_copy_each
from extractors.corpora.reader import option
from extractors.corpora.registry import register_reader
from feature_repo.errors import BadInputError
from feature_repo.label_bridge import bridge_labels

# Modality-channel-emotion-intensity-statement-repetition-actor
_NAME = re.compile(r"(0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
_SUFFIXES = (".wav", ".mp4")
MODALITIES = {"av": "01", "video": "02", "audio": "03"}
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_SPEECH = "01"


@dataclass(frozen=True)
class RavdessOptions:
    """What the RAVDESS reader can be told."""

    song: bool = option(False, "also the sung clips")
    modality: Literal["audio", "av", "video"] = option(
        "audio", "which recording of an utterance: 03-* audio only, 01-* audio and video, 02-* video only"
    )


@register_reader(
    "ravdess",
    layout="Actor_XX/MM-VV-EE-II-SS-RR-AA.{wav,mp4} at any depth",
    licence="CC BY-NC-SA 4.0",
    redistributable=True,
    options=RavdessOptions,
)
def read_ravdess(folder: Path, corpus: str, options: RavdessOptions) -> pl.DataFrame:
    """One row per clip of the chosen modality; 1,440 spoken ones in the whole corpus.

    Raises:
        BadInputError: a clip whose name is not in RAVDESS's code, two different clips of one name, or none of the
            chosen modality.
    """
    clips = one_copy_each(files_below(folder, *_SUFFIXES), _name)
    wanted = MODALITIES[options.modality]
    codes = {stem: stem.split("-") for stem in clips}
    kept = {
        stem: code
        for stem, code in codes.items()
        if code[0] == wanted and (options.song or code[1] == _SPEECH)
    }
    if codes and not kept:
        there = sorted(
            {name for name, code in MODALITIES.items() for found in codes.values() if found[0] == code}
        )
        raise BadInputError(
            f"{folder}: none of the {len(codes)} clips is spoken with modality={options.modality};"
            f" modalities there: {', '.join(there)} (--option modality=..., --option song=yes)"
        )
    labels = [EMOTIONS[code[2]] for code in kept.values()]
    bridged = bridge_labels("ravdess", labels)
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/{stem}" for stem in kept],
            "split": ["all"] * len(kept),
            "speaker_id": [f"{corpus}/actor_{code[6]}" for code in kept.values()],
            "speaker_raw": [f"Actor_{code[6]}" for code in kept.values()],
            "text": [STATEMENTS[code[4]] for code in kept.values()],
            "language": ["en"] * len(kept),
            "label_raw": labels,
            "emotion": bridged.emotion,
            "label_note": bridged.label_note,
            "media_uri": [str(clips[stem]) for stem in kept],
        }
    )


def _name(path: Path) -> str:
    if not _NAME.fullmatch(path.stem):
        raise BadInputError(
            f"{path}: not a RAVDESS name; expected seven codes such as 03-01-06-01-02-01-12 within their ranges"
        )
    return path.stem
