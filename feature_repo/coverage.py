"""Coverage: what each utterance's row in a view is worth now: present, nothing, stale, faulted or missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.content import subjects
from feature_repo.part import TOMBSTONE

if TYPE_CHECKING:
    from feature_repo.store import Store

# present: the live row has the wanted content; nothing: so it has, and it says that there is nothing to embed;
# stale: the live row is of an older content; faulted: the wanted content failed; missing: not computed yet;
# inapplicable: the recipe asks nothing of this utterance (no such medium, another language, no search called for).
STATES = ("present", "nothing", "stale", "faulted", "missing", "inapplicable")

# Modalities that a derivation computes for the utterances that need it: what it did not ask for is not missing.
ON_DEMAND = ("offsets",)


@dataclass(frozen=True)
class ViewCoverage:
    """How many of one corpus's utterances, or speakers, are in each state in one view."""

    view: str
    corpus: str
    counts: dict[str, int]

    @property
    def applicable(self) -> int:
        """Utterances that the recipe asks something of."""
        return sum(self.counts.values()) - self.counts["inapplicable"]


def utterance_states(store: Store, view: str, manifest: pl.DataFrame) -> pl.DataFrame:
    """The manifest's (utterance_id, corpus) with the live row's ``part`` and ``row`` and a ``state`` of ``STATES``.

    Rows keep the manifest's order; ``part`` and ``row`` are null where there is no live row. For a speaker's table
    there is one row for each speaker of the manifest's rows, whose id stands in ``utterance_id``.
    """
    table = store.table(view)
    key = pl.col("content_key")
    live = (
        table.index()
        .filter(key != TOMBSTONE)
        .select("utterance_id", pl.col("content_key").alias("live_key"), "note", "n", "part", "row")
    )
    wanted = store.wanted_in(table.recipe, manifest)
    faults = store.faults.entries(view).select("utterance_id", "content_key", failed=pl.lit(True))
    joined = (
        subjects(table.recipe, manifest)
        .join(wanted, on="utterance_id", how="left", maintain_order="left")
        .join(live, on="utterance_id", how="left", maintain_order="left")
        .join(faults, on=["utterance_id", "content_key"], how="left", maintain_order="left")
    )
    current = pl.col("live_key") == key
    state = (
        pl.when(key.is_null())
        .then(pl.lit("inapplicable"))
        .when(current & (pl.col("n") == 0))
        .then(pl.lit("nothing"))
        .when(current)
        .then(pl.lit("present"))
        .when(pl.col("failed").is_not_null())
        .then(pl.lit("faulted"))
        .when(pl.col("live_key").is_not_null())
        .then(pl.lit("stale"))
        .otherwise(pl.lit("inapplicable" if table.recipe.modality in ON_DEMAND else "missing"))
    )
    return joined.with_columns(state=state).select(
        "utterance_id", "corpus", "content_key", "note", "part", "row", "state"
    )


def coverage(store: Store, views: list[str] | None = None) -> list[ViewCoverage]:
    """Coverage of every view and corpus, corpora that a view asks nothing of left out."""
    manifest = store.manifest()
    found = []
    for view in store.views() if views is None else views:
        counted = utterance_states(store, view, manifest).group_by("corpus", "state").len()
        for corpus in counted["corpus"].unique().sort():
            of_corpus = dict(counted.filter(pl.col("corpus") == corpus).select("state", "len").iter_rows())
            entry = ViewCoverage(view, str(corpus), {state: int(of_corpus.get(state, 0)) for state in STATES})
            if entry.applicable:
                found.append(entry)
    return found
