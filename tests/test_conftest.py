"""The guard that keeps tests off the network really guards."""

import os
import socket
from pathlib import Path

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("198.51.100.7", 443)])
def test_no_connection_leaves_the_machine(address: tuple[str, int]) -> None:
    with socket.socket() as client, pytest.raises(AssertionError, match="never use the network"):
        client.connect(address)


def test_no_name_is_resolved() -> None:
    with pytest.raises(AssertionError, match="never use the network"):
        socket.create_connection(("huggingface.example", 443))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_no_test_sees_the_users_store_or_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert "AFFECTSTORE_ROOT" not in os.environ
    assert Path(os.environ["AFFECTSTORE_CACHE"]).is_relative_to(tmp_path_factory.getbasetemp())
