"""Compaction and garbage collection: fewer, larger parts, without a moment at which a row is missing or doubled."""

import time
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from feature_repo.feature_table import NEWEST_FIRST, FeatureTable
from feature_repo.files import TEMPORARY, FileLayer
from feature_repo.part import TOMBSTONE, newest_us, provenance_of, superseded_by

FLUSH_BYTES = 64 * 2**20  # a part this large lists and reads well (DESIGN section 5)
_ATTEMPTS = 100  # each after the first has one damaged part less to merge
GRACE_S = 3600.0  # a reader that listed the parts may still open them this long
MIN_GRACE_S = 60.0  # a write that is under way may be as old


@dataclass(frozen=True)
class Compacted:
    """What compaction did: parts before and after, and rows that no key needs any more."""

    view: str
    parts_before: int
    parts_after: int
    rows_left_out: int


def compacting(view: str) -> str:
    """Name of the lock under which a view's parts are merged."""
    return f"compact-{view}"


def compact(table: FeatureTable) -> Compacted:
    """Merge the table's small parts into larger ones; the old parts stay until :func:`gc`.

    Kept are the newest row of each content an utterance ever had, so that a text changed back is still not computed
    again, and the tombstones that are live.
    """
    with table.files.lock(compacting(table.view)):
        for _ in range(_ATTEMPTS):
            try:
                return _compact(table)
            except FileNotFoundError as error:
                changed = error  # a part went to quarantine, or another compactor merged it: merge the others
        raise changed


def _compact(table: FeatureTable) -> Compacted:
    # Listed before the rows are read: a part that another process commits meanwhile is none of those merged here.
    names = table.parts()
    sizes = table.files.sizes(table.folder)
    small = [name for name in names if sizes.get(name, 0) < FLUSH_BYTES // 2]
    if len(small) < 2:
        return Compacted(table.view, len(names), len(names), 0)
    history = table.history()
    found = dict(history.group_by("part").len().iter_rows())
    for name in small:
        if found.get(name, 0) != table.footer(name).num_rows:
            raise FileNotFoundError(f"{name} was merged or taken by another process meanwhile")
    live = (
        table.index().filter(pl.col("content_key") == TOMBSTONE).select("utterance_id", "created_timestamp")
    )
    # Of two writers' rows of the same microsecond the one that is not live goes: names that break the tie change here.
    newest = (
        history.sort(*NEWEST_FIRST, descending=True)
        .unique(["utterance_id", "created_timestamp"], keep="first", maintain_order=True)
        .unique(["utterance_id", "content_key"], keep="first", maintain_order=True)
    )
    buried = newest.filter(pl.col("content_key") == TOMBSTONE).join(
        live, on=["utterance_id", "created_timestamp"]
    )
    kept = pl.concat([newest.filter(pl.col("content_key") != TOMBSTONE), buried]).filter(
        pl.col("part").is_in(small)
    )
    written = _merge(table, sorted(small), kept)
    rows_before = history.filter(pl.col("part").is_in(small)).height
    return Compacted(table.view, len(names), len(names) - len(small) + written, rows_before - kept.height)


def _merge(table: FeatureTable, names: list[str], kept: pl.DataFrame) -> int:
    written = 0
    batch: list[pa.Table] = []
    batch_names: list[str] = []
    size = 0
    for position, name in enumerate(names):
        rows = kept.filter(pl.col("part") == name)["row"].sort().to_numpy()
        part = table.read_part(name).replace_schema_metadata(None)
        batch.append(part.take(pa.array(rows)))
        batch_names.append(name)
        size += batch[-1].nbytes
        if size >= FLUSH_BYTES or position == len(names) - 1:
            merged = pa.concat_tables(batch)
            newest = max(map(newest_us, batch_names))
            table.append_table(merged, newest, _told_by(table, batch_names), supersedes=batch_names)
            written, batch, batch_names, size = written + 1, [], [], 0
    return written


def _told_by(table: FeatureTable, names: list[str]) -> dict[str, str]:
    """What the parts told of their writers, differing versions side by side."""
    told: dict[str, set[str]] = {}
    for name in names:
        for key, value in provenance_of(table.footer(name)).items():
            told.setdefault(key, set()).update(value.split(" | "))
    return {key: " | ".join(sorted(values)) for key, values in told.items()}


def gc(table: FeatureTable, grace_s: float = GRACE_S) -> list[str]:
    """Remove the parts that a merged part repeats once that one is older than the grace time; returns their names.

    The merged part is read whole before, checksums verified: until then the old parts are what it is mended from.
    """
    names = table.all_parts()
    repeated: set[str] = set()
    for name in names:
        olds = set(superseded_by(table.footer(name))) & set(names)
        try:
            if olds and time.time() - table.files.modified(table.part_path(name)) >= grace_s:
                table.read_part(name)
                repeated.update(olds)
        except FileNotFoundError:
            continue  # damaged, or another gc took it
    gone = sorted(repeated)
    for name in gone:
        table.files.remove(table.part_path(name))
    return gone


def gc_temporary(files: FileLayer, grace_s: float = GRACE_S) -> int:
    """Remove what killed writers left in ``tmp/`` longer than the grace time ago; returns how many files."""
    removed = 0
    for name in files.list_files(TEMPORARY):
        path = f"{TEMPORARY}/{name}"
        if not name.endswith(".lock") and time.time() - files.modified(path) >= max(grace_s, MIN_GRACE_S):
            files.remove(path)
            removed += 1
    return removed
