"""GoEmotions: Reddit comments with 27 emotions and neutral, in Ekman's groups (CORPORA: text corpora)."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extractors.corpora.delimited import Delimited, parse_delimited
from extractors.corpora.reader import no_files
from extractors.corpora.registry import register_reader
from extractors.corpora.text_repair import decode_strict
from feature_repo.errors import BadInputError
from feature_repo.label_bridge import bridge_labels

SPLITS = ("train", "dev", "test")
# Order of emotions.txt: the files carry line numbers, from 0.
LABELS = (
    *(
        "admiration",
        "amusement",
        "anger",
        "annoyance",
        "approval",
        "caring",
        "confusion",
        "curiosity",
        "desire",
    ),
    *(
        "disappointment",
        "disapproval",
        "disgust",
        "embarrassment",
        "excitement",
        "fear",
        "gratitude",
        "grief",
    ),
    *("joy", "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness"),
    *("surprise", "neutral"),
)


@dataclass(frozen=True)
class GoEmotionsOptions:
    """The GoEmotions reader has no options: rows with labels of several groups keep no emotion, and say so."""


@register_reader(
    "goemotions",
    layout="{train,dev,test}.tsv (also below data): text, comma-separated label numbers, comment id",
    licence="data CC BY 4.0",
    redistributable=True,
    options=GoEmotionsOptions,
)
def read_goemotions(folder: Path, corpus: str, options: GoEmotionsOptions) -> pl.DataFrame:
    """One row per comment: 43,410 / 5,426 / 5,427 in the official files.

    Raises:
        BadInputError: a split's file is missing, a row is broken, a label number does not exist, or the label list
            beside the files has another order.
    """
    labels = _labels(folder)
    return pl.concat([_rows(_table(folder, split), corpus, split, labels) for split in SPLITS])


def _table(folder: Path, split: str) -> Delimited:
    places = [folder / f"{split}.tsv", folder / "data" / f"{split}.tsv"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise no_files(f"GoEmotions split {split!r}", places)
    # Comments hold lone double quotes: a quote means nothing here.
    return parse_delimited(
        path, decode_strict(path), delimiter="\t", columns=("text", "labels", "comment"), quoted=False
    )


def _labels(folder: Path) -> tuple[str, ...]:
    for name in ("emotions.txt", "labels.txt", "data/emotions.txt"):
        path = folder / name
        if path.is_file():
            found = tuple(decode_strict(path).split())
            if sorted(found) != sorted(LABELS):
                odd = sorted(set(found) ^ set(LABELS))
                raise BadInputError(
                    f"{path}: not the 28 labels of GoEmotions; differing: {', '.join(odd) or 'twice'}"
                )
            return found
    return LABELS


def _rows(table: Delimited, corpus: str, split: str, labels: tuple[str, ...]) -> pl.DataFrame:
    frame = table.frame
    raw = [_names(table, row, labels) for row in range(frame.height)]
    bridged = bridge_labels("goemotions", raw)
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/{comment.strip()}" for comment in frame["comment"]],
            "split": [split] * frame.height,
            "text": [text.strip() for text in frame["text"]],
            "language": ["en"] * frame.height,
            "label_raw": raw,
            "emotion": bridged.emotion,
            "label_note": bridged.label_note,
        },
        schema_overrides={"label_raw": pl.String},
    )


def _names(table: Delimited, row: int, labels: tuple[str, ...]) -> str:
    numbers = table.frame["labels"][row]
    try:
        found = [int(number) for number in numbers.split(",")]
    except ValueError:
        found = [-1]
    if not all(0 <= number < len(labels) for number in found):
        raise BadInputError(
            f"{table.where(row)}: labels {numbers!r}; expected numbers from 0 to {len(labels) - 1}"
        )
    return ",".join(labels[number] for number in found)
