from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.cluster.server import FakeApiServer
from tuner.cluster import Api, ClusterAccess, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEPLOYMENTS = "/apis/apps/v1/deployments"
STATEFUL_SETS = "/apis/apps/v1/statefulsets"
WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
DB = "/apis/apps/v1/namespaces/shop/statefulsets/db"
CONFIG_MAPS = "/api/v1/configmaps"
WEB_GC = "/api/v1/namespaces/shop/configmaps/web-gc"
RECORDS = "/apis/gc-tuner.io/v1alpha1/gctunings"
OF_SHOP = "/apis/gc-tuner.io/v1alpha1/namespaces/shop/gctunings"
RECORD = f"{OF_SHOP}/deployment-web"
EVENTS = "/apis/events.k8s.io/v1/namespaces/shop/events"


def kubeconfig(path: Path, url: str, **user: Any) -> Path:  # noqa: ANN401 - as in the file
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": user or {"token": "secret"}}],
    }
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with FakeApiServer().serving() as fake:
        yield fake


@pytest.fixture
def open_api(server: FakeApiServer, tmp_path: Path) -> Iterator[Callable[[float], Api]]:
    opened: list[Api] = []

    def connected(timeout_seconds: float) -> Api:
        access = ClusterAccess(
            kubeconfig=kubeconfig(tmp_path / "kubeconfig.json", server.url),
            timeout_seconds=timeout_seconds,
        )
        opened.append(connect(access))
        return opened[-1]

    yield connected
    for each in opened:
        each.close()


@pytest.fixture
def api(open_api: Callable[[float], Api]) -> Api:
    return open_api(5.0)
