"""Serving over HTTP: Feast's feature server, its worker processes included, as one call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_repo.feast_config import hide_secrets
from feature_repo.feast_store import open_feast
from feature_repo.serving.addresses import check_address

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.store import Store

_KEEP_ALIVE_S = 30
_STOP_S = 10  # for answers that are on their way


@dataclass(frozen=True)
class Listening:
    """Where a server listens.

    Attributes:
        host: address.
        port: port.
        cert: file of its certificate, for TLS.
        key: file of the certificate's key.
    """

    host: str = "127.0.0.1"
    port: int = 6566
    cert: Path | None = None
    key: Path | None = None

    @property
    def url(self) -> str:
        """The server's address for clients."""
        return f"{'https' if self.cert else 'http'}://{self.host}:{self.port}"


def serve_http(
    store: Store,
    at: Listening,
    *,
    workers: int = 1,
    registry_ttl_s: int = 10,
    access_log: bool = False,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Answer until SIGINT or SIGTERM, which lets requests that are being answered end.

    Args:
        store: the store.
        at: where to listen.
        workers: processes that answer.
        registry_ttl_s: seconds after which new views and services are seen.
        access_log: print a line for each request.
        ready: called once the server listens.

    Raises:
        BadInputError: the address is open to others without authentication and TLS.
        SystemExit: at the end.
    """
    feast = open_feast(store)
    check_address(at.host, feast.config.auth_config.type, at.cert, at.key)
    start_authentication(feast, "rest")
    from feast.feature_server import FeastServeApplication  # FastAPI, gunicorn

    from feature_repo.serving.app import reading_app  # the same

    app = reading_app(feast, registry_ttl_s, lambda error: hide_secrets(store, error))

    class Application(FeastServeApplication):
        """Gunicorn with Feast's settings for it, and our application."""

        def __init__(self, **options: Any) -> None:
            super().__init__(feast, registry_ttl_sec=registry_ttl_s, **options)
            self._app = app

    release(feast)
    Application(
        bind=f"[{at.host}]:{at.port}" if ":" in at.host else f"{at.host}:{at.port}",
        workers=workers,
        accesslog="-" if access_log else None,
        loglevel="warning",
        keepalive=_KEEP_ALIVE_S,
        graceful_timeout=_STOP_S,
        keyfile=at.key and str(at.key),
        certfile=at.cert and str(at.cert),
        control_socket_disable=True,  # it would lie in the user's home folder, one for all servers
        when_ready=lambda server: ready(),
    ).run()


def start_authentication(feast: FeatureStore, kind: str) -> None:
    """Set Feast up to check tokens, when its configuration says how.

    Args:
        feast: the feature store.
        kind: ``rest`` or ``arrow``.
    """
    from feast.permissions.server.utils import (
        ServerType,
        init_auth_manager,
        init_security_manager,
        str_to_auth_manager_type,
    )

    # On an open address we refuse; on loopback Feast's warning that nobody is asked who he is would only worry.
    logging.getLogger("feast.permissions.server.utils").setLevel(logging.ERROR)
    auth = str_to_auth_manager_type(feast.config.auth_config.type)
    init_security_manager(auth_type=auth, fs=feast)
    init_auth_manager(auth_type=auth, server_type=ServerType(kind), auth_config=feast.config.auth_config)


def release(feast: FeatureStore) -> None:
    """Close the registry's connections: two worker processes must not speak through one."""
    for name in ("write_engine", "read_engine"):
        engine = getattr(feast.registry, name, None)
        if engine is not None:
            engine.dispose()
