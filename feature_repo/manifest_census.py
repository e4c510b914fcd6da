"""The unified manifest in counts: by corpus and domain, split, language, speaker and emotion (papers/003 section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from feature_repo.corpus_domains import domains_of
from feature_repo.labels import EMOTIONS
from feature_repo.manifest import SPLITS

# papers/003 section 1.4: utterances before any label policy; 106,256 in all, 92,548 of them acted.
PAPER_SIZES = {
    "cremad": 7_442,
    "emovdb": 6_893,
    "esd": 35_000,
    "iemocap": 10_039,
    "mead": 31_734,
    "meld": 13_708,
    "ravdess": 1_440,
}
LEFT_OUT = (
    "left out"  # a label that the seven classes have no place for, by rule or by policy, or none at all
)


@dataclass(frozen=True)
class Census:
    """Counts of utterances; every table is sorted by corpus.

    Attributes:
        corpora: ``corpus, domain, utterances`` (before label policies), ``labelled`` (with one of the seven
            emotions), one column for each split, ``speakers, no_speaker`` (utterances whose speaker nobody knows),
            ``dialogues`` (of two turns or more), ``languages, paper`` (papers/003 section 1.4, null where it has none).
        emotions: ``corpus, emotion, utterances``; emotion ``left out`` where there is none.
        languages: ``corpus, language, utterances, labelled``; language null where nobody says.
        speakers: ``corpus, speaker_id, utterances, labelled``, those who say most first, null (nobody knows) last.
    """

    corpora: pl.DataFrame
    emotions: pl.DataFrame
    languages: pl.DataFrame
    speakers: pl.DataFrame

    def totals(self) -> pl.DataFrame:
        """The counts of ``corpora`` by domain and, last, of all (domain null); speakers and dialogues add up.

        ``paper`` is that of the paper's corpora that are there, null if none is.
        """
        counts = [name for name, kind in self.corpora.schema.items() if kind.is_integer()]
        known = pl.col("paper").is_not_null().any()
        sums = [pl.col(name).sum() for name in counts if name != "paper"]
        sums.append(pl.when(known).then(pl.col("paper").sum()).alias("paper"))
        by_domain = self.corpora.group_by("domain").agg(sums).sort("domain")
        whole = self.corpora.select(pl.lit(None, pl.String).alias("domain"), *sums)
        return pl.concat([by_domain, whole], how="vertical_relaxed").select("domain", *counts)


def census(manifest: pl.DataFrame, domains: Mapping[str, str] | None = None) -> Census:
    """Count what a manifest holds.

    Args:
        manifest: rows of any corpora.
        domains: corpus to domain, where it is another than its name tells.

    Raises:
        UnknownNameError: a domain of a corpus that is not there, or one that there is not.
    """
    found = domains_of(manifest["corpus"].unique(), domains)
    rows = manifest.with_columns(
        domain=pl.col("corpus").replace_strict(found, default=None, return_dtype=pl.String),
        turns=pl.len().over("corpus", "dialogue_id"),
    )
    utterances = pl.len().cast(pl.Int64).alias("utterances")
    labelled = pl.col("emotion").is_not_null().sum().cast(pl.Int64).alias("labelled")
    corpora = (
        rows.group_by("corpus")
        .agg(
            pl.col("domain").first(),
            utterances,
            labelled,
            *((pl.col("split") == split).sum().cast(pl.Int64).alias(split) for split in SPLITS),
            speakers=pl.col("speaker_id").drop_nulls().n_unique().cast(pl.Int64),
            no_speaker=pl.col("speaker_id").is_null().sum().cast(pl.Int64),
            dialogues=pl.col("dialogue_id").filter(pl.col("turns") > 1).n_unique().cast(pl.Int64),
            languages=pl.col("language").drop_nulls().unique().sort(),
        )
        .with_columns(paper=pl.col("corpus").replace_strict(PAPER_SIZES, default=None, return_dtype=pl.Int64))
        .sort("corpus")
    )
    return Census(
        corpora,
        rows.group_by("corpus", pl.col("emotion").fill_null(LEFT_OUT))
        .agg(utterances)
        .sort("corpus", "emotion"),
        rows.group_by("corpus", "language").agg(utterances, labelled).sort("corpus", "language"),
        rows.group_by("corpus", "speaker_id")
        .agg(utterances, labelled)
        .sort(
            "corpus",
            pl.col("speaker_id").is_null(),
            "utterances",
            "speaker_id",
            descending=[False, False, True, False],
        ),
    )


def emotion_columns(emotions: pl.Series) -> list[str]:
    """Emotions in the order of the label scheme, then any others, then those left out."""
    there = set(emotions)
    known = [name for name in EMOTIONS if name in there]
    others = sorted(there - set(EMOTIONS) - {LEFT_OUT})
    return [*known, *others, *([LEFT_OUT] if LEFT_OUT in there else [])]
