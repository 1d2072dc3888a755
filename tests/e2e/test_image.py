"""gc-tuner's own image: assembled as the Dockerfile says, and run as nobody in particular."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.e2e.testbed.cache import BuildError
from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.image import build_image, run_in_image
from tests.e2e.testbed.node.process import User
from tuner.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.testbed.image import BuiltImage

_NOBODY_WE_KNOW = User(23456, 34567)
_MOST_BYTES = 150e6


@pytest.fixture(scope="module")
def image(pytestconfig: pytest.Config) -> BuiltImage:
    # The first build takes a minute: its progress must not be captured.
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        return build_image(REPOSITORY)


def run(image: BuiltImage, *arguments: str, user: User | None = _NOBODY_WE_KNOW) -> str:
    """What gc-tuner writes when it runs with these arguments; it has to end well."""
    code, output = run_in_image(image.plan([*image.config.entrypoint, *arguments], user=user))
    assert code == 0, output
    return output


def test_the_image_is_small(image: BuiltImage) -> None:
    size = image.size_bytes()
    print(f"{size / 1e6:.0f} MB above the base image")
    assert 0 < size < _MOST_BYTES


def test_everybody_may_read_the_image_and_nobody_else_may_write_to_it(image: BuiltImage) -> None:
    for path in image.files():
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        wanted = 0o555 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o444
        assert mode & wanted == wanted, path
        assert not mode & (stat.S_IWGRP | stat.S_IWOTH), path


def test_every_module_of_the_image_is_compiled(image: BuiltImage) -> None:
    modules = {path for path in image.files() if path.name == "bootstrap.py"}
    assert modules
    for module in modules:
        assert list((module.parent / "__pycache__").glob("bootstrap.*.pyc"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("user", [None, _NOBODY_WE_KNOW], ids=["its own", "any"])
def test_any_user_can_run_it_and_writes_nothing(image: BuiltImage, user: User | None) -> None:
    assert run(image, "version", user=user) == f"{VERSION}\n"
    assert "Confirmed" in run(image, "demo", user=user)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_container_is_who_it_should_be_and_can_write_nowhere(image: BuiltImage) -> None:
    script = "id -u; id -g; for each in / /tmp /opt/gc-tuner; do touch $each/it || true; done"
    code, output = run_in_image(image.plan(["sh", "-c", script], user=_NOBODY_WE_KNOW))
    uid, gid, *refused = output.splitlines()
    assert (code, uid, gid) == (0, str(_NOBODY_WE_KNOW.uid), str(_NOBODY_WE_KNOW.gid))
    assert len(refused) == 3
    assert all("Read-only file system" in line for line in refused)


def test_the_image_has_all_that_an_operator_in_a_cluster_imports(image: BuiltImage) -> None:
    # Without a cluster it gets as far as looking for one.
    arguments = ("run", "--once", "--prometheus-url", "http://127.0.0.1:1")
    code, output = run_in_image(image.plan([*image.config.entrypoint, *arguments]))
    assert code == 2
    assert "kubeconfig" in output
    assert "Traceback" not in output


class _Answering(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def healthz(status: int) -> Iterator[int]:
    """A port at which /healthz answers with this status."""
    handler = type("_Handler", (_Answering,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def check(image: BuiltImage, port: int) -> int:
    environment = {"GC_TUNER_HTTP__PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    code, _ = run_in_image(image.plan(image.config.healthcheck, environment=environment))
    return code


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_is_what_healthz_says(image: BuiltImage, status: int, code: int) -> None:
    with healthz(status) as port:
        assert check(image, port) == code


def test_the_health_check_fails_where_nothing_answers(image: BuiltImage) -> None:
    with healthz(200) as port:
        pass
    assert check(image, port) == 1


def test_a_step_that_writes_elsewhere_fails_and_leaves_no_layer(tmp_path: Path) -> None:
    context, cache = tmp_path / "context", tmp_path / "cache"
    context.mkdir()
    (context / ".dockerignore").write_text("")
    target = Path("/written-by-a-step")
    (context / "Dockerfile").write_text(
        f"FROM it AS build\nRUN touch {target}\nFROM it\nCOPY --from=build /opt/it /opt/it\n"
    )
    with pytest.raises(BuildError, match="Read-only file system"):
        build_image(context, cache)
    assert not target.exists()
    assert not list(cache.glob("gc-tuner-image-*"))


def test_a_step_is_carried_out_again_only_when_something_before_it_changed(tmp_path: Path) -> None:
    context, cache = tmp_path / "context", tmp_path / "cache"
    (context / "it").mkdir(parents=True)
    (context / ".dockerignore").write_text("**/left\n")
    (context / "it" / "file").write_text("old")
    (context / "it" / "left").write_text("out")
    (context / "Dockerfile").write_text(
        "FROM it AS build\nWORKDIR /src\nRUN date +%s%N >/opt/it/time\n"
        "COPY it ./it\nRUN cp it/* /opt/it/\n"
        "FROM it\nCOPY --from=build /opt/it /opt/it\nCMD []\n"
    )

    def built() -> dict[str, str]:
        (layer,) = build_image(context, cache).layers
        return {path.name: path.read_text() for path in layer.source.iterdir()}

    first = built()
    assert first.keys() == {"time", "file"}
    assert built() == first
    (context / "it" / "file").write_text("new")
    assert built() == {**first, "file": "new"}
