"""Corpora of acted recordings: the manifest rows that they have in common (CORPORA: acted corpora)."""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from feature_repo.label_bridge import bridge_labels


@dataclass(frozen=True)
class Recording:
    """One acted utterance.

    Attributes:
        name: what its utterance id ends with.
        media: the file.
        label: as the corpus names it.
        speaker: as the corpus names them.
        text: what is said, where that is known.
        language: ISO 639-1.
        split: train, dev, test or all.
        raters: label to the number of those who chose it.
    """

    name: str
    media: Path
    label: str
    speaker: str
    text: str | None = None
    language: str = "en"
    split: str = "all"
    raters: Mapping[str, int] | None = None


def recording_rows(
    corpus: str, rule: str, recordings: Sequence[Recording], policies: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Manifest rows of recordings: no dialogue, no span, the speaker as a person of this corpus.

    Args:
        corpus: what the ids start with.
        rule: the corpus's name in the label bridge.
        recordings: the utterances.
        policies: choices for labels without a place among the seven classes.

    Raises:
        UnknownNameError: a label that the corpus does not have.
    """
    bridged = bridge_labels(rule, [item.label for item in recordings], policies)
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/{item.name}" for item in recordings],
            "split": [item.split for item in recordings],
            "speaker_id": [f"{corpus}/{item.speaker}" for item in recordings],
            "speaker_raw": [item.speaker for item in recordings],
            "text": [item.text for item in recordings],
            "language": [item.language for item in recordings],
            "label_raw": [item.label for item in recordings],
            "emotion": bridged.emotion,
            "label_note": bridged.label_note,
            "media_uri": [str(item.media) for item in recordings],
            "rater_counts": [
                json.dumps(dict(sorted(item.raters.items()))) if item.raters else None for item in recordings
            ],
        },
        schema_overrides=dict.fromkeys(("text", "rater_counts"), pl.String),
    )


def tell_without_text(corpus: str, recordings: Sequence[Recording], remedy: str) -> None:
    """Warn of utterances whose words are not known; their text stays null and is never made up.

    Args:
        corpus: the corpus's name.
        recordings: its utterances.
        remedy: where the words could come from.
    """
    count = sum(item.text is None for item in recordings)
    if count:
        warnings.warn(f"{corpus}: {count:,} of {len(recordings):,} have no text; {remedy}", stacklevel=3)
