"""Prometheus goes away in mid-run and comes back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.e2e.stage import SERVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.operator import Operator

RATE_WINDOW_SECONDS = 6


def _holds_for_the_source(operator: Operator) -> bool:
    decisions = [line for line in operator.get("/metrics").splitlines() if "source_" in line]
    return any('reason="source_unavailable"' in line for line in decisions)


def test_an_outage_of_prometheus_holds_everything_and_ends_without_a_jump(
    stage: Mapping[str, Tenant],
) -> None:
    observed = stage["observed"]
    cluster = observed.cluster
    prometheus = cluster.start_prometheus(observed.namespace)
    # A baseline this long cannot be complete before the outage begins.
    patience = {"trial": {"windows": 4, "requests": 100, "patience": 15}}
    with observed.operated(prometheus_url=prometheus.url, settings=patience) as operator:
        cluster.wait_for(
            lambda: operator.reason(SERVICE) == "collecting_baseline",
            "the loop at work",
        )
        # The last answers fail while Prometheus shuts down: the outage begins before its end.
        stopping = datetime.now(tz=UTC)
        prometheus.stop()
        stopped = datetime.now(tz=UTC)
        cluster.wait_for(lambda: _holds_for_the_source(operator), "Hold(source_unavailable)")
        cluster.wait_for(
            lambda: any("metrics source lost" in line["event"] for line in operator.log()),
            "the outage in the log",
        )
        writes = len(operator.writes("gctunings", since=stopped))
        outage_ends = datetime.now(tz=UTC).timestamp() + 2 * RATE_WINDOW_SECONDS
        cluster.wait_for(
            lambda: datetime.now(tz=UTC).timestamp() > outage_ends, "two windows of outage"
        )
        assert operator.process.running
        assert operator.ready()
        assert "ok" in operator.get("/healthz").lower()
        assert operator.writes("deployments", since=stopped) == []
        # Not a write per workload: the outage is told once, by event, metric and log.
        assert len(operator.writes("gctunings", since=stopped)) == writes
        cluster.wait_for(
            lambda: bool(operator.writes("events", since=stopping)), "an Event of the outage"
        )

        prometheus.start()
        back = datetime.now(tz=UTC)
        cluster.wait_for(lambda: "GOGC" in observed.env(), "the change, once it is due")
        first = min(event.at for event in operator.writes("deployments", since=stopped))
        assert (first - back).total_seconds() >= RATE_WINDOW_SECONDS
        assert int(observed.env()["GOGC"]) <= 200
