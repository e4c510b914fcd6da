"""What a verdict left of each corpus: Table I's counterpart, the funnel of first reasons, and counts by emotion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from feature_repo.measures import Measures
from feature_repo.quality_config import CHECKS, QualityConfig
from feature_repo.verdict import REASONS, UNMEASURED, check_of

_SPLITS = ("train", "dev", "test", "all")  # papers/000 Table I's order
TOTAL = "total"


@dataclass(frozen=True)
class Composition:
    """One corpus before and after.

    Attributes:
        corpus: its name.
        checks: the checks that decided.
        splits: ``split, original, verified, unmeasured``; the last row is the total where there are several splits.
        funnel: ``reason, check, removed, left``, in the paper's order, of the checks that decided; what was not
            measured comes last, where there is any.
        emotions: ``emotion, split, original, verified``; a row for each pair that occurs, the commonest emotion first.
        unmeasured: check to how many of the unmeasured utterances lack its measure.
        unsearched: utterances removed for want of a matching face around whose frames nobody looked.
    """

    corpus: str
    checks: tuple[str, ...]
    splits: pl.DataFrame
    funnel: pl.DataFrame
    emotions: pl.DataFrame
    unmeasured: dict[str, int]
    unsearched: int

    @property
    def original(self) -> int:
        """Utterances before."""
        return int(self.splits["original"][-1])

    @property
    def verified(self) -> int:
        """Utterances that passed."""
        return int(self.splits["verified"][-1])


def compositions(measures: Measures, judged: pl.DataFrame, config: QualityConfig) -> list[Composition]:
    """Each corpus of the measures before and after the verdict, by name."""
    known = measures.frame.select("utterance_id", "corpus", "split", "emotion")
    rows = known.join(
        judged.select("utterance_id", "passed", "reason", "unmeasured", "unsearched"), on="utterance_id"
    )
    return [
        _composition(str(corpus), config.checks(str(corpus)), of_corpus)
        for (corpus,), of_corpus in rows.sort("corpus").group_by("corpus", maintain_order=True)
    ]


def _composition(corpus: str, checks: Sequence[str], rows: pl.DataFrame) -> Composition:
    lacking = rows.filter(pl.col("reason") == UNMEASURED)
    counted = lacking["unmeasured"].explode().value_counts() if lacking.height else pl.DataFrame()
    by_check = dict(counted.iter_rows()) if counted.height else {}
    return Composition(
        corpus,
        tuple(checks),
        _splits(rows),
        _funnel(rows, checks),
        _emotions(rows),
        {check: int(by_check[check]) for check in CHECKS if check in by_check},
        rows.filter("unsearched", pl.col("reason").is_in(["no_face", "no_match"])).height,
    )


def _splits(rows: pl.DataFrame) -> pl.DataFrame:
    counts = [
        pl.len().cast(pl.Int64).alias("original"),
        pl.col("passed").sum().cast(pl.Int64).alias("verified"),
        (pl.col("reason") == UNMEASURED).sum().cast(pl.Int64).alias("unmeasured"),
    ]
    found = rows.group_by("split").agg(counts).sort(pl.col("split").replace_strict(_rank(_SPLITS)))
    if found.height == 1:
        return found
    return pl.concat([found, rows.select(pl.lit(TOTAL).alias("split"), *counts)])


def _funnel(rows: pl.DataFrame, checks: Sequence[str]) -> pl.DataFrame:
    counts = dict(rows["reason"].drop_nulls().value_counts().iter_rows())
    left = rows.height
    steps = []
    for reason in REASONS:
        removed = int(counts.get(reason, 0))
        if check_of(reason) in checks or (reason == UNMEASURED and removed):
            left -= removed
            steps.append((reason, check_of(reason), removed, left))
    schema = {"reason": pl.String, "check": pl.String, "removed": pl.Int64, "left": pl.Int64}
    return pl.DataFrame(steps, schema=schema, orient="row")


def _emotions(rows: pl.DataFrame) -> pl.DataFrame:
    named = rows.with_columns(pl.col("emotion").fill_null("none"))
    sizes = named["emotion"].value_counts().sort(["count", "emotion"], descending=[True, False])
    counts = [
        pl.len().cast(pl.Int64).alias("original"),
        pl.col("passed").sum().cast(pl.Int64).alias("verified"),
    ]
    return (
        named.group_by("emotion", "split")
        .agg(counts)
        .sort(
            pl.col("emotion").replace_strict(_rank(sizes["emotion"].to_list())),
            pl.col("split").replace_strict(_rank(_SPLITS)),
        )
    )


def _rank(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}
