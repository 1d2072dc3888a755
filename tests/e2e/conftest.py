"""One cluster of processes for the whole session, a fresh namespace for each test."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

import pytest

from tests.e2e.session import shared_cluster
from tests.e2e.stage import Tenant, Tuning, set_stage, tune
from tests.e2e.testbed.binaries import HELM, build
from tests.e2e.testbed.cache import default_cache
from tests.e2e.testbed.helm import Helm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.testbed.cluster import Cluster

TURNS = ("tuning", "tenants", "stage")
"""Fixtures whose services keep both cores busy, in the order in which they get them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the tests marked full, too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: takes over two minutes; runs with --full only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests under load come last: others would wait.

    First of them the main job, whose figures need the machine for themselves; then those with
    tenants of their own, which end with their module; at last those on the common stage, which
    stands to the end.
    """

    def turn(item: pytest.Item) -> int:
        fixtures = getattr(item, "fixturenames", ())
        return max(
            (number for number, name in enumerate(TURNS, start=1) if name in fixtures), default=0
        )

    items.sort(key=turn)
    for item in items:
        if item.get_closest_marker("full") is not None and not config.getoption("--full"):
            item.add_marker(pytest.mark.skip(reason="takes over two minutes: give --full"))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    with shared_cluster(pytestconfig) as running:
        running.stay_awake()
        yield running


@pytest.fixture(scope="session")
def helm(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    # The first build takes minutes: its progress must not be captured.
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        folder = build(HELM, default_cache())
    return Helm(folder / "helm", tmp_path_factory.mktemp("helm"))


@pytest.fixture
def tuning(cluster: Cluster) -> Iterator[Tuning]:
    with tune(cluster) as running:
        yield running


@pytest.fixture(scope="session")
def stage(cluster: Cluster) -> Iterator[Mapping[str, Tenant]]:
    with set_stage(cluster) as running:
        yield running


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{words[:50].strip('-')}-{secrets.token_hex(3)}"
    cluster.create_namespace(name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
