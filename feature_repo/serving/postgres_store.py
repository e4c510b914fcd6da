"""Feast's PostgreSQL online store with connections that heal.

Feast 0.67's own keeps one connection for all threads, or a pool that loses one with every error, and neither notices
that the database was restarted: a server would answer with errors until it is started again itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Literal

import psycopg
from feast import RepoConfig
from feast.infra.online_stores.postgres_online_store.postgres import (
    PostgreSQLOnlineStore,
    PostgreSQLOnlineStoreConfig,
)
from feast.infra.utils.postgres.connection_utils import _get_conn_kwargs, _get_conninfo

from feature_repo.serving.database_urls import POSTGRES_STORE

_PATIENCE_S = 5
_CONNECTIONS = 8  # of each process; a read takes a millisecond


class PooledPostgresOnlineStoreConfig(PostgreSQLOnlineStoreConfig):
    """Feast's own settings under our type's name."""

    type: Literal["feature_repo.serving.postgres_store.PooledPostgresOnlineStore"] = POSTGRES_STORE  # type: ignore[assignment]
    max_conn: int = _CONNECTIONS


class PooledPostgresOnlineStore(PostgreSQLOnlineStore):
    """PostgreSQL, with a connection for each read at once; one that failed is not used again."""

    def __init__(self) -> None:
        super().__init__()
        self._idle: list[psycopg.Connection[Any]] = []
        self._free: threading.BoundedSemaphore | None = None
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def _get_conn(self, config: RepoConfig, autocommit: bool = False) -> Iterator[Any]:
        settings = config.online_store
        with self._guard:
            self._free = self._free or threading.BoundedSemaphore(settings.max_conn)
        if not self._free.acquire(timeout=_PATIENCE_S):
            raise psycopg.OperationalError(f"all {settings.max_conn} connections to PostgreSQL are busy")
        try:
            connection = self._connected(settings)
            try:
                connection.set_autocommit(autocommit)
                yield connection
                connection.rollback()  # nothing, unless a reader left a transaction open
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
        finally:
            self._free.release()

    def _connected(self, settings: Any) -> psycopg.Connection[Any]:
        while self._idle:
            connection = self._idle.pop()
            try:
                connection.set_autocommit(True)
                connection.execute("SELECT 1")
                return connection
            except psycopg.Error:  # the database was restarted since
                connection.close()
        options = {**_get_conn_kwargs(settings), "connect_timeout": _PATIENCE_S}
        return psycopg.connect(_get_conninfo(settings), **options)

    async def close(self) -> None:
        """Close the connections."""
        await super().close()
        while self._idle:
            self._idle.pop().close()
