from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.contract.cluster.conftest import WEB, kubeconfig
from tests.contract.cluster.server import FakeApiServer, Hang, Reply, json_reply, refused
from tuner.cluster import Api, ClusterAccess, connect
from tuner.cluster.client import STRATEGIC_MERGE, ExpiredError, Request, decoded
from tuner.errors import (
    ClusterError,
    ConfigError,
    ConflictError,
    GoneError,
    RefusedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GET = Request(verb="get", what="deployment shop/web", path=WEB)


def test_a_request_carries_the_token_and_our_name(server: FakeApiServer, api: Api) -> None:
    server.on("GET", WEB, Reply(b"{}"))
    assert api.ask(GET) == b"{}"
    (asked,) = server.asked("GET")
    assert asked.headers["authorization"] == "Bearer secret"
    assert asked.headers["user-agent"] == "gc-tuner"


def test_a_patch_goes_out_as_it_is_with_its_content_type(server: FakeApiServer, api: Api) -> None:
    server.on("PATCH", WEB, Reply(b"{}"))
    body = {"metadata": {"annotations": {"a": None}}}
    api.ask(
        Request(
            verb="patch",
            what="deployment shop/web",
            path=WEB,
            query={"fieldManager": "gc-tuner"},
            body=body,
            content_type=STRATEGIC_MERGE,
        )
    )
    (asked,) = server.asked("PATCH")
    assert asked.headers["content-type"] == STRATEGIC_MERGE
    assert asked.query == {"fieldManager": "gc-tuner"}
    assert asked.json == body


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (301, "Moved", RefusedError),
        (400, "BadRequest", RefusedError),
        (401, "Unauthorized", RefusedError),
        (403, "Forbidden", RefusedError),
        (404, "NotFound", GoneError),
        (409, "Conflict", ConflictError),
        (410, "Expired", ExpiredError),
        (422, "Invalid", RefusedError),
        (429, "TooManyRequests", UnavailableError),
        (500, "InternalError", UnavailableError),
        (503, "ServiceUnavailable", UnavailableError),
        (504, "Timeout", UnavailableError),
    ],
)
def test_a_refusal_says_verb_object_status_and_the_servers_words(
    server: FakeApiServer, api: Api, status: int, reason: str, error: type[ClusterError]
) -> None:
    server.on("GET", WEB, refused(status, reason, f"for the reason\n{reason}"))
    with pytest.raises(error) as raised:
        api.ask(GET)
    assert type(raised.value) is error
    text = str(raised.value)
    assert text.startswith(f"get deployment shop/web: {status} ")
    assert text.endswith(f": for the reason {reason}")
    assert len(server.asked("GET")) == 1


def test_words_of_a_proxy_are_cut_to_a_line(server: FakeApiServer, api: Api) -> None:
    server.on("GET", WEB, Reply(b"<html>\n" + b"bad gateway " * 1000, 502))
    with pytest.raises(UnavailableError, match="502 Bad Gateway: <html> bad gateway") as raised:
        api.ask(GET)
    assert len(str(raised.value)) < 500
    assert "\n" not in str(raised.value)


def test_a_page_of_a_proxy_in_place_of_an_answer_is_no_answer(
    server: FakeApiServer, api: Api
) -> None:
    server.on("GET", WEB, Reply(b"<html>please log in</html>"))
    with pytest.raises(UnavailableError, match="cannot be read"):
        decoded(GET, api.ask(GET), msgspec.json.Decoder(dict))


def test_no_answer_in_time(server: FakeApiServer, open_api: Callable[[float], Api]) -> None:
    server.on("GET", WEB, Hang())
    with pytest.raises(UnavailableError, match="get deployment shop/web: no answer in time"):
        open_api(0.2).ask(GET)
    assert len(server.asked("GET")) == 1


def test_requests_over_the_burst_wait_their_turn(server: FakeApiServer, tmp_path: Path) -> None:
    server.on("GET", WEB, json_reply({}))
    access = ClusterAccess(
        kubeconfig=kubeconfig(tmp_path / "k", server.url), requests_per_second=50.0, burst=2
    )
    with closing(connect(access)) as api:
        began = time.monotonic()
        for _ in range(5):
            api.ask(GET)
        assert time.monotonic() - began >= 3 / 50


def test_half_an_answer_is_none(server: FakeApiServer, api: Api) -> None:
    server.on("GET", WEB, Reply(b'{"metadata":', declared_length=100))
    with pytest.raises(UnavailableError, match="get deployment shop/web"):
        api.ask(GET)


def test_after_half_an_answer_the_next_one_is_whole(server: FakeApiServer, api: Api) -> None:
    server.on("GET", WEB, Reply(b'{"metadata":', declared_length=100), json_reply({"a": 1}))
    with pytest.raises(UnavailableError):
        api.ask(GET)
    assert api.ask(GET) == b'{"a": 1}'


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    access = ClusterAccess(kubeconfig=kubeconfig(tmp_path / "k", f"http://127.0.0.1:{port}"))
    api = connect(access)
    with pytest.raises(
        UnavailableError, match=r"get deployment shop/web: no connection: .*refused"
    ):
        api.ask(GET)
    api.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "apiVersion: v1\nkind: Config\n",
        "a: [",
        "just words",
        "- a\n- list\n",
        "contexts: 5\ncurrent-context: a\n",
        "current-context: a\ncontexts: []\nclusters: []\nusers: []\n",
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"kubernetes\.kubeconfig: .*kubeconfig") as raised:
        connect(ClusterAccess(kubeconfig=path))
    assert "\n" not in str(raised.value)


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        connect(ClusterAccess(kubeconfig=tmp_path / "missing"))


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="other"):
        connect(ClusterAccess(kubeconfig=path, context="other"))
