"""Which rows of the manifest a caller means: by ids, by a selection."""

from __future__ import annotations

import hashlib
import io
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.manifest import MANIFEST_SCHEMA, read_rows
from feature_repo.manifest_store import MANIFEST
from feature_repo.selection import Selection

if TYPE_CHECKING:
    from feature_repo.store import Store

Rows = npt.NDArray[np.int64]

_SHOWN = 3  # ids named in an error
_FEW = 10  # times as many rows as ids: these are few


def current_manifest(store: Store) -> tuple[pl.DataFrame, str]:
    """All manifest rows, and a digest of their files; parsed again only when the files changed."""
    files = [store.files.read(f"{MANIFEST}/{corpus}.parquet") for corpus in store.corpora()]
    known = _manifests.get(store)
    if known is None or known.files != files:  # compared and not hashed, which takes longer than to read them
        state = hashlib.blake2b()
        for data in files:
            state.update(b"%d:" % len(data))
            state.update(data)
        try:
            frames = [read_rows(pl.read_parquet(io.BytesIO(data))) for data in files]
        except pl.exceptions.PolarsError:
            store.manifests.read()  # tells which file is damaged, and what to do
            raise
        rows = pl.concat(frames) if frames else pl.DataFrame(schema=MANIFEST_SCHEMA)
        known = _manifests[store] = _Manifest(files, rows, state.hexdigest())
    return known.rows, known.digest


@dataclass(frozen=True)
class _Manifest:
    files: list[bytes]
    rows: pl.DataFrame
    digest: str


_manifests: weakref.WeakKeyDictionary[Store, _Manifest] = weakref.WeakKeyDictionary()


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
    if (
        len(asked) * _FEW < manifest.height
    ):  # a join over the whole manifest costs more than to look for a few
        known = known.filter(pl.col("utterance_id").is_in(asked["utterance_id"].implode()))
    found = asked.join(known, on="utterance_id", how="left", maintain_order="left")
    if found["row"].null_count():
        raise BadInputError(f"ids that no manifest has: {_shown(found.filter(pl.col('row').is_null()))}")
    rows = found["row"].to_numpy()
    if np.bincount(rows, minlength=1).max() > 1:
        repeated = found.filter(pl.col("row").is_duplicated()).unique("row", maintain_order=True)
        raise BadInputError(f"ids asked for more than once: {_shown(repeated)}")
    return rows


def _shown(frame: pl.DataFrame) -> str:
    named = ", ".join(repr(value) for value in frame["utterance_id"].head(_SHOWN))
    return named + (f" and {frame.height - _SHOWN} more" if frame.height > _SHOWN else "")
