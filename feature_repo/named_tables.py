"""Small tables kept under a name, such as verdicts and splits: one Parquet file each, with what was told of it."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.files import FileLayer

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SUFFIX = ".parquet"


@dataclass(frozen=True)
class NamedTables:
    """The tables of one kind below one folder; every one has a column ``utterance_id``.

    Attributes:
        files: the store's file layer.
        kind: what one of them is called in errors, such as ``verdict``.
        folder: where they lie.
        schema: column to type.
        forgotten: gives the ids of utterances that are forgotten; none of them is kept.
    """

    files: FileLayer
    kind: str
    folder: str
    schema: Mapping[str, type[pl.DataType]]
    forgotten: Callable[[], Sequence[str]]

    def names(self) -> list[str]:
        """Names of all of them, sorted."""
        return [
            name.removesuffix(_SUFFIX)
            for name in self.files.list_files(self.folder)
            if name.endswith(_SUFFIX)
        ]

    def read(self, name: str) -> tuple[pl.DataFrame, dict[str, Any]]:
        """The rows, sorted by utterance id, and what was told of them.

        Raises:
            UnknownNameError: there is none of this name.
            BadInputError: its file is damaged.
        """
        data = self._data(name)
        try:
            rows = pl.read_parquet(io.BytesIO(data)).select(list(self.schema))
            told = json.loads(pl.read_parquet_metadata(io.BytesIO(data))[self._told_key])
            if not isinstance(told, dict):
                raise TypeError("what is told of it is no JSON object")
        except (pl.exceptions.PolarsError, ValueError, KeyError, TypeError) as error:
            raise self.damaged(name, error) from error
        return rows, told

    def stamp(self, name: str) -> str:
        """Changes whenever the rows of this name, or what was told of them, do.

        Raises:
            UnknownNameError: there is none of this name.
        """
        return hashlib.blake2b(self._data(name), digest_size=16).hexdigest()

    def damaged(self, name: str, error: Exception) -> BadInputError:
        """The error of a file whose content is not what was written."""
        return BadInputError(
            f"{self.files.url(self._path(name))} is damaged ({error}); remove it and save the {self.kind} again"
        )

    def save(self, name: str, rows: pl.DataFrame, told: Mapping[str, Any]) -> None:
        """Keep these rows, replacing those of the same name; rows of forgotten utterances are left out.

        Args:
            name: letters, digits, ``_``, ``-`` and ``.``, a letter or digit first.
            rows: with the schema's columns.
            told: JSON data.

        Raises:
            BadInputError: a name that no file can have.
            StoreWriteError: the write failed; the older one of that name is as it was.
        """
        if not _NAME.fullmatch(name):
            raise BadInputError(
                f"{self.kind} name {name!r}: letters, digits, '_', '-' and '.', a letter or digit first"
            )
        with self._lock():
            # Under the lock: an utterance that is forgotten meanwhile stays out.
            kept = rows.filter(~pl.col("utterance_id").is_in(list(self.forgotten())))
            self._write(name, kept, told)

    def remove(self, name: str) -> None:
        """Remove one.

        Raises:
            UnknownNameError: there is none of this name.
        """
        if name not in self.names():
            raise UnknownNameError(self.kind, name, self.names())
        self.files.remove(self._path(name))

    def erase(self, utterance_ids: Sequence[str]) -> None:
        """Take these utterances out of every one."""
        with self._lock():
            for name in self.names():
                rows, told = self.read(name)
                kept = rows.filter(~pl.col("utterance_id").is_in(list(utterance_ids)))
                if kept.height < rows.height:
                    self._write(name, kept, told)

    def _write(self, name: str, rows: pl.DataFrame, told: Mapping[str, Any]) -> None:
        sink = io.BytesIO()
        columns = rows.select(pl.col(column).cast(kind) for column, kind in self.schema.items())
        columns.sort("utterance_id").write_parquet(
            sink, metadata={self._told_key: json.dumps(dict(told), sort_keys=True)}
        )
        self.files.write(self._path(name), sink.getvalue())

    def _data(self, name: str) -> bytes:
        try:
            if not _NAME.fullmatch(name):
                raise FileNotFoundError(name)  # no file can be called so
            return self.files.read(self._path(name))
        except FileNotFoundError:
            raise UnknownNameError(self.kind, name, self.names()) from None

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}{_SUFFIX}"

    def _lock(self) -> AbstractContextManager[None]:
        return self.files.lock(self.folder.rpartition("/")[2])

    @property
    def _told_key(self) -> str:
        return f"affectstore.{self.kind}"


def now() -> str:
    """This moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
