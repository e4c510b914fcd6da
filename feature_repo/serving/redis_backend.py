"""A store's rows in Redis: which views are loaded, and real erasure.

Feast keeps one hash for each entity and project, with a field for each feature of each view. A Redis that lost its
data, or was emptied, answers "absent" to every question; so a hash of our own tells which views were loaded, and is
lost with them, as far as they are.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from feast.infra.online_stores.helpers import _mmh3, _redis_key
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from feast import FeatureStore

_AT_ONCE = 1000
_PATIENCE_S = 60.0  # Redis writes hundreds of megabytes a second


class RedisBackend:
    """The project's part of a Redis."""

    def __init__(self, feast: FeatureStore) -> None:
        self.feast = feast
        online: Any = feast.provider.online_store
        self.client: Any = online._get_client(feast.config.online_store)
        self._loaded = f"affectstore:{feast.project}:loaded"

    def holds(self, view: str) -> bool:
        """Whether the view is noted as loaded."""
        return bool(self.client.hexists(self._loaded, view))

    def note(self, view: str, mark: str) -> None:
        """Note that the view is loaded, and with what."""
        self.client.hset(self._loaded, view, mark)

    def is_at(self, view: str, mark: str) -> bool:
        """Whether this was the last note: a Redis that was killed comes back as its files tell, older than it was."""
        return bool(self.client.hget(self._loaded, view) == mark.encode())

    def erase(self, utterance_ids: Sequence[str], only: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Delete the entities' hashes, and from others' the fields of one view; Redis's files are written anew."""
        deleted = self._delete(self._keys("utterance_id", utterance_ids))
        known = {view.name: view for view in self.feast.list_feature_views()}
        for name, (join_key, ids) in only.items():
            if name in known:
                fields = [_mmh3(f"{name}:{feature.name}") for feature in known[name].features]
                deleted += self._delete(self._keys(join_key, ids), [*fields, f"_ts:{name}"])
        if deleted:
            self._write_files_anew()

    def drop_but(self, views: Collection[str]) -> None:
        """Forget that other views are loaded; their fields went when Feast was told."""
        gone = [name for name in map(bytes.decode, self.client.hkeys(self._loaded)) if name not in views]
        if gone:
            self.client.hdel(self._loaded, *gone)
            self._write_files_anew()

    def _keys(self, join_key: str, names: Sequence[str]) -> list[bytes]:
        from feature_repo.serving.online_backend import entity_keys

        version = self.feast.config.entity_key_serialization_version
        return [
            _redis_key(self.feast.project, key, entity_key_serialization_version=version)
            for key in entity_keys(join_key, names)
        ]

    def _delete(self, keys: Sequence[bytes], fields: Sequence[bytes | str] | None = None) -> int:
        count = 0
        for start in range(0, len(keys), _AT_ONCE):
            with self.client.pipeline(transaction=False) as pipe:
                for key in keys[start : start + _AT_ONCE]:
                    if fields is None:
                        pipe.delete(key)
                    else:
                        pipe.hdel(key, *fields)
                count += sum(pipe.execute())
        return count

    def _write_files_anew(self) -> None:
        # The append-only file and the last snapshot still hold what was deleted. Both are written in the background; a
        # service that others run may forbid the commands.
        with contextlib.suppress(ResponseError):
            if self.client.info("persistence").get("aof_enabled"):
                self._begin(self.client.bgrewriteaof, "aof_rewrite_in_progress")
        with contextlib.suppress(ResponseError):
            if self.client.config_get("save").get("save"):
                self._begin(functools.partial(self.client.bgsave, schedule=True), "rdb_bgsave_in_progress")

    def _begin(self, write: Callable[[], object], running: str) -> None:
        # One that is under way began before the deletion, and no second is taken beside it.
        end = time.monotonic() + _PATIENCE_S
        while self.client.info("persistence").get(running) and time.monotonic() < end:
            time.sleep(0.05)
        write()
