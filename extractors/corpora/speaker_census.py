"""Who speaks in a corpus: how labels and people relate in its manifest (papers/000 III-D1a)."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class SpeakerCensus:
    """The speakers of one corpus, as its manifest holds them.

    Attributes:
        corpus: whose they are.
        labels: different speaker labels.
        people: different speaker ids.
        in_dialogue: people who are known in one dialogue only, by their role.
        unlabelled: utterances without a speaker label.
        composites: label that means several people, to its utterances; these have no speaker id.
        split: label that stands for several people, to each one's id and utterances.
        joined: speaker id with several labels (spellings), to each label's utterances.
    """

    corpus: str
    labels: int
    people: int
    in_dialogue: int
    unlabelled: int
    composites: Mapping[str, int]
    split: Mapping[str, Mapping[str, int]]
    joined: Mapping[str, Mapping[str, int]]

    @property
    def names(self) -> int:
        """Labels that mean one person each, wherever they stand."""
        return self.labels - len(self.composites)

    @property
    def composite_utterances(self) -> int:
        """Utterances whose label means several people."""
        return sum(self.composites.values())

    def to_json(self) -> dict[str, object]:
        """All of it, for a program."""
        return {
            "corpus": self.corpus,
            "labels": self.labels,
            "names": self.names,
            "people": self.people,
            "people_of_one_dialogue": self.in_dialogue,
            "utterances_without_label": self.unlabelled,
            "composite_utterances": self.composite_utterances,
            "composites": dict(self.composites),
            "split": {label: dict(people) for label, people in self.split.items()},
            "joined": {person: dict(labels) for person, labels in self.joined.items()},
        }


def speaker_census(manifest: pl.DataFrame) -> list[SpeakerCensus]:
    """Who speaks, by corpus in alphabetical order.

    Args:
        manifest: rows with ``corpus, dialogue_id, speaker_id, speaker_raw``.

    Returns:
        One census a corpus, its lists from the most people, labels or utterances to the fewest.
    """
    return [
        _census(rows["corpus"][0], rows)
        for rows in manifest.sort("corpus").partition_by("corpus", maintain_order=True)
    ]


def _census(corpus: str, rows: pl.DataFrame) -> SpeakerCensus:
    people = rows.drop_nulls("speaker_id")
    named = people.drop_nulls("speaker_raw")
    composites = _counts(rows.filter(pl.col("speaker_id").is_null()).drop_nulls("speaker_raw"), "speaker_raw")
    inside = people.filter(pl.col("speaker_id").str.starts_with(pl.col("dialogue_id") + pl.lit("/")))
    return SpeakerCensus(
        corpus=corpus,
        labels=rows["speaker_raw"].drop_nulls().n_unique(),
        people=people["speaker_id"].n_unique(),
        in_dialogue=inside["speaker_id"].n_unique(),
        unlabelled=rows["speaker_raw"].null_count(),
        composites=composites,
        split=_several(named, "speaker_raw", "speaker_id"),
        joined=_several(named, "speaker_id", "speaker_raw"),
    )


def _several(rows: pl.DataFrame, key: str, value: str) -> dict[str, dict[str, int]]:
    """Keys with more than one value, to each value's rows."""
    repeated = rows.filter(pl.col(value).n_unique().over(key) > 1)
    found = {
        str(group[key][0]): _counts(group, value) for group in repeated.partition_by(key, maintain_order=True)
    }
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _counts(rows: pl.DataFrame, column: str) -> dict[str, int]:
    counts = rows[column].value_counts(name="count")
    return dict(counts.sort(["count", column], descending=[True, False]).iter_rows())
