"""A protocol applied to a training set: which rows train, which select, which are scored, and that they are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import AffectStoreError
from feature_repo.splits import PARTS

Index = npt.NDArray[np.int64]
NO_LABEL = "no label in the scheme"


class LeakageError(AffectStoreError):
    """Rows that are scored or selected on were also trained on."""


@dataclass(frozen=True)
class Split:
    """One fold: row indices of the three parts, which never meet.

    Attributes:
        fold: number of the fold, from 0.
        train: rows to fit.
        validation: rows to stop and select on.
        test: rows to score.
        tested: what the fold tests, where it has a name: the corpus that is left out.
    """

    fold: int
    train: Index
    validation: Index
    test: Index
    tested: str = ""

    @classmethod
    def of(cls, fold: int, parts: Mapping[str, Index], tested: str = "") -> Split:
        """A fold of its three parts by name."""
        return cls(fold, parts["train"], parts["validation"], parts["test"], tested)

    def parts(self) -> dict[str, Index]:
        """The three parts by name."""
        return {name: getattr(self, name) for name in PARTS}


@dataclass(frozen=True)
class Plan:
    """A protocol applied to a training set.

    Attributes:
        protocol: name of the protocol.
        splits: one per fold.
        by_speaker: whether no speaker is in two parts of a fold.
        left_out: rows in no part, by reason.
        identity: what else decides who is in which part, as plain JSON data: it is part of a run's key.
    """

    protocol: str
    splits: tuple[Split, ...]
    by_speaker: bool
    left_out: dict[str, int] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)


def check_apart(parts: dict[str, npt.NDArray[np.object_]], what: str, fold: int) -> None:
    """Refuse parts that share a value.

    Raises:
        LeakageError: names the parts and a shared value.
    """
    names = list(parts)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            shared = set(parts[one]) & set(parts[other])
            if shared:
                raise LeakageError(
                    f"fold {fold}: {len(shared)} {what}(s) such as {str(min(shared))!r} are in {one} and in {other}"
                )


def known_speakers(manifest: pl.DataFrame, rows: Index) -> npt.NDArray[np.object_]:
    """The speakers of rows that have one: nobody knows whether two others are the same."""
    speakers: npt.NDArray[np.object_] = manifest["speaker_id"][rows.tolist()].drop_nulls().to_numpy()
    return speakers


def told(labels: npt.NDArray[np.int64], reasons: Mapping[str, int]) -> dict[str, int]:
    """How many rows are in no part by reason, those without a class first; reasons without a row are left out."""
    counts = {NO_LABEL: int((labels < 0).sum()), **reasons}
    return {reason: count for reason, count in counts.items() if count}
