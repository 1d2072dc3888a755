"""A proxy before the API server that a test can make fail at an exact request.

The operator talks plain HTTP to it; it adds the trust in the API server's certificate and passes
everything else on, watches included. A test hands it a function that is asked about every request
before it is forwarded, and can so act in between, or lose the request or its answer.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_WATCH_TIMEOUT_SECONDS = 600.0
_CHUNK_BYTES = 65536


class Passage(Enum):
    """What becomes of a request."""

    FORWARD = "forward"
    LOSE_REQUEST = "lose the request"
    """The connection breaks before the API server hears of it."""
    LOSE_ANSWER = "lose the answer"
    """The API server acts on it, and the caller never learns."""


@dataclass(frozen=True)
class Request:
    """A request on its way to the API server.

    Attributes:
        method: such as `PATCH`.
        path: with the query.
        body: as sent.
    """

    method: str
    path: str
    body: bytes


class ApiProxy:
    """A running proxy; a context manager that ends it.

    Attributes:
        url: its address, plain HTTP.
    """

    def __init__(self, upstream: str, authority: Path) -> None:
        """Listen on a free port and serve from threads of its own.

        Args:
            upstream: the API server's address.
            authority: the certificate that the API server's own is checked against.
        """
        self._server = _Server(upstream, authority)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def ask(self, rule: Callable[[Request], Passage]) -> None:
        """Ask `rule` about each request from now on; it is called from several threads."""
        self._server.rule = rule

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: str, authority: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rule: Callable[[Request], Passage] = lambda _request: Passage.FORWARD
        self._target = urlsplit(upstream)
        self._context = ssl.create_default_context(cafile=str(authority))

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self._target.hostname or "",
            self._target.port,
            context=self._context,
            timeout=_WATCH_TIMEOUT_SECONDS,
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Keep quiet: the API server's audit log tells more."""

    def handle_request(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, self.rfile.read(length))
        passage = self.server.rule(request)
        self.close_connection = True
        if passage is Passage.LOSE_REQUEST:
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        connection = self.server.connect()
        try:
            connection.request(request.method, request.path, request.body or None, headers)
            answer = connection.getresponse()
            if passage is Passage.LOSE_ANSWER:
                answer.read()
                return
            self._pass_back(answer)
        except (OSError, http.client.HTTPException):
            return  # Either side went away; the caller sees a broken connection.
        finally:
            connection.close()

    def _pass_back(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while chunk := answer.read1(_CHUNK_BYTES):
            self.wfile.write(chunk)
            self.wfile.flush()

    # The names that http.server looks for.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request  # noqa: N815
