"""What the store itself asks of an online store, beyond Feast: is a view still there, and real erasure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from feature_repo.feast_objects import VIEW_TAG
from feature_repo.feast_store import is_in_sqlite, online_path
from feature_repo.online_file import drop_tables_but, erase_rows, has_table
from feature_repo.serving.database_urls import POSTGRES_STORE, REDIS_STORE

if TYPE_CHECKING:
    from feast import FeatureStore


class OnlineBackend(Protocol):
    """An online store, as far as the store looks past Feast."""

    def holds(self, view: str) -> bool:
        """Whether the view was loaded and is still there: a database may have been lost since."""

    def note(self, view: str, mark: str) -> None:
        """Tell that the view is loaded, and with what, where the database itself doesn't."""

    def is_at(self, view: str, mark: str) -> bool:
        """Whether nothing was lost since this was noted: a database may come back as it was before."""

    def erase(self, utterance_ids: Sequence[str], only: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Delete rows for good.

        Args:
            utterance_ids: utterances whose rows go from every view, whether Feast's registry knows it or not.
            only: view to its join key and the ids whose rows go from that view alone.
        """

    def drop_but(self, views: Collection[str]) -> None:
        """Delete what is left of the project's views that are not among these."""


def online_backend(feast: FeatureStore) -> OnlineBackend:
    """The backend of the configured online store; other kinds than ours are overwritten with nulls."""
    kind = feast.config.online_store.type
    if is_in_sqlite(feast):
        return SqliteBackend(feast)
    if kind in ("redis", REDIS_STORE):
        from feature_repo.serving.redis_backend import RedisBackend  # imports redis

        return RedisBackend(feast)
    if kind in ("postgres", POSTGRES_STORE):
        from feature_repo.serving.postgres_backend import PostgresBackend  # imports psycopg

        return PostgresBackend(feast)
    return OtherBackend(feast)


class SqliteBackend:
    """SQLite's file; see :mod:`feature_repo.online_file`."""

    def __init__(self, feast: FeatureStore) -> None:
        self.feast = feast
        self.path = online_path(feast)

    def holds(self, view: str) -> bool:
        """Whether the file is there and has the view's table."""
        return self.path.exists() and has_table(self.path, f"{self.feast.project}_{view}")

    def note(self, view: str, mark: str) -> None:
        """Nothing: the table tells."""

    def is_at(self, view: str, mark: str) -> bool:
        """Taken for granted: what was committed stays."""
        return True

    def erase(self, utterance_ids: Sequence[str], only: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Delete the rows and vacuum the file."""
        if not self.path.exists():
            return
        keys = {
            f"{self.feast.project}_{view}": serialised(self.feast, join_key, names)
            for view, (join_key, names) in only.items()
        }
        erase_rows(self.path, serialised(self.feast, "utterance_id", utterance_ids), keys)

    def drop_but(self, views: Collection[str]) -> None:
        """Drop the tables and vacuum the file."""
        if self.path.exists():
            drop_tables_but(self.path, self.feast.project, views)


class OtherBackend:
    """An online store that we don't know: what goes is overwritten with nulls, in the views that Feast knows."""

    def __init__(self, feast: FeatureStore) -> None:
        self.feast = feast

    def holds(self, view: str) -> bool:
        """Taken for granted."""
        return True

    def note(self, view: str, mark: str) -> None:
        """Nothing is noted."""

    def is_at(self, view: str, mark: str) -> bool:
        """Taken for granted."""
        return True

    def erase(self, utterance_ids: Sequence[str], only: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Overwrite with nulls."""
        from feast.protos.feast.types.Value_pb2 import Value

        now = datetime.now(UTC)
        for view in self.feast.list_feature_views():
            if view.online and VIEW_TAG in view.tags:
                join_key, names = only.get(view.name, (view.join_keys[0], utterance_ids))
                nulls = {feature.name: Value() for feature in view.features}
                data: list[Any] = [(key, nulls, now, now) for key in entity_keys(join_key, names)]
                self.feast.provider.online_store.online_write_batch(self.feast.config, view, data, None)

    def drop_but(self, views: Collection[str]) -> None:
        """Nothing more than Feast does."""


def entity_keys(join_key: str, names: Sequence[str]) -> list[Any]:
    """Feast's key of each id."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return [EntityKey(join_keys=[join_key], entity_values=[Value(string_val=name)]) for name in names]


def serialised(feast: FeatureStore, join_key: str, names: Sequence[str]) -> list[bytes]:
    """Feast's key of each id, in the bytes that databases hold."""
    from feast.infra.key_encoding_utils import serialize_entity_key

    version = feast.config.entity_key_serialization_version
    return [
        serialize_entity_key(key, entity_key_serialization_version=version)
        for key in entity_keys(join_key, names)
    ]
