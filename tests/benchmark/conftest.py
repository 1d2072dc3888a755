"""Benchmarks on the cluster of processes: figures, not promises of speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.session import shared_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.testbed.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    with shared_cluster(pytestconfig) as running:
        yield running
