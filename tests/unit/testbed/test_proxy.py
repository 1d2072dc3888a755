from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.contract.serving import served
from tests.e2e.testbed.proxy import Altered, Answer, FaultProxy, Passage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.testbed.proxy import Request


class Upstream:
    """Answers with what it was asked; under /stream with a line now and one once it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.url = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                upstream.asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"{self.path}\n".encode())
                if self.path == "/stream":
                    upstream.go_on.wait(30)
                    self.wfile.write(b"more\n")

        return Handler


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    with served(made.handler(), made.go_on) as made.url:
        yield made


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[FaultProxy]:
    with FaultProxy(upstream.url) as running:
        yield running


def opened(proxy: FaultProxy, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=30)
    connection.request("GET", path)
    return connection.getresponse()


def asked(proxy: FaultProxy, path: str) -> tuple[int, bytes]:
    with opened(proxy, path) as answer:
        return answer.status, answer.read()


def test_everything_is_passed_on_until_something_else_is_said(
    proxy: FaultProxy, upstream: Upstream
) -> None:
    assert asked(proxy, "/a?b=c") == (200, b"/a?b=c\n")
    assert upstream.asked == ["/a?b=c"]


def test_a_rule_answers_in_the_upstreams_place(proxy: FaultProxy, upstream: Upstream) -> None:
    proxy.ask(lambda _: Answer(429, b"later"))
    assert asked(proxy, "/a") == (429, b"later")
    assert upstream.asked == []
    proxy.relent()
    assert asked(proxy, "/a") == (200, b"/a\n")


def test_request_and_answer_are_altered(proxy: FaultProxy, upstream: Upstream) -> None:
    proxy.ask(lambda request: Altered(f"{request.path}?late", b"", bytes.upper))
    assert asked(proxy, "/a") == (200, b"/A?LATE\n")
    assert upstream.asked == ["/a?late"]


@pytest.mark.parametrize(
    ("passage", "heard"), [(Passage.LOSE_REQUEST, []), (Passage.LOSE_ANSWER, ["/a"])]
)
def test_what_is_lost_breaks_the_connection(
    proxy: FaultProxy, upstream: Upstream, passage: Passage, heard: list[str]
) -> None:
    proxy.ask(lambda _: passage)
    with pytest.raises(http.client.RemoteDisconnected):
        asked(proxy, "/a")
    assert upstream.asked == heard


def test_what_hangs_is_never_heard_of_and_breaks_off_once_the_proxy_relents(
    proxy: FaultProxy, upstream: Upstream
) -> None:
    came = threading.Event()

    def hang(_request: Request) -> Passage:
        came.set()
        return Passage.HANG

    def relent() -> None:
        came.wait(30)
        proxy.relent()

    proxy.ask(hang)
    threading.Thread(target=relent).start()
    with pytest.raises(http.client.RemoteDisconnected):
        asked(proxy, "/a")
    assert upstream.asked == []


def test_a_half_open_stream_tells_nothing_more_not_even_that_it_ended(
    proxy: FaultProxy, upstream: Upstream
) -> None:
    with opened(proxy, "/stream") as stream:
        assert stream.readline() == b"/stream\n"
        proxy.fall_silent()
        upstream.go_on.set()
        assert asked(proxy, "/new") == (200, b"/new\n")
        proxy.relent()
        assert stream.read() == b""


def test_a_stream_that_is_not_silenced_goes_on(proxy: FaultProxy, upstream: Upstream) -> None:
    with opened(proxy, "/stream") as stream:
        assert stream.readline() == b"/stream\n"
        upstream.go_on.set()
        assert stream.read() == b"more\n"
