"""Which of the asked manifest rows passed a named verdict, worked out once for what it is worked out from."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.feature_table import FEATURES
from feature_repo.named_verdicts import NamedVerdict, outdated, warn_outdated
from feature_repo.training_set import AppliedVerdict

if TYPE_CHECKING:
    from feature_repo.store import Store

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Judged:
    """A verdict on every row of a manifest.

    Attributes:
        made_from: digests and listings of all that the others depend on.
        verdict: the verdict.
        ids: SHA-256 of the ids that passed.
        passed: bool ``[rows]``.
        reason: why not, String ``[rows]``; ``not_judged`` for those that it says nothing of.
        outdated: what it was judged from and is otherwise now, in words.
    """

    made_from: tuple[object, ...]
    verdict: NamedVerdict
    ids: str
    passed: npt.NDArray[np.bool_]
    reason: pl.Series
    outdated: Sequence[str]


def verified_rows(
    store: Store, name: str, manifest: pl.DataFrame, manifest_digest: str, asked: Rows
) -> tuple[Rows, AppliedVerdict]:
    """Those of the asked manifest rows that passed the named verdict, in their order, and what it did.

    A verdict that was judged from other rows than the store holds now is used as it is, after a
    ``StaleVerdictWarning``, which names the line two calls above the caller.

    Args:
        store: the store.
        name: of one of ``Store.verdicts``.
        manifest: all rows.
        manifest_digest: changes whenever the rows do.
        asked: rows of the manifest.

    Raises:
        UnknownNameError: no such verdict.
    """
    known = _known.setdefault(store, {})
    judged = known.get(name)
    if judged is None or judged.made_from != _made_from(store, judged.verdict, manifest_digest):
        judged = known[name] = _judge(store, store.verdicts.load(name), manifest, manifest_digest)
    if judged.outdated:
        warn_outdated(store, judged.verdict, told=judged.outdated, stacklevel=5)
    passed = judged.passed[asked]
    counts = judged.reason.gather(asked[~passed]).alias("reason").value_counts()
    removed = {
        str(reason): int(count)
        for reason, count in counts.sort(["count", "reason"], descending=[True, False]).iter_rows()
    }
    verdict = judged.verdict
    applied = AppliedVerdict(
        name, verdict.values(), verdict.checks_by_corpus(), judged.ids, int(passed.sum()), removed
    )
    return asked[passed], applied


_known: weakref.WeakKeyDictionary[Store, dict[str, _Judged]] = weakref.WeakKeyDictionary()


def _judge(store: Store, verdict: NamedVerdict, manifest: pl.DataFrame, manifest_digest: str) -> _Judged:
    # Before the rest is read: what changes meanwhile is another state, and worked out again the next time.
    made_from = _made_from(store, verdict, manifest_digest)
    rows = manifest.select("utterance_id").join(
        verdict.rows, on="utterance_id", how="left", maintain_order="left"
    )
    passed = rows["passed"].fill_null(False).to_numpy()
    reason = rows["reason"].fill_null("not_judged")
    return _Judged(made_from, verdict, verdict.ids_digest, passed, reason, outdated(store, verdict))


def _made_from(store: Store, verdict: NamedVerdict, manifest_digest: str) -> tuple[object, ...]:
    # Parts never change under their names.
    views = sorted(set(verdict.views.values()))
    listed = tuple(tuple(store.files.list_files(f"{FEATURES}/{view}")) for view in views)
    return store.verdicts.stamp(verdict.name), manifest_digest, store.reviews.stamp(), listed
