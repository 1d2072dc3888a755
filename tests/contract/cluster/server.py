"""A real HTTP server that answers like an API server, as the test says."""

from __future__ import annotations

import json
import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from tests.contract.serving import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON of any shape
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    body: bytes
    status: int = 200
    declared_length: int | None = None
    """Content-Length where it is not the body's."""


def json_reply(content: object, status: int = 200) -> Reply:
    return Reply(json.dumps(content).encode(), status)


def refused(status: int, reason: str, message: str) -> Reply:
    """A refusal as the API server words it."""
    return json_reply(status_object(status, reason, message), status)


def status_object(status: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status,
    }


def page(*items: object, version: int, more: str = "") -> Reply:
    """A page of a list."""
    metadata = {"resourceVersion": str(version), **({"continue": more} if more else {})}
    return json_reply({"kind": "List", "metadata": metadata, "items": list(items)})


@dataclass
class Stream:
    """A watch: what is sent goes out at once, until it is ended or cut."""

    chunks: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    cut_at_end: bool = False

    def send(self, *events: tuple[str, object]) -> Self:
        """Events in one chunk."""
        lines = [json.dumps({"type": kind, "object": each}) + "\n" for kind, each in events]
        return self.send_bytes("".join(lines).encode())

    def send_bytes(self, chunk: bytes) -> Self:
        self.chunks.put(chunk)
        return self

    def bookmark(self, version: int) -> Self:
        kind = {"kind": "Deployment", "apiVersion": "apps/v1"}
        return self.send(("BOOKMARK", {**kind, "metadata": {"resourceVersion": str(version)}}))

    def end(self) -> Self:
        """End as the API server does after timeoutSeconds."""
        self.chunks.put(None)
        return self

    def cut(self) -> Self:
        """End in the middle, as a lost connection does."""
        self.cut_at_end = True
        return self.end()


class Hang:
    """No answer at all, until the server goes."""


Answer: TypeAlias = "Reply | Stream | Hang | Callable[[Asked], Reply]"
"""A function of the request makes a server that remembers."""


class FakeApiServer:
    """Gives each answer that was scripted for a method and path once, the last one for ever.

    A watch without a script stays open and says nothing.
    """

    def __init__(self) -> None:
        self.url = ""
        self.over = threading.Event()
        self._asked: list[Asked] = []
        self._changed = threading.Condition()
        self._script: dict[tuple[str, str], deque[Answer]] = defaultdict(deque)

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Script answers, or what makes them; a watch is asked for with the method WATCH."""
        self._script[method, path].extend(answers)

    def asked(self, method: str, path: str | None = None) -> list[Asked]:
        with self._changed:
            return [
                each for each in self._asked if each.method == method and path in {None, each.path}
            ]

    def wait_asked(self, method: str, number: int, path: str | None = None) -> list[Asked]:
        """The requests of a method, or those for one path, once there are so many of them."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.asked(method, path)) >= number, 60.0)
        assert came, f"no {number} requests of {method} within 60 s: {self._asked}"
        return self.asked(method, path)

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Listen on a port of this machine for as long as the context lasts."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                fake._handle(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

        with served(Handler, self.over) as self.url:
            yield self

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = dict(parse_qsl(parts.query))
        method = "WATCH" if "watch" in query else handler.command
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._changed:
            headers = {name.lower(): value for name, value in handler.headers.items()}
            asked = Asked(method, parts.path, query, headers, body)
            self._asked.append(asked)
            answer = self._next(self._script[method, parts.path], method)
            if callable(answer):
                answer = answer(asked)
            self._changed.notify_all()
        match answer:
            case Reply():
                self._reply(handler, answer)
            case Stream():
                self._stream(handler, answer)
            case Hang():
                handler.close_connection = True
                self.over.wait()

    @staticmethod
    def _next(script: deque[Answer], method: str) -> Answer:
        if not script:
            return Stream() if method == "WATCH" else Hang()
        # A stream can be read only once.
        last = len(script) == 1 and not isinstance(script[0], Stream)
        return script[0] if last else script.popleft()

    @staticmethod
    def _reply(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        handler.send_response(reply.status)
        handler.send_header("Content-Type", "application/json")
        length = len(reply.body) if reply.declared_length is None else reply.declared_length
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(reply.body)
        if reply.declared_length is not None:
            handler.close_connection = True

    def _stream(self, handler: BaseHTTPRequestHandler, stream: Stream) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        while not self.over.is_set():
            try:
                chunk = stream.chunks.get(timeout=0.05)
            except queue.Empty:
                continue
            if chunk is None:
                break
            with suppress(OSError):
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                handler.wfile.flush()
        if stream.cut_at_end:
            handler.close_connection = True
        else:
            with suppress(OSError):
                handler.wfile.write(b"0\r\n\r\n")
