"""Which rows of the manifest a caller means: by ids, by a selection, by a named verdict."""

from __future__ import annotations

import hashlib
import io
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.manifest import MANIFEST_SCHEMA, read_rows
from feature_repo.manifest_store import MANIFEST
from feature_repo.named_verdicts import warn_outdated
from feature_repo.selection import Selection
from feature_repo.training_set import AppliedVerdict

if TYPE_CHECKING:
    from feature_repo.store import Store

Rows = npt.NDArray[np.int64]

_SHOWN = 3  # ids named in an error


def current_manifest(store: Store) -> tuple[pl.DataFrame, str]:
    """All manifest rows, and a digest of their files; parsed again only when the files changed."""
    files = [store.files.read(f"{MANIFEST}/{corpus}.parquet") for corpus in store.corpora()]
    state = hashlib.blake2b()
    for data in files:
        state.update(b"%d:" % len(data))
        state.update(data)
    known = _manifests.get(store)
    if known is None or known[1] != state.hexdigest():
        try:
            frames = [read_rows(pl.read_parquet(io.BytesIO(data))) for data in files]
        except pl.exceptions.PolarsError:
            store.manifests.read()  # tells which file is damaged, and what to do
            raise
        rows = pl.concat(frames) if frames else pl.DataFrame(schema=MANIFEST_SCHEMA)
        known = _manifests[store] = rows, state.hexdigest()
    return known


_manifests: weakref.WeakKeyDictionary[Store, tuple[pl.DataFrame, str]] = weakref.WeakKeyDictionary()


def asked_rows(
    store: Store, manifest: pl.DataFrame, ids: Sequence[str] | None, where: Selection | str | None
) -> Rows:
    """Manifest rows that are asked for, in the order of the ids, of the manifest without ids.

    Raises:
        UnknownNameError: the selection names what does not exist.
        BadInputError: ids that are unknown or repeated.
    """
    chosen = Selection.of(where)
    selected = None
    if chosen != Selection():
        selected = chosen.rows(manifest, store).to_numpy().astype(np.int64)
    if ids is None:
        return np.arange(manifest.height) if selected is None else selected
    rows = rows_of(manifest, ids)
    return rows if selected is None else rows[np.isin(rows, selected)]


def rows_of(manifest: pl.DataFrame, ids: Sequence[str]) -> Rows:
    """Manifest rows of the ids, in their order.

    Raises:
        BadInputError: ids that are unknown or repeated.
    """
    asked = pl.DataFrame({"utterance_id": pl.Series(ids, dtype=pl.String)})
    known = manifest.select("utterance_id", row=pl.int_range(pl.len(), dtype=pl.Int64))
    found = asked.join(known, on="utterance_id", how="left", maintain_order="left")
    if found["row"].null_count():
        raise BadInputError(f"ids that no manifest has: {_shown(found.filter(pl.col('row').is_null()))}")
    rows = found["row"].to_numpy()
    if np.bincount(rows, minlength=1).max() > 1:
        repeated = found.filter(pl.col("row").is_duplicated()).unique("row", maintain_order=True)
        raise BadInputError(f"ids asked for more than once: {_shown(repeated)}")
    return rows


def verified_rows(
    store: Store, name: str, manifest: pl.DataFrame, asked: Rows
) -> tuple[Rows, AppliedVerdict]:
    """Those of the asked manifest rows that passed the named verdict, in their order, and what it did.

    A verdict that was judged from other rows than the store holds now is used as it is, after a
    ``StaleVerdictWarning``, which names the line two calls above the caller.

    Raises:
        UnknownNameError: no such verdict.
    """
    verdict = store.verdicts.load(name)
    warn_outdated(store, verdict, stacklevel=5)
    rows = (
        manifest[asked]
        .select("utterance_id")
        .join(verdict.rows, on="utterance_id", how="left", maintain_order="left")
    )
    passed = rows["passed"].fill_null(False)
    reasons = rows.filter(~passed)["reason"].fill_null("not_judged")
    counts = reasons.value_counts().sort(["count", "reason"], descending=[True, False])
    removed = {str(reason): int(count) for reason, count in counts.iter_rows()}
    identity = verdict.identity()
    applied = AppliedVerdict(
        name, identity["thresholds"], identity["checks"], identity["ids"], int(passed.sum()), removed
    )
    return asked[passed.to_numpy()], applied


def _shown(frame: pl.DataFrame) -> str:
    named = ", ".join(repr(value) for value in frame["utterance_id"].head(_SHOWN))
    return named + (f" and {frame.height - _SHOWN} more" if frame.height > _SHOWN else "")
