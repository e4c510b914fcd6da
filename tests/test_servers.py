"""The servers that other tests stand on: what was written before a kill is there after the restart."""

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def test_redis_keeps_what_it_answered_over_a_kill_and_wants_its_password(redis_server, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.set("before", "kept")
    redis_server.kill()
    at_once = Retry(NoBackoff(), 0)
    with (
        redis.Redis.from_url(redis_url, retry=at_once) as client,
        pytest.raises(redis.ConnectionError),
    ):
        client.get("before")
    redis_server.restart()
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("before") == b"kept"
    with redis.Redis(port=redis_server.port) as client, pytest.raises(redis.AuthenticationError):
        client.get("before")


def test_postgres_keeps_what_it_committed_over_a_kill_and_wants_its_password(postgres_server, postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE said AS SELECT 'kept' AS word")
    postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_url)
    postgres_server.restart()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT word FROM said").fetchone() == ("kept",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_url.replace(postgres_server.password, "guessed"))
