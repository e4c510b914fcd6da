"""A store's rows in PostgreSQL: which views are there, and real erasure.

Feast keeps a table for each view, with a row for each entity and feature. A deleted row's bytes stay in the table's
file until its pages are written anew; voices and faces are biometric data, so a table that lost rows is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from feast import FeatureStore

# A recipe's view. Only the three parts are the project's own: `merc_text_...` is not of the project `affect` where
# another store's project is `affect_merc`.
_VIEW = re.compile(r"[a-z][a-z0-9]*_[a-z][a-z0-9]*_[0-9a-f]{8}")


class PostgresBackend:
    """The project's tables in a PostgreSQL."""

    def __init__(self, feast: FeatureStore) -> None:
        self.feast = feast
        self.schema = feast.config.online_store.db_schema or feast.config.online_store.user

    def holds(self, view: str) -> bool:
        """Whether the view's table is there."""
        return f"{self.feast.project}_{view}" in self._existing()

    def note(self, view: str, mark: str) -> None:
        """Nothing: the table tells."""

    def is_at(self, view: str, mark: str) -> bool:
        """Taken for granted: what was committed stays."""
        return True

    def erase(self, utterance_ids: Sequence[str], only: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Delete the rows and write the tables that held them anew."""
        from feature_repo.serving.online_backend import serialised

        everywhere = serialised(self.feast, "utterance_id", utterance_ids)
        keys = {
            f"{self.feast.project}_{view}": serialised(self.feast, join_key, names)
            for view, (join_key, names) in only.items()
        }
        with self._connection() as connection:
            for table in self._tables():
                query = sql.SQL("DELETE FROM {} WHERE entity_key = ANY(%s)").format(self._named(table))
                if connection.execute(query, ([*everywhere, *keys.get(table, ())],)).rowcount:
                    connection.execute(sql.SQL("VACUUM FULL {}").format(self._named(table)))

    def drop_but(self, views: Collection[str]) -> None:
        """Drop the tables of the project's other views."""
        kept = {f"{self.feast.project}_{view}" for view in views}
        with self._connection() as connection:
            for table in self._tables():
                if table not in kept:
                    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self._named(table)))

    def _tables(self) -> list[str]:
        """Tables of views that the project has or had; another's of the same schema may begin with the same letters."""
        prefix = f"{self.feast.project}_"
        known = {f"{prefix}{view.name}" for view in self.feast.list_feature_views()}
        return [
            name for name in self._existing() if name in known or _VIEW.fullmatch(name.removeprefix(prefix))
        ]

    def _existing(self) -> list[str]:
        query = (
            "SELECT table_name FROM information_schema.columns WHERE table_schema = %s "
            "AND column_name = 'entity_key' AND starts_with(table_name, %s) ORDER BY table_name"
        )
        with self._connection() as connection:
            return [name for (name,) in connection.execute(query, (self.schema, f"{self.feast.project}_"))]

    def _named(self, table: str) -> sql.Identifier:
        return sql.Identifier(self.schema, table)

    def _connection(self) -> AbstractContextManager[Any]:
        online: Any = self.feast.provider.online_store
        found: AbstractContextManager[Any] = online._get_conn(self.feast.config, autocommit=True)
        return found
