"""CrowdFlower's "Emotion in Text": 40,000 tweets with 13 labels (CORPORA: text corpora)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.delimited import parse_delimited, require_columns
from extractors.corpora.reader import no_files, option
from extractors.corpora.registry import register_reader
from extractors.corpora.text_repair import decode_lenient, repair_mojibake
from feature_repo.label_bridge import bridge_labels

COLUMNS = ("tweet_id", "sentiment", "author", "content")


@dataclass(frozen=True)
class CrowdFlowerOptions:
    """What the CrowdFlower reader can be told."""

    worry: Literal["drop", "fear"] = option(
        "drop",
        "what becomes of 'worry': left out, or counted as fear",
    )


@register_reader(
    "crowdflower",
    layout="text_emotion.csv: tweet_id, sentiment, author, content",
    licence="open data",
    redistributable=True,
    options=CrowdFlowerOptions,
)
def read_crowdflower(folder: Path, corpus: str, options: CrowdFlowerOptions) -> pl.DataFrame:
    """One row per tweet: 40,000 in the official file, all in split ``all``.

    UTF-8 that was once read as Latin-1 is repaired. Characters that the publisher replaced by U+FFFD are lost, and
    HTML entities (``&lt;3``) are the corpus's own: both stay as they are.

    Raises:
        BadInputError: the file is missing or has a broken row.
        UnknownNameError: a column is missing, or a label that the corpus does not have.
    """
    places = [folder] if folder.is_file() else [folder / "text_emotion.csv"]
    if not places[0].is_file():
        raise no_files("CrowdFlower", places)
    path = places[0]
    table = parse_delimited(path, decode_lenient(path))
    require_columns(path, table.frame.columns, COLUMNS)
    frame = table.frame
    labels = [label.strip().lower() for label in frame["sentiment"]]
    bridged = bridge_labels("crowdflower", labels, {"worry": options.worry})
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/{tweet.strip()}" for tweet in frame["tweet_id"]],
            "split": ["all"] * frame.height,
            "speaker_id": [f"{corpus}/{author}" if author else None for author in frame["author"]],
            "speaker_raw": [author or None for author in frame["author"]],
            "text": [repair_mojibake(text) for text in frame["content"]],
            "language": ["en"] * frame.height,
            "label_raw": labels,
            "emotion": bridged.emotion,
            "label_note": bridged.label_note,
        },
        schema_overrides={"speaker_id": pl.String, "speaker_raw": pl.String},
    )
