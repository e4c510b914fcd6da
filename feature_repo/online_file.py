"""Real erasure in SQLite's online store: deleted numbers would stay in the file's free pages.

Feast overwrites and drops; what it replaced remains readable in the file until SQLite needs the space. Voices and faces
are biometric data, so what is forgotten or dropped is vacuumed out.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from feature_repo.errors import StoreWriteError

_PATIENCE_S = 30.0  # a server's reads take milliseconds


def erase_rows(
    path: Path, entity_keys: Sequence[bytes], only: Mapping[str, Sequence[bytes]] | None = None
) -> None:
    """Delete the entities' rows from every feature table in the file, whether Feast's registry knows it or not.

    Args:
        path: the online store's file.
        entity_keys: serialised entity keys.
        only: further keys whose rows are deleted from one table alone, by its name.

    Raises:
        StoreWriteError: another process holds the file; nothing of it, or not all of it, is erased.
    """
    with _opened(path) as database:
        for table in _tables(database):
            database.executemany(
                f'DELETE FROM "{table}" WHERE entity_key = ?',
                [(key,) for key in (*entity_keys, *(only or {}).get(table, ()))],
            )
        database.commit()
        database.execute("VACUUM")


def drop_tables_but(path: Path, project: str, views: Collection[str]) -> None:
    """Remove the tables of the project's views that are not among these.

    Args:
        path: the online store's file.
        project: the Feast project.
        views: names of the views that stay.

    Raises:
        StoreWriteError: another process holds the file.
    """
    kept = {f"{project}_{view}" for view in views}
    with _opened(path) as database:
        for table in _tables(database):
            if table.startswith(f"{project}_") and table not in kept:
                database.execute(f'DROP TABLE "{table}"')
        database.commit()
        database.execute("VACUUM")


def has_table(path: Path, table: str) -> bool:
    """Whether the file has a feature table of this name.

    Raises:
        StoreWriteError: another process holds the file.
    """
    with _opened(path) as database:
        return table in _tables(database)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_PATIENCE_S)) as database:
            yield database
    except sqlite3.Error as error:
        raise StoreWriteError(
            f"{path} could not be cleared ({error}): stop the feature server that holds it and do it again"
        ) from error


def _tables(database: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    names = [str(name) for (name,) in database.execute(query)]
    return [name for name in names if _is_feature_table(database, name)]


def _is_feature_table(database: sqlite3.Connection, name: str) -> bool:
    return "entity_key" in {column for _, column, *_ in database.execute(f'PRAGMA table_info("{name}")')}
