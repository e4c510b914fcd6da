"""A TCP proxy on loopback that stands between a client and a server: slow, busy, or silent."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Literal

from tests.servers import free_port

_PIECE = 16 * 1024
_BUSY = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: 89\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>  "
)

Manner = Literal["slow", "busy", "silent"]


class Proxy:
    """Forwards to one server.

    Args:
        port: the server's port.
        manner: ``slow`` forwards what the client sends at ``bytes_per_s``; ``busy`` answers the first connections with
            503; ``silent`` takes everything and answers nothing.
        bytes_per_s: how fast ``slow`` is.
        refused: how many connections ``busy`` refuses.
    """

    def __init__(self, port: int, manner: Manner, *, bytes_per_s: int = 10**6, refused: int = 2) -> None:
        self.server, self.manner, self.bytes_per_s, self.refused = port, manner, bytes_per_s, refused
        self.connections = 0
        self.port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(client, self.connections), daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _answer(self, client: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), client:
            if self.manner == "silent":
                while client.recv(_PIECE):
                    pass
            elif self.manner == "busy" and number <= self.refused:
                client.recv(_PIECE)
                client.sendall(_BUSY)
            else:
                with socket.create_connection(("127.0.0.1", self.server)) as server:
                    back = threading.Thread(target=_pump, args=(server, client, 0.0), daemon=True)
                    back.start()
                    _pump(client, server, 1 / self.bytes_per_s if self.manner == "slow" else 0.0)
                    back.join(30)


def _pump(source: socket.socket, target: socket.socket, seconds_per_byte: float) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            time.sleep(len(data) * seconds_per_byte)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy(port: int, manner: Manner, **options: int) -> Iterator[Proxy]:
    """A proxy before the server at a port, until the end of the block."""
    made = Proxy(port, manner, **options)
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.close()
