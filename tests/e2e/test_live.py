"""The live channel: settings that reach running processes without a restart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stage import JUDGED, LIVE_CONFIG_MAP, ONE_STEP, SERVICE, deployed, live_tenant
from tests.e2e.testbed.processes import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator

BRISK: Mapping[str, Any] = {"trial": {"windows": 2, "requests": 50, "patience": 6}}
STEADY: Mapping[str, Any] = {"trial": {**ONE_STEP["trial"], "windows": 5, "patience": 15}}
"""So many windows to a side that a verdict can be had beside a busy neighbour."""
LATE = {"testbed.gc-tuner.io/mount-refresh": "60s"}
"""As late as a kubelet is: one minute from the ConfigMap to the file."""

SURGE = "surge"
BASE = 20
TARGET_SECONDS = 0.75
# 25 requests/s at the most, by what is downstream and so on any machine: 8/s are served, 38/s are
# an overload, in which 20 in flight take 0.8 s each.
OVERLOADED: Mapping[str, str] = {
    "DOWNSTREAM": "1:40ms",
    "ITERATIONS_PER_REQUEST": "20000",
    "LIVE_HEAP_BYTES": "8Mi",
    "GARBAGE_BYTES_PER_REQUEST": "64Ki",
    "BARRIER_THRESHOLD": str(BASE),
}
QUIET_RATE, SURGE_RATE = 8, 30


@pytest.fixture(scope="module")
def tenants(cluster: Cluster) -> Iterator[Mapping[str, Tenant]]:
    with deployed({"live": live_tenant(cluster, "live")}) as running:
        yield running


def _managers(tenant: Tenant, key: str) -> set[str]:
    """Field managers of a key of the live ConfigMap."""
    fields = tenant.live_config_map()["metadata"]["managedFields"]
    return {each["manager"] for each in fields if f"f:{key}" in each["fieldsV1"].get("f:data", {})}


def _mebibytes(limit: str) -> float:
    return float(limit.removesuffix("MiB")) * 2**20


def _limit_in_force(tenant: Tenant) -> set[float]:
    return set(tenant.by_pod("go_gc_gomemlimit_bytes{$pods}").values())


def _outcomes(operator: Operator) -> list[dict[str, Any]]:
    """Ended trials of GOGC, newest first.

    Without void ones, which say nothing: where a machine is too slow to scrape a pod in time, that
    is one pod less for a moment.
    """
    history = operator.record(SERVICE).get("history", [])
    return [
        each
        for each in history
        if each["verdict"] != "Void"
        and any(setting["name"] == "GOGC" for setting in each["change"]["settings"])
    ]


def _tuned_live(tenant: Tenant, operator: Operator) -> None:
    """Wait for a verdict on GOGC, and check what was and what was not written on the way."""
    before = tenant.starts()
    tenant.cluster.wait_for(lambda: bool(_outcomes(operator)), "a verdict on GOGC")
    first = _outcomes(operator)[-1]
    print(f"{first['verdict']}: {first['detail']}")
    assert first["verdict"] in JUDGED, first["detail"]
    assert "noise" in first["detail"], "both sides were measured"
    assert tenant.starts() == before
    assert operator.writes("deployments") == []
    writes = operator.writes("configmaps")
    assert {event.name for event in writes} == {LIVE_CONFIG_MAP}
    assert all("fieldManager=gc-tuner" in event.uri for event in writes)
    assert _managers(tenant, "GOGC") == _managers(tenant, "GOMEMLIMIT") == {"gc-tuner"}


def test_gogc_and_gomemlimit_are_moved_live_and_no_pod_is_restarted(
    tenants: Mapping[str, Tenant],
) -> None:
    live = tenants["live"]
    with live.operated(settings=STEADY) as operator:
        live.cluster.wait_for(lambda: live.gogc_in_force() == {200.0}, "GOGC 200 in force")
        (first,) = operator.writes("configmaps")
        values = live.live()
        assert values["GOGC"] == "200"
        assert _limit_in_force(live) == {_mebibytes(values["GOMEMLIMIT"])}
        assert "GOGC" not in live.env()
        _tuned_live(live, operator)
        assert operator.writes("configmaps")[0] == first


@pytest.mark.full
def test_a_mount_that_is_a_minute_late_brings_no_second_write_and_no_other_verdict(
    cluster: Cluster,
) -> None:
    with deployed({"late": live_tenant(cluster, "late", pod_annotations=LATE)}) as tenants:
        late = tenants["late"]
        with late.operated(settings=STEADY) as operator:
            cluster.wait_for(lambda: "GOGC" in late.live(), "the change in the ConfigMap")
            assert late.gogc_in_force() == {100.0}
            cluster.wait_for(lambda: late.gogc_in_force() == {200.0}, "GOGC 200 in force")
            assert len(operator.writes("configmaps")) == 1
            assert operator.record(SERVICE)["trial"]["phase"] in {"RollingOut", "Settling"}
            _tuned_live(late, operator)


def _threshold(tenant: Tenant) -> float:
    """In force; a scrape can be late under overload."""
    return _one(tenant, "last_over_time(barrier_threshold{$pods}[10s])")


def _admitted_p95_seconds(tenant: Tenant) -> float:
    """Latency of the requests that the barrier let in, over the last 20 s."""
    rates = 'sum by(pod,le)(rate(http_request_duration_seconds_bucket{$pods,code!="503"}[20s]))'
    return _one(tenant, f"histogram_quantile(0.95,{rates})")


def _refused_per_second(tenant: Tenant) -> float:
    return _one(tenant, "rate(barrier_refused_total{$pods}[20s])")


def _one(tenant: Tenant, expression: str) -> float:
    """Value for the only pod; NaN, which compares with nothing, before it has two samples."""
    return next(iter(tenant.by_pod(expression).values()), math.nan)


def _overload(cluster: Cluster, pod_annotations: Mapping[str, str]) -> Tenant:
    return live_tenant(
        cluster,
        "overload",
        OVERLOADED,
        rate=QUIET_RATE,
        replicas=1,
        annotations={
            "gc-tuner.io/barrier-base": str(BASE),
            "gc-tuner.io/latency-target": f"{TARGET_SECONDS:g}s",
        },
        pod_annotations=pod_annotations,
    )


def _ride_out(tenant: Tenant, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Into an overload, the latency of what is let in brought inside its target, and out of it."""
    cluster, starts = tenant.cluster, tenant.starts()
    with tenant.operated(settings=BRISK) as operator:
        cluster.wait_for(lambda: "observed" in operator.record(SERVICE), "the loop at work")
        tenant.add_load(SURGE, SURGE_RATE)
        cluster.wait_for(
            lambda: _admitted_p95_seconds(tenant) > TARGET_SECONDS, "latency out of its target"
        )
        overloaded = _admitted_p95_seconds(tenant)
        cluster.wait_for(
            lambda: _threshold(tenant) < BASE,
            "a fall in force",
            patience_seconds=patience_seconds,
        )
        cluster.wait_for(
            lambda: (
                _refused_per_second(tenant) > 0 and _admitted_p95_seconds(tenant) <= TARGET_SECONDS
            ),
            "latency inside the target under overload",
            patience_seconds=patience_seconds,
        )
        lowest, latency = _threshold(tenant), _admitted_p95_seconds(tenant)
        print(
            f"threshold {BASE} -> {lowest:g}: p95 {overloaded:.2f} -> {latency:.2f} s, "
            f"target {TARGET_SECONDS:g} s, {_refused_per_second(tenant):.1f}/s refused"
        )
        tenant.remove_load(SURGE)
        cluster.wait_for(
            lambda: _threshold(tenant) > lowest,
            "a rise in force",
            patience_seconds=patience_seconds,
        )
        assert tenant.starts() == starts
        assert operator.writes("deployments") == []
        tenant.cluster.wait_for(
            lambda: (
                operator.record(SERVICE)["barrier"]["threshold"] == int(tenant.live()["BARRIER"])
            ),
            "the threshold on record that is in the ConfigMap",
        )
        assert _managers(tenant, "BARRIER") == {"gc-tuner"}


def test_the_barrier_falls_under_overload_until_latency_is_met_and_rises_after_it(
    cluster: Cluster,
) -> None:
    with deployed({"overload": _overload(cluster, {})}) as tenants:
        _ride_out(tenants["overload"])


@pytest.mark.full
def test_the_barrier_holds_an_overload_through_a_mount_that_is_a_minute_late(
    cluster: Cluster,
) -> None:
    with deployed({"overload": _overload(cluster, LATE)}) as tenants:
        _ride_out(tenants["overload"], patience_seconds=2 * PATIENCE_SECONDS)
