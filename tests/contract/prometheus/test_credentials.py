from __future__ import annotations

import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.contract.prometheus.conftest import AT
from tests.contract.prometheus.server import FakePrometheus
from tuner.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tuner.prometheus import PrometheusSource

    OpenSource = Callable[..., AbstractContextManager[PrometheusSource]]

_OPENSSL = shutil.which("openssl")


def _authorizations(prometheus: FakePrometheus) -> set[str | None]:
    found = {each.headers.get("Authorization") for each in prometheus.asked}
    prometheus.asked.clear()
    return found


def test_the_token_of_the_moment_is_sent(
    prometheus: FakePrometheus, open_source: OpenSource, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    with open_source(prometheus.url, bearer_token_file=file) as source:
        file.write_text("first.token\n")
        source.read(AT)
        assert _authorizations(prometheus) == {"Bearer first.token"}
        file.write_text("other.token\n")
        source.read(AT)
        assert _authorizations(prometheus) == {"Bearer other.token"}


@pytest.mark.parametrize("content", [None, b"", b"two words", b"se\r\ncret", b"\xff"])
def test_without_a_usable_token_nothing_is_asked(
    prometheus: FakePrometheus, open_source: OpenSource, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with open_source(prometheus.url, bearer_token_file=file) as source:
        with pytest.raises(SourceError, match=str(file)) as caught:
            source.read(AT)
        assert caught.value.cause == "token"
        assert "cret" not in str(caught.value)
    assert prometheus.asked == []


def test_headers_are_sent(prometheus: FakePrometheus, open_source: OpenSource) -> None:
    with open_source(prometheus.url, headers={"X-Scope-OrgID": "shop"}) as source:
        source.read(AT)
    assert {each.headers["X-Scope-OrgID"] for each in prometheus.asked} == {"shop"}


def test_a_password_file_of_the_machine_is_not_used(
    prometheus: FakePrometheus,
    open_source: OpenSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(file))
    with open_source(prometheus.url) as source:
        source.read(AT)
    assert _authorizations(prometheus) == {None}


def test_a_path_in_the_address_is_kept(prometheus: FakePrometheus, open_source: OpenSource) -> None:
    with open_source(f"{prometheus.url}/select/0/prometheus/") as source:
        source.read(AT)
    paths = {each.path for each in prometheus.asked}
    assert paths == {"/select/0/prometheus/api/v1/query"}


@pytest.mark.parametrize("part", ["ca_file", "cert_file", "key_file"])
def test_a_certificate_that_is_gone_is_an_outage(
    open_source: OpenSource, tmp_path: Path, part: str
) -> None:
    files = {name: tmp_path / name for name in ("ca_file", "cert_file", "key_file")}
    for name, file in files.items():
        if name != part:
            file.touch()
    with open_source("https://127.0.0.1:1", **files) as source:
        with pytest.raises(SourceError, match=str(files[part])) as caught:
            source.read(AT)
        assert caught.value.cause == "unreachable"


@pytest.mark.skipif(_OPENSSL is None, reason="openssl makes the certificates")
def test_tls_needs_the_authority_and_the_client_certificate(
    open_source: OpenSource, tmp_path: Path
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(  # noqa: S603 - a fixed command
        [
            *(str(_OPENSSL), "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(cert))
    tls.load_cert_chain(cert, key)
    tls.verify_mode = ssl.CERT_REQUIRED
    with FakePrometheus().serving(tls) as prometheus:
        credentials = {"ca_file": cert, "cert_file": cert, "key_file": key}
        with open_source(prometheus.url, **credentials) as source:
            assert source.read(AT).containers == {}
        for incomplete in ({"ca_file": cert}, {"cert_file": cert, "key_file": key}):
            with (
                open_source(prometheus.url, **incomplete) as source,
                pytest.raises(SourceError) as caught,
            ):
                source.read(AT)
            assert caught.value.cause == "unreachable"
