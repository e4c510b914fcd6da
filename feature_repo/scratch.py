"""A scratch store: some views of a store without their rows, in which new clips are computed and nothing is kept."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from filelock import FileLock, Timeout

from feature_repo.errors import StoreWriteError
from feature_repo.part import TOMBSTONE
from feature_repo.store import Store, init_store

if TYPE_CHECKING:
    from pathlib import Path

SCRATCH = "scratch"
_LOCK = ".lock"


@contextlib.contextmanager
def scratch_store(store: Store, views: Sequence[str]) -> Iterator[Store]:
    """An empty store below the cache that knows some of another's views; it is removed at the end, whatever happens.

    What a process left behind that was killed is removed by the next one that comes here.

    Args:
        store: whose views are meant; nothing is ever written to it.
        views: views whose recipes are known in the scratch store; their tables are empty there.

    Raises:
        UnknownNameError: no such view.
        StoreWriteError: the cache can't be written.
    """
    parent = store.cache / SCRATCH
    name = uuid.uuid4().hex
    held = FileLock(parent / f"{name}{_LOCK}")
    folder = parent / name
    try:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            # Whoever sweeps waits, so that no lock is taken for abandoned before its owner holds it.
            with FileLock(parent / _LOCK):
                _sweep(parent)
                held.acquire()
            scratch = init_store(str(folder / "store"), cache=str(folder / "cache"))
        except OSError as error:
            raise StoreWriteError(
                f"cannot write the cache {parent}: {error.strerror or error}; AFFECTSTORE_CACHE names another folder"
            ) from error
        for view in views:
            scratch.ensure_table(store.recipe(view), store.provenance(view))
        yield scratch
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        held.release()
        with contextlib.suppress(OSError):
            (parent / f"{name}{_LOCK}").unlink()


def copy_live_rows(source: Store, target: Store, view: str, ids: Sequence[str]) -> int:
    """Copy the live rows of these utterances, or speakers, from one store's table to another's; returns how many.

    Raises:
        UnknownNameError: one of the stores does not know the view.
        FileNotFoundError: a part went away meanwhile.
    """
    table = source.table(view)
    rows = table.index().filter(
        pl.col("utterance_id").is_in(list(ids)) & (pl.col("content_key") != TOMBSTONE)
    )
    if rows.is_empty():
        return 0
    taken = [
        table.read_part(str(part)).take(pa.array(group["row"].to_numpy()))
        for (part,), group in rows.group_by("part", maintain_order=True)
    ]
    newest = rows["created_timestamp"].to_physical().max()
    target.table(view).append_table(
        pa.concat_tables(taken).replace_schema_metadata(None), int(str(newest)), {"copied from": source.root}
    )
    return rows.height


def _sweep(parent: Path) -> None:
    """Remove what processes that are gone left behind: nobody holds its lock."""
    for lock in parent.glob(f"*{_LOCK}"):
        if lock.name == _LOCK:
            continue
        with contextlib.suppress(Timeout), FileLock(lock, timeout=0):
            shutil.rmtree(parent / lock.name.removesuffix(_LOCK), ignore_errors=True)
            lock.unlink(missing_ok=True)
