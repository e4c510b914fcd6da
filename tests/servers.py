"""Real Redis and PostgreSQL servers for tests: on free loopback ports, with a password, in folders of their own.

``redis_url`` and ``postgres_url`` are empty databases on servers that one session shares. ``redis_server`` and
``postgres_server`` are the servers themselves, to be killed and restarted on the same data.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATIENCE_S = 30.0
_POSTGRES_USER = "affect"
_UNPRIVILEGED = "postgres"  # PostgreSQL refuses to run as root


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class _Server:
    """A server process on a loopback port, with its data in a folder."""

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = secrets.token_hex(12)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Start on the data that is there and wait until it answers; does nothing when it runs."""
        if self.alive:
            return
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, **self.identity())
        end = time.monotonic() + _PATIENCE_S
        while not self.answers():
            if not self.alive or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"no server came up: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def identity(self) -> dict[str, object]:
        """Arguments of Popen that say as whom it runs."""
        return {}

    def kill(self) -> None:
        """SIGKILL, children included; returns when all of them are gone."""
        import psutil

        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            parent.suspend()  # else PostgreSQL would start children anew
            family = [*parent.children(recursive=True), parent]
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGKILL)
            psutil.wait_procs(family[:-1], timeout=_PATIENCE_S)
        self.process.wait(_PATIENCE_S)

    def restart(self) -> None:
        """Start again on the same port and data, after a kill."""
        if self.alive:
            self.kill()
        self.start()

    def stop(self) -> None:
        if self.alive:
            self.kill()  # nobody needs the data any more


class RedisServer(_Server):
    """A redis-server that has written down each command before it answers it."""

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    def command(self) -> list[str]:
        program = shutil.which("redis-server")
        assert program
        settings = {
            "bind": self.host,
            "port": self.port,
            "dir": self.folder,
            "requirepass": self.password,
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "no",  # with others a write may wait for an earlier sync, and be lost by a kill
        }
        path = self.folder / "redis.conf"
        path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return [program, str(path)]

    def answers(self) -> bool:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def clear(self) -> None:
        """Remove every key."""
        import redis

        with redis.Redis.from_url(self.url) as client:
            client.flushall()


class PostgresServer(_Server):
    """A PostgreSQL whose writes survive a kill of its processes, if not one of the machine (fsync is off)."""

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://{_POSTGRES_USER}:{self.password}@{self.host}:{self.port}/{database}"

    def identity(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        return {"user": _UNPRIVILEGED, "group": _UNPRIVILEGED, "extra_groups": [], "cwd": self.folder}

    def make(self) -> None:
        """Make the data folder, with its one user and password."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, _UNPRIVILEGED, _UNPRIVILEGED)
        password = self.folder / "password"
        password.write_text(self.password)
        password.chmod(0o644)  # the folder is closed to others
        arguments = ["-D", self.folder / "data", "-U", _POSTGRES_USER, f"--pwfile={password}"]
        arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            [postgres_program("initdb"), *arguments], capture_output=True, text=True, **self.identity()
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr}")

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 200,
            "shared_buffers": "32MB",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [postgres_program("postgres"), "-D", str(self.folder / "data"), *options]

    def answers(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def create_database(self) -> str:
        """A new, empty database; returns its URL."""
        import psycopg

        name = f"test_{secrets.token_hex(4)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url_of(name)


def postgres_program(name: str) -> str:
    """Where Debian, or the PATH, has a program of PostgreSQL's; an empty text when nobody has it."""
    places = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")])) or ""


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    """A redis-server of one's own."""
    with _folder() as folder:
        server = RedisServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of one's own."""
    with _folder() as folder:
        server = PostgresServer(folder)
        try:
            server.make()
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # Not pytest's: PostgreSQL's user may not pass through that one.
    folder = Path(tempfile.mkdtemp(prefix="affectstore-server-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _shared_redis() -> Iterator[RedisServer]:
    pytest.importorskip("redis", reason="pip install 'affectstore[redis]'")
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server here: Debian's package redis-server has it")
    with running_redis() as server:
        yield server


@pytest.fixture(scope="session")
def _shared_postgres() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="pip install 'affectstore[postgres]'")
    if not postgres_program("initdb"):
        pytest.skip("no PostgreSQL server here: Debian's package postgresql has it")
    with running_postgres() as server:
        yield server


@pytest.fixture
def redis_server(_shared_redis: RedisServer) -> RedisServer:
    """The session's redis-server, running and empty."""
    _shared_redis.start()
    _shared_redis.clear()
    return _shared_redis


@pytest.fixture
def postgres_server(_shared_postgres: PostgresServer) -> PostgresServer:
    """The session's PostgreSQL, running; make a database in it."""
    _shared_postgres.start()
    return _shared_postgres


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """``redis://:password@127.0.0.1:port/0`` of an empty Redis."""
    return redis_server.url


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """``postgresql://user:password@127.0.0.1:port/database`` of an empty database."""
    return postgres_server.create_database()
