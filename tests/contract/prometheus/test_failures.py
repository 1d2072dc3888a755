"""Whatever Prometheus, or what stands before it, can do instead of answering."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from tests.contract.prometheus.conftest import AT
from tests.contract.prometheus.server import FakePrometheus, Reply, one, vector
from tests.e2e.testbed.processes import Stopwatch
from tuner.errors import SourceError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from http.server import BaseHTTPRequestHandler

    from tuner.prometheus import PrometheusSource

    OpenSource = Callable[..., AbstractContextManager[PrometheusSource]]

_TIMEOUT_SECONDS = 1.0
_DRIP_SECONDS = 0.02


def _failure(source: PrometheusSource) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.read(AT)
    return caught.value


def _json(answer: object, status: int = 200) -> Reply:
    return Reply(json.dumps(answer).encode(), status)


_HTML = Reply(b"<!doctype html><title>Sign in</title>", headers=(("Content-Type", "text/html"),))
_EMPTY = {"resultType": "vector", "result": []}


@pytest.mark.parametrize(
    ("reply", "cause", "words"),
    [
        (
            _json({"status": "error", "errorType": "timeout", "error": "query timed out"}, 503),
            "http_503",
            "timeout: query timed out",
        ),
        (
            _json({"status": "error", "errorType": "bad_data", "error": "parse error"}, 400),
            "http_400",
            "bad_data: parse error",
        ),
        (Reply(b"<h1>Bad Gateway</h1>", 502), "http_502", "<h1>Bad Gateway</h1>"),
        (Reply(b"gar\xe7on", 500), "http_500", "gar\N{REPLACEMENT CHARACTER}on"),
        (Reply(b"", 401), "http_401", "HTTP 401"),
        (Reply(b"", 302, (("Location", "/login"),)), "http_302", "HTTP 302"),
        (_HTML, "not_json", "Sign in"),
        (Reply(b""), "not_json", "no JSON"),
        (Reply(b'{"status":"succ\xff"}'), "not_json", "no JSON"),
        (
            _json({"status": "error", "errorType": "execution", "error": "many-to-many"}),
            "status_error",
            "execution: many-to-many",
        ),
        (vector(warnings=["store 10.0.0.7 is down"]), "warnings", "store 10.0.0.7 is down"),
        (vector(isPartial=True), "warnings", "marked as partial"),
        (_json([]), "malformed", "no answer of Prometheus"),
        (_json({"data": _EMPTY}), "malformed", "status"),
        (_json({"status": "success"}), "malformed", "no vector"),
        (
            _json({"status": "success", "data": {"resultType": "matrix", "result": []}}),
            "malformed",
            "matrix",
        ),
        (vector({"metric": {}}), "malformed", "value"),
        (vector({"metric": {}, "value": [1.0, 2.0]}), "malformed", "no vector"),
        (vector(one("many", quantity="cpu_cores")), "malformed", "many"),
        (Reply(b'{"status"', declared_length=100), "unreachable", ""),
    ],
)
def test_what_is_no_answer_has_a_cause(
    prometheus: FakePrometheus, source: PrometheusSource, reply: Reply, cause: str, words: str
) -> None:
    prometheus.answer_all(reply)
    error = _failure(source)
    assert error.cause == cause
    assert words in str(error)


def test_one_bad_answer_among_good_ones_spoils_the_round_and_is_named(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    prometheus.answer_one("histogram_quantile", Reply(b"busy", 503))
    error = _failure(source)
    assert error.cause == "http_503"
    assert str(error) == "latency: HTTP 503: busy"


def test_notes_that_are_no_warnings_are_no_failure(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    prometheus.answer_all(vector(infos=["metric might not be a counter"], warnings=[]))
    assert source.read(AT).containers == {}


def test_a_refusal_is_not_asked_again(prometheus: FakePrometheus, source: PrometheusSource) -> None:
    prometheus.answer_all(Reply(b"", 503))
    _failure(source)
    assert len({each.query for each in prometheus.asked}) == len(prometheus.asked)


def test_the_next_round_is_good_again(prometheus: FakePrometheus, source: PrometheusSource) -> None:
    prometheus.answer_all(Reply(b"", 503))
    _failure(source)
    prometheus.answer_all(vector())
    assert source.read(AT).containers == {}


def test_nobody_listens(open_source: OpenSource) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with open_source(f"http://127.0.0.1:{unused.getsockname()[1]}") as source:
            error = _failure(source)
    assert error.cause == "unreachable"
    assert "Connection refused" in str(error)


def test_no_such_host(open_source: OpenSource) -> None:
    with open_source("http://prometheus.invalid:9090") as source:
        assert _failure(source).cause == "unreachable"


def _hang(_: BaseHTTPRequestHandler, over: threading.Event) -> None:
    over.wait()


def _drip(connection: BaseHTTPRequestHandler, over: threading.Event, text: bytes) -> None:
    for byte in text:
        connection.wfile.write(bytes([byte]))
        if over.wait(_DRIP_SECONDS):
            return


def _drip_headers(connection: BaseHTTPRequestHandler, over: threading.Event) -> None:
    _drip(connection, over, b"HTTP/1.1 200 OK\r\nX-Patience: " + b"a" * 1000)


def _drip_body(connection: BaseHTTPRequestHandler, over: threading.Event) -> None:
    connection.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    _drip(connection, over, b" " * 1000)


def _drip_chunks(connection: BaseHTTPRequestHandler, over: threading.Event) -> None:
    connection.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _drip(connection, over, b"1\r\n \r\n" * 1000)


@pytest.mark.parametrize("misbehave", [_hang, _drip_headers, _drip_body, _drip_chunks])
def test_a_round_ends_in_time_whatever_comes_or_does_not(
    prometheus: FakePrometheus,
    open_source: OpenSource,
    misbehave: Callable[[BaseHTTPRequestHandler, threading.Event], None],
) -> None:
    prometheus.misbehave = misbehave
    with open_source(prometheus.url, timeout_seconds=_TIMEOUT_SECONDS) as source:
        with Stopwatch() as watch:
            assert _failure(source).cause == "timeout"
            assert watch.seconds < 3 * _TIMEOUT_SECONDS
        prometheus.misbehave = None
        assert source.read(AT).containers == {}


def _flood(connection: BaseHTTPRequestHandler, over: threading.Event) -> None:
    connection.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    block = b" " * 2**20
    while not over.is_set():
        connection.wfile.write(block)


def test_an_endless_answer_is_cut_off(prometheus: FakePrometheus, open_source: OpenSource) -> None:
    prometheus.misbehave = _flood
    with open_source(prometheus.url, timeout_seconds=30.0) as source:
        assert _failure(source).cause == "too_large"
