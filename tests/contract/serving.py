"""An HTTP server on a port of this machine that takes its connections with it when it ends."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


class _Server(ThreadingHTTPServer):
    """No thread outlives it: one that is left over can abort the interpreter at its exit."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._connections: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up on us is part of the tests."""


@contextmanager
def served(
    handler: type[BaseHTTPRequestHandler], over: threading.Event, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve for as long as the context lasts.

    Args:
        handler: Of each connection.
        over: Set at the end, before the connections are cut.
        tls: To serve HTTPS.

    Yields:
        The server's address.
    """
    server = _Server(handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
