"""A feature table: the parts of one recipe, and which of their rows is live (DESIGN section 5)."""

import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.errors import StoreReadError, StoreWriteError
from feature_repo.files import FileLayer
from feature_repo.part import (
    TOMBSTONE,
    Row,
    check_part,
    count_column,
    encode_part,
    is_part,
    key_column,
    newest_us,
    part_name,
    read_footer,
    rows_to_arrow,
    superseded_by,
)
from feature_repo.recipe import Recipe

FEATURES = "features"
QUARANTINE = "quarantine"
# A tie of two writers in the same microsecond is broken by the part's name, then by the row's place, which merging
# keeps: the same way for every reader.
NEWEST_FIRST = ("created_timestamp", "part", "row")
_LISTINGS = 5  # a part that gc or quarantine took between listing and reading is looked for in a new listing
_REMOTE_READS = 16
_COPIED_AT_ONCE = 4096  # rows; keeps a copied part of wide sequences near the flush size
# What the Parquet reader raises over a damaged file, and what a failing disk or network raises too.
_UNREADABLE = (pa.ArrowException, OSError, ValueError)
_INDEX_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "utterance_id": pl.String,
    "content_key": pl.String,
    "created_timestamp": pl.Datetime("us", "UTC"),
    "note": pl.String,
    "n": pl.Int32,
    "part": pl.String,
    "row": pl.Int64,
}


class QuarantineWarning(UserWarning):
    """A part could not be read and was moved to ``quarantine/``; its rows count as missing."""


class FeatureTable:
    """One recipe's rows; every write adds a part, and per utterance the newest row is the live one.

    Args:
        files: the store's file layer.
        recipe: whose table it is.
    """

    def __init__(self, files: FileLayer, recipe: Recipe) -> None:
        self.files = files
        self.recipe = recipe
        self.view = recipe.view
        self.folder = f"{FEATURES}/{recipe.view}"
        # Parts never change, so what was read of one stays true as long as its name is listed.
        self._footers: dict[str, pq.FileMetaData] = {}
        self._histories: dict[str, pl.DataFrame] = {}
        self._sizes: dict[str, int] = {}
        self._damaged: set[str] = set()
        self._live: tuple[tuple[str, ...], pl.DataFrame] = ((), pl.DataFrame(schema=_INDEX_SCHEMA))

    def part_path(self, name: str) -> str:
        """Path of a part, relative to the root."""
        return f"{self.folder}/{name}"

    def parts(self) -> list[str]:
        """Names of the readable parts, without those that a merged part repeats.

        A part whose footer can't be read is moved to ``quarantine/`` and a :class:`QuarantineWarning` tells of it.
        """
        names = self.all_parts()
        repeated = {old for name in names for old in superseded_by(self._footers[name])}
        return [name for name in names if name not in repeated]

    def all_parts(self) -> list[str]:
        """Names of all readable parts, the repeated ones that :func:`~feature_repo.compaction.gc` removes included."""
        listed = [
            name for name in self.files.list_files(self.folder) if is_part(name) and name not in self._damaged
        ]
        unread = [name for name in listed if name not in self._footers]
        if self.files.is_local or len(unread) < 2:
            found = [self._footer_if_there(name) for name in unread]
        else:
            with ThreadPoolExecutor(_REMOTE_READS) as pool:  # each waits for a server's answer
                found = list(pool.map(self._footer_if_there, unread))
        for name, footer in zip(unread, found, strict=True):
            if footer is not None:
                self._footers[name] = footer
        return [name for name in listed if name in self._footers]

    def _footer_if_there(self, name: str) -> pq.FileMetaData | None:
        try:
            return self._read_footer(name)
        except FileNotFoundError:
            return None  # gc took it between the listing and the look, or it is in quarantine now

    def footer(self, name: str) -> pq.FileMetaData:
        """Parquet footer of a part that :meth:`all_parts` named."""
        return self._footers[name]

    def read_part(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A part's rows as they are stored, page checksums verified.

        Raises:
            FileNotFoundError: gc removed it, or it was damaged and went to quarantine; list again.
        """
        path = self.part_path(name)
        try:
            with self.files.open(path, self._sizes.get(name)) as source:
                footer = self._footers.get(name) or read_footer(self.recipe, name, source)
                return pq.ParquetFile(source, metadata=footer, page_checksum_verification=True).read(
                    None if columns is None else list(columns), use_threads=True
                )
        except FileNotFoundError:
            raise
        except _UNREADABLE as error:
            raise self._looked_at_again(name, error) from error

    def _read_footer(self, name: str) -> pq.FileMetaData:
        try:
            with self.files.open(self.part_path(name), self._sizes.get(name)) as source:
                return read_footer(self.recipe, name, source)
        except FileNotFoundError:
            raise
        except _UNREADABLE as error:
            raise self._looked_at_again(name, error) from error

    def history(self) -> pl.DataFrame:
        """Every stored row without its value: utterance_id, content_key, created_timestamp, note, n, part, row.

        ``n`` is the number of steps, or 1 for a pooled vector or a record, and 0 for a nothing or a tombstone;
        ``row`` is the row's place in its part. Rows that a merged part repeats come once. In a speaker's table
        ``utterance_id`` is the speaker's id.
        """
        names = self._read_histories()
        frames = [self._histories[name] for name in names]
        return pl.concat(frames) if frames else pl.DataFrame(schema=_INDEX_SCHEMA)

    def index(self) -> pl.DataFrame:
        """The live rows, tombstones included, in the columns of :meth:`history`."""
        names = tuple(self._read_histories())
        if names != self._live[0]:
            newest = self.history().sort(*NEWEST_FIRST, descending=True)
            self._live = (names, newest.unique("utterance_id", keep="first", maintain_order=True))
        return self._live[1]

    def live_keys(self) -> pl.DataFrame:
        """(utterance_id, content_key) of the live rows, tombstones left out."""
        return self.index().filter(pl.col("content_key") != TOMBSTONE).select("utterance_id", "content_key")

    def append(self, rows: Sequence[Row], provenance: Mapping[str, str] | None = None) -> str | None:
        """Commit the rows as one part, newer than everything in the table; returns its name, None without rows.

        Raises:
            StoreWriteError: the write failed; nothing of it is visible.
        """
        if not rows:
            return None
        created = self._next_us()
        return self.append_table(rows_to_arrow(self.recipe, rows, created), created, provenance or {})

    def append_table(
        self, table: pa.Table, newest: int, provenance: Mapping[str, str], supersedes: Sequence[str] = ()
    ) -> str:
        """Commit a table in the recipe's schema whose newest row was created at ``newest`` microseconds."""
        data = encode_part(table, provenance, supersedes)
        name = part_name(newest, data)
        self.files.create(self.part_path(name), data)
        return name

    def copy_forward(self, rows: pl.DataFrame, provenance: Mapping[str, str] | None = None) -> None:
        """Make older rows live again, without computing them.

        Args:
            rows: rows of :meth:`history`; at most one per utterance.
            provenance: told in the new part.

        Raises:
            FileNotFoundError: a part is gone or damaged; plan again, what was copied is live.
        """
        for chunk in rows.iter_slices(_COPIED_AT_ONCE):
            self._copy_chunk(chunk, provenance or {})

    def _copy_chunk(self, rows: pl.DataFrame, provenance: Mapping[str, str]) -> None:
        created = self._next_us()
        stamp = pa.scalar(created, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        taken = []
        for (name,), group in rows.group_by("part", maintain_order=True):
            taken.append(self.read_part(str(name)).take(pa.array(group["row"].to_numpy())))
        table = pa.concat_tables(taken).replace_schema_metadata(None)
        for column in ("event_timestamp", "created_timestamp"):
            place = table.column_names.index(column)
            table = table.set_column(place, table.schema.field(place), pa.repeat(stamp, len(table)))
        self.append_table(table, created, provenance)

    def bury(self, utterance_ids: Sequence[str]) -> None:
        """Write tombstones: these utterances have left the manifest."""
        self.append([Row(utterance_id, TOMBSTONE) for utterance_id in utterance_ids])

    def quarantined(self) -> list[str]:
        """Names of this table's parts that went to quarantine."""
        return self.files.list_files(f"{QUARANTINE}/{self.view}")

    def _next_us(self) -> int:
        # Listed anew at every write: another process may have written since, and a clock may have gone backwards.
        newest = max(
            (newest_us(name) for name in self.files.list_files(self.folder) if is_part(name)), default=0
        )
        return max(time.time_ns() // 1000, newest + 1)

    def _read_histories(self) -> list[str]:
        for _ in range(_LISTINGS):
            names = self.parts()
            unread = [name for name in names if name not in self._histories]
            try:
                with ThreadPoolExecutor(4 if self.files.is_local else _REMOTE_READS) as pool:
                    for name, frame in zip(unread, pool.map(self._read_history, unread), strict=True):
                        self._histories[name] = frame
                return names
            except FileNotFoundError as error:
                gone = error
        raise gone

    def _read_history(self, name: str) -> pl.DataFrame:
        key = key_column(self.recipe)
        counted = [count_column(self.recipe)] if self.recipe.layout == "steps" else []
        table = self.read_part(name, [key, "content_key", "created_timestamp", "note", *counted])
        frame = pl.DataFrame(pl.from_arrow(table)).rename({key: "utterance_id"})
        if counted:
            n = pl.col(counted[0])
        else:
            n = ((pl.col("content_key") != TOMBSTONE) & pl.col("note").is_null()).cast(pl.Int32)
        frame = frame.with_columns(n=n, part=pl.lit(name), row=pl.int_range(pl.len(), dtype=pl.Int64))
        return frame.select(list(_INDEX_SCHEMA))

    def _looked_at_again(self, name: str, error: Exception) -> Exception:
        """Quarantine a part whose bytes, all in memory, can't be read either; what the caller is to raise.

        A disk or a network that fails for a moment is not taken for damage: computing the rows again may cost days.
        """
        url = self.files.url(self.part_path(name))
        data = self.files.read(self.part_path(name))
        try:
            check_part(self.recipe, name, data)
        except MemoryError:
            raise
        except Exception as found:
            self._quarantine(name, found)
            return FileNotFoundError(f"{url} was damaged and is in quarantine now")
        return StoreReadError(f"cannot read {url}: {error}; a second look found it whole, so try again")

    def _quarantine(self, name: str, error: Exception) -> None:
        self._damaged.add(name)
        kept = f"{QUARANTINE}/{self.view}/{name}"
        try:
            self.files.move(self.part_path(name), kept)
        except FileNotFoundError:
            return  # another reader moved it
        except StoreWriteError:
            kept = self.part_path(name)  # a store that this user may only read: told, and left where it is
        warnings.warn(
            f"part {name} of {self.view} can't be read ({error}); it is kept at {self.files.url(kept)} and its rows "
            "count as missing: run `affectstore extract` again",
            QuarantineWarning,
            stacklevel=3,
        )
