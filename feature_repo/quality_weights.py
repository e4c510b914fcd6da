"""Weights by quality: how far an utterance falls short of a verdict's thresholds, for training that drops nobody.

papers/003 names quality-weighted training as future work and gives no formula; this one is ours:

    weight = product over the corpus's checks of clip(measure / threshold, FLOOR, 1)

so that what reaches every threshold weighs 1, and what has half of one a half. Graded are the transcript's cosine and
Levenshtein similarity and the best face's similarity. A check without a degree (off screen, no face, an empty
transcript, sound that is silent) counts FLOOR where it failed first. What was not measured weighs 1: nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.recipe import digest
from feature_repo.records import live_rows
from feature_repo.verdict import UNMEASURED

if TYPE_CHECKING:
    from feature_repo.named_verdicts import NamedVerdict
    from feature_repo.store import Store

# Assumed. Not 0: a measure is no proof, and a row of weight 0 might as well be dropped.
FLOOR = 0.1
# Measure -> (its check, the reason that it gives, how its threshold's key begins and ends).
_GRADED = {
    "cosine": ("alignment", "cosine", "text.", ".cosine"),
    "levenshtein": ("alignment", "levenshtein", "alignment.", ".levenshtein"),
    "similarity": ("face", "no_match", "face.", ".similarity"),
}


@dataclass(frozen=True)
class QualityWeights:
    """Weights of utterances by a verdict's measures.

    Attributes:
        name: the verdict's.
        rows: ``utterance_id, weight`` (float32); an utterance that is not there weighs 1.
    """

    name: str
    rows: pl.DataFrame

    def of(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """The weight of each utterance, float32 ``[ids]``."""
        asked = pl.DataFrame({"utterance_id": pl.Series(ids, dtype=pl.String)})
        found = asked.join(self.rows, on="utterance_id", how="left", maintain_order="left")
        return found["weight"].fill_null(1.0).to_numpy().astype(np.float32)

    def identity(self, ids: Sequence[str]) -> dict[str, Any]:
        """What a run over these utterances records of it: the verdict's name and a digest of their weights."""
        return {"name": self.name, "weights": digest([round(float(weight), 6) for weight in self.of(ids)])}


def quality_weights(store: Store, name: str) -> QualityWeights:
    """The weights that a named verdict's stored measures give.

    Args:
        store: the store.
        name: of a verdict of ``Store.verdicts`` that was judged here.

    Raises:
        UnknownNameError: no such verdict, or one of its views is gone.
        BadInputError: a list from elsewhere, which has no measures.
    """
    verdict = store.verdicts.load(name)
    if not verdict.views:
        raise BadInputError(
            f"verdict {name!r} is {verdict.origin} and has no measures to weigh by; allowed: one that was judged here,"
            " `affectstore quality --save NAME`"
        )
    frame = verdict.rows.join(
        store.manifest().select("utterance_id", "corpus"),
        on="utterance_id",
        how="left",
        maintain_order="left",
    )
    frame = _measured(store, verdict, frame)
    return QualityWeights(name, weighed(frame, verdict.checks, _limits(verdict)))


def weighed(
    frame: pl.DataFrame, checks: Mapping[str, Sequence[str]], limits: Mapping[str, float]
) -> pl.DataFrame:
    """``utterance_id, weight`` of each row.

    Args:
        frame: ``utterance_id, corpus, reason`` (a code of ``verdict.REASONS``, null where it passed), and the measures
            that there are of ``cosine``, ``levenshtein`` and ``similarity``, null where a row has none.
        checks: corpus to the checks that decide in it.
        limits: measure to threshold.
    """
    factors = [pl.lit(1.0, pl.Float32)]
    short_by_degree = pl.lit(False)
    for measure, (check, reason, *_) in _GRADED.items():
        if measure not in frame.columns or measure not in limits:
            continue
        asked = pl.col("corpus").is_in([corpus for corpus, its in checks.items() if check in its])
        factor = (
            pl.when(asked).then(_degree(pl.col(measure).cast(pl.Float32), limits[measure])).fill_null(1.0)
        )
        factors.append(factor)
        short_by_degree = short_by_degree | ((pl.col("reason") == reason) & pl.col(measure).is_not_null())
    failed = pl.col("reason").is_not_null() & (pl.col("reason") != UNMEASURED)
    factors.append(pl.when(failed & ~short_by_degree.fill_null(False)).then(FLOOR).otherwise(1.0))
    weight = factors[0]
    for factor in factors[1:]:
        weight = weight * factor
    return frame.select("utterance_id", weight=weight.cast(pl.Float32))


def _degree(measure: pl.Expr, limit: float) -> pl.Expr:
    """From FLOOR to 1, in float32 as measures are stored, so that one at its threshold gives exactly 1."""
    if limit <= 0:  # a share of nothing
        return pl.when(measure.is_not_null()).then(
            pl.when(measure >= pl.lit(limit, pl.Float32)).then(1.0).otherwise(FLOOR)
        )
    return (measure / pl.lit(limit, pl.Float32)).clip(FLOOR, 1.0)


def _measured(store: Store, verdict: NamedVerdict, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the measures that the verdict's views have."""
    for slot, columns in (("alignment", ("cosine", "levenshtein")), ("match", ("similarity",))):
        if slot in verdict.views:
            rows = live_rows(store, verdict.views[slot], columns=list(columns))
            frame = frame.join(
                rows.select("utterance_id", *columns), on="utterance_id", how="left", maintain_order="left"
            )
    if "offsetmatch" in verdict.views and "similarity" in frame.columns:
        around = live_rows(store, verdict.views["offsetmatch"], columns=["similarity"])
        around = around.select("utterance_id", around="similarity")
        frame = frame.join(around, on="utterance_id", how="left", maintain_order="left")
        frame = frame.with_columns(similarity=pl.max_horizontal("similarity", "around")).drop("around")
    return frame


def _limits(verdict: NamedVerdict) -> dict[str, float]:
    return {
        measure: float(told["value"])
        for measure, (_, _, begin, end) in _GRADED.items()
        for key, told in verdict.thresholds.items()
        if key.startswith(begin) and key.endswith(end)
    }
