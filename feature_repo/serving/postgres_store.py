"""Feast's PostgreSQL online store with a pool of connections that heals.

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
from psycopg_pool import ConnectionPool, PoolTimeout

from feature_repo.serving.database_urls import POSTGRES_STORE

_PATIENCE_S = 5.0
_CONNECTIONS = 8  # of each process; a read takes a millisecond


class PooledPostgresOnlineStoreConfig(PostgreSQLOnlineStoreConfig):  # type: ignore[misc]  # Feast ships no types
    """Feast's own settings under our type's name."""

    type: Literal["feature_repo.serving.postgres_store.PooledPostgresOnlineStore"] = POSTGRES_STORE  # type: ignore[assignment]
    max_conn: int = _CONNECTIONS


class PooledPostgresOnlineStore(PostgreSQLOnlineStore):  # type: ignore[misc]  # Feast ships no types
    """PostgreSQL, with connections that are checked before they are used."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._pool: ConnectionPool[Any] | None = None

    @contextlib.contextmanager
    def _get_conn(self, config: RepoConfig, autocommit: bool = False) -> Iterator[Any]:
        settings = config.online_store
        pool = self._opened(settings)
        # What the body raises is its own; only waiting for a connection is told in other words.
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(pool.connection())
            except PoolTimeout:
                raise psycopg.OperationalError(
                    f"PostgreSQL at {settings.host}:{settings.port} did not answer within {_PATIENCE_S:.0f} s"
                ) from None
            connection.set_autocommit(autocommit)
            yield connection

    def _opened(self, settings: Any) -> ConnectionPool[Any]:
        with self._guard:
            if self._pool is None:
                options = {**_get_conn_kwargs(settings), "connect_timeout": int(_PATIENCE_S)}
                # A wrong password or host is told at once and in PostgreSQL's words; the pool would only time out.
                psycopg.connect(_get_conninfo(settings), **options).close()
                self._pool = ConnectionPool(
                    _get_conninfo(settings),
                    kwargs=options,
                    min_size=settings.min_conn,
                    max_size=settings.max_conn,
                    timeout=_PATIENCE_S,
                    check=ConnectionPool.check_connection,
                    open=True,
                )
            return self._pool

    async def close(self) -> None:
        """Close the connections."""
        await super().close()
        if self._pool is not None:
            self._pool.close()
            self._pool = None
