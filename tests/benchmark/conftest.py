"""Benchmarks on the cluster of processes: figures, not promises of speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.testbed.binaries import build_all
from tests.e2e.testbed.cluster import Cluster
from tests.e2e.testbed.processes import terminated_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        binaries = build_all()
    with terminated_as_interrupt(), Cluster.start(binaries=binaries) as running:
        yield running
