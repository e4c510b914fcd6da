"""Corpora of still pictures of faces: the manifest rows that they have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from feature_repo.label_bridge import bridge_labels


@dataclass(frozen=True)
class Still:
    """A picture of one face.

    Attributes:
        name: what its utterance id ends with.
        image: the file, or where it should be.
        label: as the corpus names it.
        split: train, dev, test or all.
        subject: who is shown, where the corpus tells.
        sequence: the series that the picture is from, where there is one.
        note: how it came by its label, where that is not the label bridge's matter.
    """

    name: str
    image: Path
    label: str
    split: str = "all"
    subject: str | None = None
    sequence: str | None = None
    note: str | None = None


def still_rows(
    corpus: str, rule: str, stills: Sequence[Still], policies: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Manifest rows of pictures: no text, no span, a series as the dialogue.

    Args:
        corpus: what the ids start with.
        rule: the corpus's name in the label bridge.
        stills: the pictures.
        policies: choices for labels without a place among the seven classes.

    Raises:
        UnknownNameError: a label that the corpus does not have.
    """
    bridged = bridge_labels(rule, [still.label for still in stills], policies)
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/{still.name}" for still in stills],
            "split": [still.split for still in stills],
            "dialogue_id": [f"{corpus}/{still.sequence}" if still.sequence else None for still in stills],
            "speaker_id": [f"{corpus}/{still.subject}" if still.subject else None for still in stills],
            "speaker_raw": [still.subject for still in stills],
            "label_raw": [still.label for still in stills],
            "emotion": bridged.emotion,
            "label_note": [
                still.note or note for still, note in zip(stills, bridged.label_note, strict=True)
            ],
            "media_uri": [str(still.image) for still in stills],
        },
        schema_overrides=dict.fromkeys(("dialogue_id", "speaker_id", "speaker_raw", "label_note"), pl.String),
    )
