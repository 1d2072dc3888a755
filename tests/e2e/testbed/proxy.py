"""A proxy before the API server or Prometheus that a test can make fail at an exact request.

The operator talks plain HTTP to it; it adds the trust in the upstream's certificate and passes
everything else on, watches included. A test hands it a function that is asked about every request
before it is forwarded, and can so act in between, lose or withhold the request or its answer, alter
either, or have something else answered.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_COMPRESSION = {"accept-encoding"}
_WATCH_TIMEOUT_SECONDS = 600.0
_CHUNK_BYTES = 65536


class Passage(Enum):
    """What becomes of a request."""

    FORWARD = "forward"
    LOSE_REQUEST = "lose the request"
    """The connection breaks before the upstream hears of it."""
    LOSE_ANSWER = "lose the answer"
    """The upstream acts on it, and the caller never learns."""
    HANG = "hang"
    """The upstream does not hear of it, and the connection stays open until the proxy relents."""


@dataclass(frozen=True)
class Answer:
    """What is answered in the upstream's place.

    Attributes:
        status: HTTP status.
        body: as sent.
        content_type: of the body.
    """

    status: int
    body: bytes = b"{}"
    content_type: str = "application/json"


@dataclass(frozen=True)
class Altered:
    """A request that is forwarded as another one, or whose answer comes back as another one.

    Attributes:
        path: with the query.
        body: of the request.
        answer: makes the answer's body out of the upstream's, where that is a success.
    """

    path: str
    body: bytes
    answer: Callable[[bytes], bytes] = lambda body: body


Fate: TypeAlias = Passage | Answer | Altered


@dataclass(frozen=True)
class Request:
    """A request on its way upstream.

    Attributes:
        method: such as `PATCH`.
        path: with the query.
        body: as sent.
    """

    method: str
    path: str
    body: bytes


def forward(_request: Request) -> Passage:
    """Pass everything on."""
    return Passage.FORWARD


class FaultProxy:
    """A running proxy; a context manager that ends it.

    Attributes:
        url: its address, plain HTTP.
    """

    def __init__(self, upstream: str, authority: Path | None = None) -> None:
        """Listen on a free port and serve from threads of its own.

        Args:
            upstream: the address of the API server or of Prometheus.
            authority: the certificate that the upstream's own is checked against; None where it
                speaks plain HTTP.
        """
        self._server = _Server(upstream, authority)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def ask(self, rule: Callable[[Request], Fate]) -> None:
        """Ask `rule` about each request from now on; it is called from several threads."""
        self._server.rule = rule

    def fall_silent(self) -> None:
        """Leave open connections half-open: nothing more comes of what was asked before.

        What is asked from now on is not concerned.
        """
        silent, self._server.silent = self._server.silent, threading.Event()
        silent.set()

    def relent(self) -> None:
        """Pass everything on from now on; connections on which nothing came are closed."""
        self._server.rule = forward
        relented, self._server.relented = self._server.relented, threading.Event()
        relented.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.relent()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream: str, authority: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rule: Callable[[Request], Fate] = forward
        # Each request takes the two that there are when it comes in.
        self.silent = threading.Event()
        self.relented = threading.Event()
        self._target = urlsplit(upstream)
        self._context = (
            None if authority is None else ssl.create_default_context(cafile=str(authority))
        )

    def connect(self) -> http.client.HTTPConnection:
        host, port = self._target.hostname or "", self._target.port
        if self._context is None:
            return http.client.HTTPConnection(host, port, timeout=_WATCH_TIMEOUT_SECONDS)
        return http.client.HTTPSConnection(
            host, port, context=self._context, timeout=_WATCH_TIMEOUT_SECONDS
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Keep quiet: the API server's audit log tells more."""

    def handle_request(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, self.rfile.read(length))
        silent, relented = self.server.silent, self.server.relented
        fate = self.server.rule(request)
        self.close_connection = True
        if fate is Passage.HANG:
            relented.wait()
        elif isinstance(fate, Answer):
            self._answer(fate)
        elif fate is not Passage.LOSE_REQUEST:
            self._forward(request, fate, silent, relented)

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def _forward(
        self,
        request: Request,
        fate: Passage | Altered,
        silent: threading.Event,
        relented: threading.Event,
    ) -> None:
        altered = fate if isinstance(fate, Altered) else None
        left_out = _HOP_BY_HOP if altered is None else _HOP_BY_HOP | _COMPRESSION
        headers = {k: v for k, v in self.headers.items() if k.lower() not in left_out}
        path, body = request.path, request.body
        if altered is not None:
            path, body = altered.path, altered.body
        connection = self.server.connect()
        try:
            connection.request(request.method, path, body or None, headers)
            answer = connection.getresponse()
            if fate is Passage.LOSE_ANSWER:
                answer.read()
            elif altered is not None and answer.status == http.client.OK:
                content_type = answer.getheader("Content-Type", "")
                self._answer(Answer(http.client.OK, altered.answer(answer.read()), content_type))
            else:
                self._pass_back(answer, silent, relented)
        except (OSError, http.client.HTTPException):
            return  # Either side went away; the caller sees a broken connection.
        finally:
            connection.close()

    def _pass_back(
        self,
        answer: http.client.HTTPResponse,
        silent: threading.Event,
        relented: threading.Event,
    ) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        while True:
            chunk = answer.read1(_CHUNK_BYTES)
            if silent.is_set():
                relented.wait()  # the end of the answer does not come either
                return
            if not chunk:
                return
            self.wfile.write(chunk)
            self.wfile.flush()

    # The names that http.server looks for.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request  # noqa: N815
