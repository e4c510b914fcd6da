"""Plain ``feast serve`` and ``serve_offline`` on an open address end before they answer, and say what they want."""

from pathlib import Path

import click
import pytest

from feature_repo.feast_import import import_feast
from feature_repo.static_artifacts import load_artifacts

YAML = """
project: p
provider: local
registry: {registry_type: sql, path: 'sqlite:///x.db'}
entity_key_serialization_version: 3
"""
OIDC = "auth: {type: oidc, auth_discovery_url: 'https://issuer.example/openid', client_id: reader}\n"


class _EndedError(Exception):
    pass


@pytest.fixture
def started(tmp_path, monkeypatch):
    """What happens when a Feast command starts its server: the exit code, or None when it goes on."""
    import_feast()
    from feast.infra.offline_stores.offline_utils import get_offline_store_from_config

    from feature_repo.feast_offline import PartsOfflineStoreConfig

    def ended(code: int) -> None:
        raise _EndedError(code)

    monkeypatch.setattr("os._exit", ended)

    def start(command: str, host: str, cert: str = "", key: str = "", more: str = "") -> int | None:
        path = Path(tmp_path, "feature_store.yaml")
        path.write_text(YAML + more)
        context = click.Context(click.Command(command), obj={"CHDIR": tmp_path, "FS_YAML_FILE": path})
        context.params = {"host": host, "tls_cert_path": cert, "tls_key_path": key}
        try:
            with context:
                if command == "serve_offline":
                    get_offline_store_from_config(PartsOfflineStoreConfig())  # as Feast's server does first
                else:
                    load_artifacts(None)
        except _EndedError as error:
            return int(error.args[0])
        return None

    return start


def test_an_open_address_ends_the_server_and_loopback_does_not(started, tmp_path, capsys):
    pem = tmp_path / "file.pem"
    pem.write_text("")
    assert started("serve", "127.0.0.1") is None
    assert started("serve", "0.0.0.0") == 4  # gunicorn starts no other worker then
    assert "error: 0.0.0.0 can be reached from other machines" in capsys.readouterr().err
    assert started("serve", "0.0.0.0", str(pem), str(pem)) == 4
    assert started("serve", "0.0.0.0", more=OIDC) == 4
    assert started("serve", "0.0.0.0", str(pem), str(pem), OIDC) is None
    assert started("ui", "0.0.0.0") is None


def test_an_open_address_ends_the_offline_server_and_loopback_does_not(started, tmp_path):
    pem = tmp_path / "file.pem"
    pem.write_text("")
    assert started("serve_offline", "127.0.0.1") is None
    for refused in ({}, {"cert": str(pem), "key": str(pem)}, {"more": OIDC}):
        with pytest.raises(click.ClickException, match=r"0\.0\.0\.0 can be reached from other machines"):
            started("serve_offline", "0.0.0.0", **refused)
    assert started("serve_offline", "0.0.0.0", str(pem), str(pem), OIDC) is None


def test_without_a_feast_command_nothing_is_asked():
    load_artifacts(None)
