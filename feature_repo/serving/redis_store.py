"""Feast's Redis online store that gives up in time.

A client that tries again for ten seconds keeps everyone waiting who asks a server whose Redis is gone.
"""

from __future__ import annotations

from typing import Any, Literal

from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from feature_repo.serving.database_urls import REDIS_STORE

_TRIES_MORE = 2  # a connection that a restart broke is made anew by the first
_FIRST_WAIT_S = 0.05


class PromptRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """Feast's own settings under our type's name."""

    type: Literal["feature_repo.serving.redis_store.PromptRedisOnlineStore"] = REDIS_STORE  # type: ignore[assignment]


class PromptRedisOnlineStore(RedisOnlineStore):
    """Redis, asked three times within a quarter of a second."""

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Any:
        known = self._client
        client: Any = super()._get_client(online_store_config)
        if not known:
            client.set_retry(Retry(ExponentialBackoff(base=_FIRST_WAIT_S), _TRIES_MORE))
        return client

    async def _get_client_async(self, online_store_config: RedisOnlineStoreConfig) -> Any:
        known = self._client_async
        client: Any = await super()._get_client_async(online_store_config)
        if not known:
            client.set_retry(AsyncRetry(ExponentialBackoff(base=_FIRST_WAIT_S), _TRIES_MORE))
        return client
