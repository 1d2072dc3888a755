"""The cluster of processes that all tests of one session share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.e2e.testbed.binaries import build_all
from tests.e2e.testbed.cluster import Cluster
from tests.e2e.testbed.processes import terminated_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextlib.contextmanager
def shared_cluster(config: pytest.Config) -> Iterator[Cluster]:
    """Build what is missing, and keep a cluster running meanwhile."""
    # The first build takes minutes: its progress must not be captured.
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        binaries = build_all()
    with terminated_as_interrupt(), Cluster.start(binaries=binaries) as running:
        yield running
