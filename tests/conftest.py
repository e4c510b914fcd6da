"""What every room's tests share: the real samples, and no way to the network or to the user's own stores."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

# Real Redis and PostgreSQL servers, and S3 servers, started when a test asks for one.
pytest_plugins = ["tests.servers", "tests.s3_servers"]

SAMPLES_VARIABLE = "AFFECTSTORE_SAMPLES"
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "FEAST_USAGE": "False",
    "TOKENIZERS_PARALLELISM": "false",
}
# Set here, not in a fixture: Hugging Face's libraries read these when they are imported. Child processes inherit them.
os.environ.update(OFFLINE)
os.environ.pop("AFFECTSTORE_ROOT", None)

_connect = socket.socket.connect
_resolve = socket.getaddrinfo


def _is_local(host: object) -> bool:
    return host is None or str(host) in {"", "localhost", "::1", "0.0.0.0"} or str(host).startswith("127.")


def _connect_locally(self: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and not _is_local(address[0]):
        raise AssertionError(f"a test tried to reach {address[0]}: tests never use the network")
    _connect(self, address)


def _resolve_locally(host: Any, *arguments: Any, **options: Any) -> Any:
    if not _is_local(host if not isinstance(host, bytes) else host.decode()):
        raise AssertionError(f"a test tried to resolve {host!r}: tests never use the network")
    return _resolve(host, *arguments, **options)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Any:
    """Refuse every connection that leaves the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _connect_locally)
        patch.setattr(socket, "getaddrinfo", _resolve_locally)
        yield


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keep mirrors and digests out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFFECTSTORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real corpora samples, named by AFFECTSTORE_SAMPLES; the test is skipped without it."""
    folder = os.environ.get(SAMPLES_VARIABLE)
    if not folder:
        pytest.skip(f"{SAMPLES_VARIABLE} is not set: no real corpora at hand")
    return Path(folder)
