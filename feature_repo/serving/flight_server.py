"""Serving history by Arrow Flight: Feast's offline server as one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_repo.feast_store import open_feast
from feature_repo.serving.addresses import check_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from feature_repo.serving.http_server import Listening
    from feature_repo.store import Store


def serve_flight(store: Store, at: Listening, *, ready: Callable[[], None] = lambda: None) -> None:
    """Answer historical requests until SIGINT or SIGTERM.

    Args:
        store: the store.
        at: where to listen.
        ready: called once the server listens.

    Raises:
        BadInputError: the address is open to others without authentication and TLS.
        SystemExit: at the end.
    """
    feast = open_feast(store)
    check_address(at.host, feast.config.auth_config.type, at.cert, at.key)
    from feast import offline_server  # pyarrow.flight

    class Server(offline_server.OfflineServer):  # type: ignore[misc]  # Feast ships no types
        """Feast's server, which tells when it listens."""

        def serve(self) -> None:
            ready()  # the port is bound when the object is made
            super().serve()

    original, offline_server.OfflineServer = offline_server.OfflineServer, Server
    try:
        offline_server.start_server(
            feast, at.host, at.port, str(at.key) if at.key else "", str(at.cert) if at.cert else ""
        )
    finally:
        offline_server.OfflineServer = original
