"""Serving history by Arrow Flight: Feast's offline server for reading alone, as one call."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from feature_repo.feast_store import open_feast
from feature_repo.serving.addresses import check_address
from feature_repo.serving.http_server import Listening, start_authentication

if TYPE_CHECKING:
    from collections.abc import Callable

    from feature_repo.store import Store

_READING = "this server is for reading alone"


def serve_flight(store: Store, at: Listening, *, ready: Callable[[], None] = lambda: None) -> None:
    """Answer historical requests until SIGINT or SIGTERM.

    Args:
        store: the store.
        at: where to listen.
        ready: called once the server listens.

    Raises:
        BadInputError: the address is open to others without authentication and TLS, or the port is taken.
        SystemExit: at the end.
    """
    feast = open_feast(store)
    check_address(at.host, feast.config.auth_config.type, at.cert, at.key)
    start_authentication(feast, "arrow")
    from feast.offline_server import OfflineServer  # pyarrow.flight
    from pyarrow.flight import FlightServerError

    from feature_repo.errors import BadInputError

    class ReadingServer(OfflineServer):
        """Feast's server without what writes: a store's tables are written by extraction alone."""

        def offline_write_batch(self, command: dict[str, Any], key: str) -> None:
            raise FlightServerError(_READING)

        def write_logged_features(self, command: dict[str, Any], key: str) -> None:
            raise FlightServerError(_READING)

        def persist(self, command: dict[str, Any], key: str) -> None:
            raise FlightServerError(_READING)

    certificates = [(at.cert.read_bytes(), at.key.read_bytes())] if at.cert and at.key else []
    location = f"grpc+{'tls' if certificates else 'tcp'}://{at.host}:{at.port}"
    try:
        server: Any = ReadingServer(feast, location=location, host=at.host, tls_certificates=certificates)
    except OSError as error:
        raise BadInputError(f"can't listen at {at.host}:{at.port}: {error}") from error
    # Arrow stops the server and then raises the signal anew, for whoever listened before.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _end)
    ready()
    try:
        server.serve()
    finally:
        server.shutdown()


def _end(*_: object) -> None:
    raise SystemExit(0)
