"""Real S3 servers for tests, on free loopback ports: moto's, always here, and OpenStack Swift, in production use.

``s3`` is an empty bucket on each of them in turn, with the credentials in the environment where AWS's own tools look
for them. ``swift`` is one on Swift alone, whose objects outlive a kill of its servers; ``moto`` one on moto alone,
which knows conditional writes.
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import itertools
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

_PATIENCE_S = 120.0  # four Pythons on a busy machine
_NODE = Path(__file__).with_name("swift_node.py")
_DEBIAN_PYTHON = "/usr/bin/python3"  # whose site-packages hold Debian's python3-swift
_SWIFT_SERVERS = ("account", "container", "object", "proxy")
_SWIFT_PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper cache heads listing_formats s3api tempauth copy dlo slo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
paste.filter_factory = swift_node:no_cache
[filter:heads]
paste.filter_factory = swift_node:short_heads
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
max_bucket_listing = {page}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:dlo]
use = egg:swift#dlo
[filter:slo]
use = egg:swift#slo
[filter:versioned_writes]
use = egg:swift#versioned_writes
"""


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, killed test runs included (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1: PR_SET_PDEATHSIG


class S3Server:
    """An S3 server on a loopback port, as one process or several.

    Args:
        folder: where its log and data are.
    """

    page = 1000  # keys that one answer lists

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.key = f"KEY{secrets.token_hex(8)}"
        self.secret = f"SECRET{secrets.token_hex(16)}"
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def commands(self) -> list[list[str]]:
        raise NotImplementedError

    def ports(self) -> list[int]:
        """Every port that must answer before the server is up."""
        return [self.port]

    def start(self) -> None:
        """Start on the data that is there and wait until it answers; does nothing when it runs."""
        if self.processes:
            return
        with (self.folder / "log").open("ab") as log:
            self.processes = [
                subprocess.Popen(
                    command, stdout=log, stderr=log, cwd=self.folder, preexec_fn=_die_with_parent
                )
                for command in self.commands()
            ]
        end = time.monotonic() + _PATIENCE_S
        while not self._answers():
            if any(process.poll() is not None for process in self.processes) or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"no server came up: {(self.folder / 'log').read_text()[-3000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            for port in self.ports():
                socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait(_PATIENCE_S)
        self.processes = []

    def environment(self) -> dict[str, str]:
        """Variables by which AWS's own tools, and s3fs, find the server."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """A botocore client: another way to the objects than the one under test."""
        import botocore.session
        from botocore.config import Config

        # The bucket in the path: its name as a host's would have to be resolved.
        return botocore.session.Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}),
        )


class MotoServer(S3Server):
    """Moto's server, whose objects are in its memory: a kill loses them. It takes every key."""

    def commands(self) -> list[list[str]]:
        return [[sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]]


class SwiftServer(S3Server):
    """OpenStack Swift with its S3 interface: one proxy and one account, container and object server on one device.

    Its S3 interface knows no conditional writes.
    """

    page = 100

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.key = "test:tester"
        self._ports = {name: free_port() for name in _SWIFT_SERVERS[:3]} | {"proxy": self.port}
        shared = {
            "bind_ip": "127.0.0.1",
            "user": getpass.getuser(),
            "swift_dir": folder,
            "devices": folder / "devices",
            "mount_check": "false",
            "fallocate_reserve": 0,
            "workers": 0,
            "log_level": "WARNING",
        }
        (folder / "devices" / "d1").mkdir(parents=True)
        (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n")
        for name, port in self._ports.items():
            settings = "".join(f"{key} = {value}\n" for key, value in {**shared, "bind_port": port}.items())
            app = f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
            if name == "proxy":
                app = _SWIFT_PROXY.format(secret=self.secret, page=self.page)
            else:
                self._make_ring(name, port)
            (folder / f"{name}-server.conf").write_text(f"[DEFAULT]\n{settings}{app}")

    def _make_ring(self, name: str, port: int) -> None:
        builder = str(self.folder / f"{name}.builder")
        # One replica in 2**4 partitions, to be moved whenever one likes: the one device has them all.
        for step in (["create", "4", "1", "0"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
            done = subprocess.run(["swift-ring-builder", builder, *step], capture_output=True, text=True)
            if done.returncode > 1:  # 1 is a warning
                raise RuntimeError(f"swift-ring-builder failed: {done.stdout} {done.stderr}")

    def commands(self) -> list[list[str]]:
        return [[_DEBIAN_PYTHON, str(_NODE), name, str(self.folder)] for name in _SWIFT_SERVERS]

    def ports(self) -> list[int]:
        return list(self._ports.values())


@dataclass(frozen=True)
class Bucket:
    """An empty bucket on a server that runs.

    Attributes:
        server: the server.
        name: the bucket's name.
    """

    server: S3Server
    name: str

    @property
    def root(self) -> str:
        """URL of a store in the bucket."""
        return f"s3://{self.name}/store"

    def objects(self) -> dict[str, bytes]:
        """Every object's key and bytes, read without the code under test."""
        client = self.server.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return {key: client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}


_numbers = itertools.count()


@contextlib.contextmanager
def running(kind: type[S3Server]) -> Iterator[S3Server]:
    """A server of one's own; the test is skipped where it can't be had."""
    pytest.importorskip("s3fs", reason="pip install 'affectstore[s3]'")
    if kind is SwiftServer and not shutil.which("swift-proxy-server"):
        pytest.skip("no Swift here: Debian's swift-proxy swift-account swift-container swift-object have it")
    folder = Path(tempfile.mkdtemp(prefix="affectstore-s3-"))
    server = None
    try:
        server = kind(folder)
        server.start()
        yield server
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def bucket_on(server: S3Server) -> Iterator[Bucket]:
    """A new bucket, with the server and its credentials in the environment."""
    import s3fs

    server.start()
    name = f"bucket-{next(_numbers)}-{secrets.token_hex(3)}"
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "FSSPEC_S3_ENDPOINT_URL"):
            patch.delenv(variable, raising=False)
        for variable, value in server.environment().items():
            patch.setenv(variable, value)
        s3fs.S3FileSystem.clear_instance_cache()  # those of another server's test
        server.client().create_bucket(Bucket=name)
        yield Bucket(server, name)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def _moto_server() -> Iterator[S3Server]:
    with running(MotoServer) as server:
        yield server


@pytest.fixture(scope="session")
def _swift_server() -> Iterator[S3Server]:
    with running(SwiftServer) as server:
        yield server


@pytest.fixture
def moto(_moto_server: S3Server) -> Iterator[Bucket]:
    """An empty bucket on moto's server."""
    with bucket_on(_moto_server) as bucket:
        yield bucket


@pytest.fixture
def swift(_swift_server: S3Server) -> Iterator[Bucket]:
    """An empty bucket on Swift."""
    with bucket_on(_swift_server) as bucket:
        yield bucket


@pytest.fixture(params=["moto", "swift"])
def s3(request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket on each server in turn."""
    bucket: Bucket = request.getfixturevalue(request.param)
    return bucket
