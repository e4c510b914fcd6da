"""Leakage: what the parts of a split share that would let a model be scored on what it was trained on.

A speaker (where the split promises none), a dialogue or an identical recording in two parts is a leak. Texts that
recur, and speakers where an official split lets them recur, are counted and told: corpora are published so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from feature_repo.splits import PARTS, SavedSplit

KINDS = ("speaker", "dialogue", "recording")
# Rules of a corpus under which nobody speaks in two parts; a corpus that is whole in one part is apart by itself.
APART = ("speaker", "train", "validation", "test")
_SHOWN = 3  # utterance ids of a leak


@dataclass(frozen=True)
class Leak:
    """One thing that stands in several parts.

    Attributes:
        kind: ``speaker``, ``dialogue`` or ``recording``.
        value: who or what: the speaker's or dialogue's id; of a recording its file and span.
        corpora: where its utterances come from.
        rows: utterances of it by part.
        examples: one utterance id of each part.
    """

    kind: str
    value: str
    corpora: tuple[str, ...]
    rows: Mapping[str, int]
    examples: tuple[str, ...]


@dataclass(frozen=True)
class LeakageReport:
    """What :func:`check_leakage` found.

    Attributes:
        leaks: what must not be, by kind and value.
        recurring: per corpus what is told of its test part: ``corpus, promised`` (no speaker in two parts),
            ``test_speakers, speakers_in_train, no_speaker`` (test utterances whose speaker nobody knows), ``test,
            texts_in_own_train, texts_in_train``: test utterances, and those of them whose text stands verbatim in a
            training utterance of the same corpus, and of any.
        unknown: utterances of the split that no manifest has any more.
        new: utterances of its corpora that the split does not know.
    """

    leaks: tuple[Leak, ...]
    recurring: pl.DataFrame
    unknown: int
    new: int


def recording_key(prefix: str = "") -> pl.Expr:
    """What tells identical recordings: the file's digest (its URI where it can't be read) and the span; else null.

    Empty files are all alike and nobody's voice: they have no key.

    Args:
        prefix: put before it.
    """
    span = [pl.col(name).cast(pl.String).fill_null("") for name in ("start_s", "end_s")]
    key = pl.concat_str(
        [pl.lit(prefix), pl.coalesce("media_digest", "media_uri"), *span], separator="|"
    )  # null where there is no file
    return pl.when(pl.col("media_size").is_null() | (pl.col("media_size") > 0)).then(key)


def check_leakage(split: SavedSplit, manifest: pl.DataFrame) -> LeakageReport:
    """Hold a split against what the manifest says of its utterances.

    Args:
        split: the split.
        manifest: the store's rows, those of other corpora too.
    """
    rules = split.made.get("rules", {})
    promised = [corpus for corpus in split.corpora if rules.get(corpus) in APART]
    own = manifest.filter(pl.col("corpus").is_in(split.corpora))
    parts = split.rows.select("utterance_id", "part")
    rows = own.join(parts, on="utterance_id", how="inner").with_columns(recording=recording_key())
    apart = rows.filter(pl.col("speaker_id").is_not_null())
    # A person of a corpus that promises it is in one part, whatever the other corpora promise.
    people = apart.filter(pl.col("corpus").is_in(promised))["speaker_id"].unique().implode()
    apart = apart.filter(pl.col("speaker_id").is_in(people))
    dialogues = rows.with_columns(dialogue=pl.concat_str("corpus", "dialogue_id", separator=": "))
    leaks = [
        *_shared(apart, "speaker", "speaker_id"),
        *_shared(dialogues, "dialogue", "dialogue"),
        *_shared(rows, "recording", "recording"),
    ]
    return LeakageReport(
        tuple(leaks),
        _recurring(rows, promised),
        unknown=split.rows.height - rows.height,
        new=own.height - rows.height,
    )


def _shared(rows: pl.DataFrame, kind: str, column: str) -> list[Leak]:
    """Values of the column in two parts or more, sorted."""
    known = rows.drop_nulls(column)
    several = known.group_by(column).agg(pl.col("part").n_unique().alias("parts"))
    several = several.filter(pl.col("parts") > 1)
    found = known.join(several, on=column, how="semi").sort(column, "utterance_id")
    leaks = []
    for (value,), group in found.group_by(column, maintain_order=True):
        counts = dict(group.group_by("part").len().iter_rows())
        there = [part for part in PARTS if part in counts]
        firsts = [group.filter(pl.col("part") == part)["utterance_id"][0] for part in there]
        leaks.append(
            Leak(
                kind,
                _told(kind, str(value), group),
                tuple(group["corpus"].unique().sort()),
                {part: counts[part] for part in there},
                tuple(firsts),
            )
        )
    return leaks


def _told(kind: str, value: str, group: pl.DataFrame) -> str:
    if kind == "dialogue":
        return str(group["dialogue_id"][0])
    if kind == "recording":
        row = group.row(0, named=True)
        start, end = (None if row[name] is None else f"{row[name]:g} s" for name in ("start_s", "end_s"))
        return " ".join(filter(None, (row["media_uri"], start and f"from {start}", end and f"to {end}")))
    return value


def _recurring(rows: pl.DataFrame, promised: list[str]) -> pl.DataFrame:
    train = rows.filter(pl.col("part") == "train")
    texts, people = (train[name].drop_nulls().unique().implode() for name in ("text", "speaker_id"))
    own = train.select("corpus", "text").unique().with_columns(own_text=pl.lit(True))
    spoken = pl.col("text") != ""
    test = rows.filter(pl.col("part") == "test").join(own, on=["corpus", "text"], how="left")
    test = test.with_columns(
        own_text=(spoken & pl.col("own_text")).fill_null(False),
        known_text=(spoken & pl.col("text").is_in(texts)).fill_null(False),
        known_speaker=pl.col("speaker_id").is_in(people).fill_null(False),
    )
    speaker = pl.col("speaker_id")
    return (
        test.group_by("corpus")
        .agg(
            promised=pl.col("corpus").first().is_in(promised),
            test_speakers=speaker.drop_nulls().n_unique(),
            speakers_in_train=speaker.filter("known_speaker").n_unique(),
            no_speaker=speaker.is_null().sum(),
            test=pl.len(),
            texts_in_own_train=pl.col("own_text").sum(),
            texts_in_train=pl.col("known_text").sum(),
        )
        .sort("corpus")
    )
