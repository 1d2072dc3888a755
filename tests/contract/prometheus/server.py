"""A real HTTP server that answers as the test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.contract.serving import served

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def query(self) -> str:
        return self.parameters["query"]


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    declared_length: int | None = None
    """Content-Length where it is not the body's."""


def vector(*series: Mapping[str, Any], **envelope: object) -> Reply:
    """A good answer."""
    found = {"resultType": "vector", "result": list(series)}
    return Reply(json.dumps({"status": "success", "data": found, **envelope}).encode())


def one(value: str = "1", **labels: str) -> dict[str, Any]:
    """One series of container ``app`` of the Deployment ``shop/web``; empty labels are left out."""
    every = {"namespace": "shop", "kind": "Deployment", "workload": "web", "container": "app"}
    every |= labels
    metric = {name: text for name, text in every.items() if text}
    return {"metric": metric, "value": [1700000000.0, value]}


class FakePrometheus:
    """Answers every query with an empty vector, until told otherwise."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.reply: Callable[[Asked], Reply] = lambda _: vector()
        self.misbehave: Callable[[BaseHTTPRequestHandler, threading.Event], None] | None = None
        self.url = ""
        self.over = threading.Event()

    def answer_all(self, reply: Reply) -> None:
        """Give this answer to every query."""
        self.reply = lambda _: reply

    def answer_one(self, marker: str, reply: Reply) -> None:
        """Give this answer to the queries that hold a text, and an empty vector to the others."""
        self.reply = lambda asked: reply if marker in asked.query else vector()

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[FakePrometheus]:
        """Listen on a port of this machine for as long as the context lasts."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                fake.handle(self)

            def do_POST(self) -> None:
                fake.handle(self)

        with served(Handler, self.over, tls) as self.url:
            yield self

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        parts = urlsplit(handler.path)
        asked = Asked(
            handler.command, parts.path, dict(parse_qsl(parts.query)), dict(handler.headers)
        )
        self.asked.append(asked)
        if self.misbehave is not None:
            handler.close_connection = True
            self.misbehave(handler, self.over)
            return
        reply = self.reply(asked)
        handler.send_response(reply.status)
        for name, value in reply.headers:
            handler.send_header(name, value)
        length = len(reply.body) if reply.declared_length is None else reply.declared_length
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(reply.body)
        if reply.declared_length is not None:
            handler.close_connection = True
