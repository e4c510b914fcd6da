"""The services of infra/compose.yaml as processes on loopback: its own commands, but for hosts, ports and folders."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest

from feature_repo.store import init_store, open_store
from tests.extractors.engines.ray_processes import prepare_ray
from tests.s3_servers import Bucket
from tests.servers import RedisServer, free_port
from tests.test_infra import INFRA, SERVICES, command_of

PATIENCE_S = 180.0
BIN = Path(sys.executable).parent


def command(service: str, changes: Mapping[str, str]) -> list[str]:
    """A service's command, programs of our environment by their path."""
    line = [word.replace("$$", "$") for word in command_of(SERVICES[service])]
    for old, new in changes.items():
        assert any(old in word for word in line), f"{old} is not in the command of {service}: {line}"
        line = [word.replace(old, new) for word in line]
    program = BIN / line[0]
    return [str(program) if program.exists() else line[0], *line[1:]]


@contextlib.contextmanager
def running(line: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process until the end of the block; whatever it started goes with it."""
    with log.open("ab") as sink:
        started = subprocess.Popen(
            line, env={**os.environ, **environment}, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait(PATIENCE_S)


def until(true: Callable[[], bool], what: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"{what}: {log.read_text()[-3000:]}"
        time.sleep(0.2)


def is_healthy(service: str, environment: Mapping[str, str], changes: Mapping[str, str]) -> bool:
    """Run a service's own health check."""
    kind, *line = SERVICES[service]["healthcheck"]["test"]
    for old, new in changes.items():
        assert any(old in word for word in line), (old, line)
        line = [word.replace(old, new) for word in line]
    if kind == "CMD-SHELL":
        line = ["sh", "-c", *line]
    elif line[0] == "python":
        line[0] = sys.executable
    try:
        done = subprocess.run(line, env={**os.environ, **environment}, capture_output=True, timeout=30)
    except subprocess.TimeoutExpired:  # as the engine has it
        return False
    return done.returncode == 0


class ComposedRedis(RedisServer):
    """Redis as the compose file starts it."""

    def command(self) -> list[str]:
        changes = {"/tmp/redis.conf": str(self.folder / "redis.conf"), "--dir /data": f"--dir {self.folder}"}
        line = command("redis", changes)
        return [*line[:-1], f"{line[-1].rstrip()} --bind 127.0.0.1 --port {self.port}"]

    def identity(self) -> dict[str, Any]:
        return {"env": {**os.environ, "REDIS_PASSWORD": self.password}}

    def is_healthy(self, password: str) -> bool:
        return is_healthy("redis", {"REDISCLI_AUTH": password}, {"redis-cli ": f"redis-cli -p {self.port} "})


@pytest.fixture
def composed_redis(tmp_path: Path) -> Iterator[ComposedRedis]:
    pytest.importorskip("redis", reason="pip install 'affectstore[redis]'")
    if not any(Path(folder, "redis-server").exists() for folder in os.environ["PATH"].split(os.pathsep)):
        pytest.skip("no redis-server here: Debian's package redis-server has it")
    folder = tmp_path / "redis"
    folder.mkdir()
    server = ComposedRedis(folder)
    server.start()
    yield server
    server.stop()


def test_redis_asks_for_its_password_shows_it_to_nobody_and_keeps_what_it_has(
    composed_redis: ComposedRedis,
) -> None:
    import redis

    server = composed_redis
    assert server.is_healthy(server.password)
    assert not server.is_healthy("another")
    assert server.process is not None
    shown = Path(f"/proc/{server.process.pid}/cmdline").read_text()
    assert "redis-server" in shown  # the shell has given way to it: it is Redis that SIGTERM reaches
    assert server.password not in shown
    assert (server.folder / "redis.conf").stat().st_mode & 0o077 == 0
    with redis.Redis.from_url(server.url) as client:
        client.set("a", "1")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    server.process.terminate()
    assert server.process.wait(30) == 0
    server.restart()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("a") == b"1"


# --- the whole: an empty bucket, setup, a store with features, databases, servers ------------------------------------


@dataclass(frozen=True)
class Cluster:
    """What our services share: environment, the databases, and where logs go."""

    environment: Mapping[str, str]
    redis: ComposedRedis
    folder: Path


@pytest.fixture
def cluster(
    moto: Bucket,
    composed_redis: ComposedRedis,
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Cluster:
    """S3, Redis and PostgreSQL that hold what the compose file's `setup` left, and three utterances."""
    postgres = urlsplit(postgres_url)
    written = (INFRA / "feature_store.yaml").read_text()
    for old, new in {
        "affectstore@postgres:5432/affectstore": f"{postgres.username}@127.0.0.1:{postgres.port}{postgres.path}",
        "string: redis:6379": f"string: 127.0.0.1:{composed_redis.port}",
    }.items():
        assert written.count(old) == 1
        written = written.replace(old, new)
    (tmp_path / "feature_store.yaml").write_text(written)
    known = {
        "S3_ACCESS_KEY": moto.server.key,
        "S3_SECRET_KEY": moto.server.secret,
        "POSTGRES_PASSWORD": postgres.password,
        "REDIS_PASSWORD": composed_redis.password,
        "RAY_AUTH_TOKEN": "a1" * 24,
        # Nobody is asked before a token is shown.
        "OIDC_DISCOVERY_URL": f"http://127.0.0.1:{free_port()}/.well-known/openid-configuration",
    }
    environment = {}
    for name, value in SERVICES["tools"]["environment"].items():
        variable = value.removeprefix("${").partition(":")[0]
        environment[name] = str(known[variable]) if value.startswith("${") else value
    environment |= {
        "AWS_ENDPOINT_URL": moto.server.endpoint,
        "FEAST_FS_YAML_FILE_PATH": str(tmp_path / "feature_store.yaml"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # every `up` runs it again
        done = subprocess.run(command("setup", {}), capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
    store = open_store(environment["AFFECTSTORE_ROOT"], cache=str(tmp_path / "cache"))
    names = [f"c/{number}" for number in range(3)]
    texts = ["you did what", "oh no", "never mind"]
    store.write_manifest("c", pl.DataFrame({"utterance_id": names, "text": texts, "language": "en"}))
    return Cluster(environment, composed_redis, tmp_path)


def filled(cluster: Cluster) -> dict[str, np.ndarray]:
    """Extract, register and materialize; vectors by id as `pull` gives them."""
    from extractors.extraction import extract
    from extractors.registry import create
    from feature_repo.online import materialize
    from feature_repo.registry import register

    store = open_store(cluster.environment["AFFECTSTORE_ROOT"], cache=str(cluster.folder / "cache"))
    extract(store, [create("hashing", {"width": "16"})], profile="default", device="cpu")
    register(store)
    materialize(store, ["text"])
    pulled = store.pull(["text"])
    return dict(zip(pulled.ids, np.asarray(pulled.features["text"]), strict=True))


@pytest.mark.long
def test_the_whole_gives_what_pull_gives(cluster: Cluster) -> None:
    import redis

    from feature_repo.online import lookup

    wanted = filled(cluster)
    store = open_store(cluster.environment["AFFECTSTORE_ROOT"], cache=str(cluster.folder / "cache"))
    found = lookup(store, ["text"], list(wanted))
    assert found["utterance_id"].to_list() == list(wanted)
    np.testing.assert_array_equal(
        np.array(found["text"].to_list(), np.float32), np.stack(list(wanted.values()))
    )
    with redis.Redis.from_url(cluster.redis.url) as client:
        assert client.dbsize() >= len(wanted)


def certificate(folder: Path) -> None:
    """`tls.crt` and `tls.key` of 127.0.0.1, signed by itself."""
    line = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
    ]
    line += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "tls.key")]
    subprocess.run([*line, "-out", str(folder / "tls.crt")], check=True, capture_output=True)


@pytest.mark.long
def test_the_feature_server_is_healthy_while_its_databases_are_and_wants_a_token(cluster: Cluster) -> None:
    import requests

    wanted = filled(cluster)
    certificate(cluster.folder)
    port = free_port()
    changes = {"0.0.0.0": "127.0.0.1", "6566": str(port), "/run/tls": str(cluster.folder)}
    log = cluster.folder / "serve.log"
    with running(command("feast", changes), cluster.environment, log) as server:

        def healthy() -> bool:
            assert server.poll() is None, log.read_text()[-3000:]
            return is_healthy("feast", cluster.environment, {"6566": str(port)})

        until(healthy, "no feature server", log)
        asked = {"features": ["x:text"], "entities": {"utterance_id": list(wanted)}}
        url = f"https://127.0.0.1:{port}/get-online-features"
        answer = requests.post(url, json=asked, verify=str(cluster.folder / "tls.crt"), timeout=20)
        assert answer.status_code in (401, 403)
        assert cluster.redis.password not in answer.text
        cluster.redis.kill()
        assert not is_healthy("feast", cluster.environment, {"6566": str(port)})
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    assert cluster.redis.password not in log.read_text()


@pytest.mark.long
def test_neither_server_starts_for_others_without_a_certificate(cluster: Cluster) -> None:
    for service in ("feast", "feast-offline"):
        line = [word for word in command(service, {}) if not word.startswith(("--cert", "--key"))]
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 1
        assert "--cert" in done.stderr


@pytest.mark.long
def test_the_offline_server_comes_up_and_wants_a_token(cluster: Cluster) -> None:
    import pyarrow.flight as flight

    filled(cluster)
    certificate(cluster.folder)
    port = free_port()
    changes = {"0.0.0.0": "127.0.0.1", "8815": str(port), "/run/tls": str(cluster.folder)}
    log = cluster.folder / "serve.log"
    with running(command("feast-offline", changes), cluster.environment, log) as server:

        def healthy() -> bool:
            assert server.poll() is None, log.read_text()[-3000:]
            return is_healthy("feast-offline", cluster.environment, {"8815": str(port)})

        until(healthy, "no offline server", log)
        root = (cluster.folder / "tls.crt").read_bytes()
        with flight.connect(f"grpc+tls://127.0.0.1:{port}", tls_root_certs=root) as client:
            described = flight.FlightDescriptor.for_command(
                b'{"api": "get_historical_features", "command_id": "1"}'
            )
            with pytest.raises(flight.FlightError, match=r"(?i)token|authenticat|authoriz"):
                client.get_flight_info(described)


# --- Ray -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Ray's temporary folder, short for its sockets; afterwards no process that names it is left."""
    import psutil

    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    yield folder
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.long
def test_ray_computes_for_whoever_has_its_token(
    tmp_path: Path, ray_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_ray(monkeypatch)
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    names = [f"c/{number}" for number in range(20)]
    store.write_manifest("c", pl.DataFrame({"utterance_id": names, "text": names, "language": "en"}))
    port = free_port()
    mode = {"RAY_AUTH_MODE": SERVICES["ray-head"]["environment"]["RAY_AUTH_MODE"]}
    known, wrong = {**mode, "RAY_AUTH_TOKEN": "a1" * 24}, {**mode, "RAY_AUTH_TOKEN": "b2" * 24}
    # A second node would want this machine's outer address, so that the head computes here.
    changes = {"--port=6379": f"--port={port}", "--num-cpus=0": "--num-cpus=1", "=1000000000": "=100000000"}
    head = [*command("ray-head", changes), "--node-ip-address=127.0.0.1", f"--temp-dir={ray_folder}"]
    check = {"127.0.0.1:6379": f"127.0.0.1:{port}"}
    extract = [str(BIN / "affectstore"), "extract", "-e", "hashing", "-s", "width=16", "--engine", "ray"]
    extract += ["--ray-address", f"127.0.0.1:{port}", "--root", str(tmp_path / "store")]

    def extracted(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        whole = {**os.environ, **environment}
        return subprocess.run(extract, env=whole, capture_output=True, text=True, timeout=PATIENCE_S)

    log = tmp_path / "head.log"
    with running(head, known, log):
        until(lambda: "Ray runtime started" in log.read_text(), "no head", log)
        until(lambda: is_healthy("ray-head", known, check), "no healthy head", log)
        refused = extracted(wrong)
        assert refused.returncode == 1, refused.stdout + refused.stderr
        assert all(store.table(view).live_keys().is_empty() for view in store.views())
        done = extracted(known)
        assert done.returncode == 0, done.stdout + done.stderr
    (view,) = store.views()
    assert sorted(store.table(view).live_keys()["utterance_id"]) == sorted(names)
