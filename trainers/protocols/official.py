"""The corpus's own splits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError
from trainers.protocols.plan import Plan, Split, told

# Our part: what a manifest calls it.
OFFICIAL = {"train": "train", "validation": "dev", "test": "test"}


def official(
    manifest: pl.DataFrame, labels: npt.NDArray[np.int64], *, folds: int = 1, validation_share: float = 0.2
) -> Plan:
    """The corpus's own splits: fit on train, select on dev, score on test; one fold, and speakers may recur.

    Args:
        manifest: the training set's rows.
        labels: class index per row, -1 without a class.
        folds: not used; the corpus decides.
        validation_share: not used; the corpus decides.

    Raises:
        BadInputError: a split without rows, as in corpora that have none.
    """
    labelled = labels >= 0
    split = manifest["split"].to_numpy()
    parts = {ours: np.flatnonzero(labelled & (split == theirs)) for ours, theirs in OFFICIAL.items()}
    for ours, rows in parts.items():
        if not len(rows):
            corpora = ", ".join(sorted(manifest["corpus"].unique()))
            raise BadInputError(
                f"protocol 'official' finds no labelled row of split {OFFICIAL[ours]!r} in {corpora or 'no corpus'};"
                " allowed for corpora without splits: speaker-folds"
            )
    elsewhere = labelled & ~np.isin(split, list(OFFICIAL.values()))
    return Plan(
        "official", (Split.of(0, parts),), False, told(labels, {"no official split": int(elsewhere.sum())})
    )
