"""A service with client_golang's default metrics alone ends where one that exports them all does.

Neither its live heap nor its GC CPU is exported: both are estimated, the latter with a cost per
byte that the first trial teaches. The truth is the kernel's: CPU per request over bytes marked per
request is a line through runs of the same service at several GOGC, interleaved; its slope is the
cost, and where nothing is marked it meets the work. A heap so large that next to nothing is
collected would show another work, as it is never warm in a cache; and the runtime's own account of
GC CPU holds the time that its threads wait for a core. Nothing else should be busy meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import linear_regression, median
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stage import LIGHT, SERVICE, deployed, tenant
from tests.e2e.testbed.manifests import APP_CONTAINER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator

NEAR = 0.20
AT_REST = {"at_target", "not_worth", "direction_closed", "memory_bound", "at_bound", "cost_unknown"}
SAMPLES = 30
MEASURE_SECONDS = 50
SETTLE_SECONDS = 20
ON_THE_LINE = (50, 100, 200, 400)
REPEATS = 2

# A heap that grew touches new pages for a while, and that is CPU beside GC.
SETTINGS: Mapping[str, Any] = {
    "rateWindow": "20s",
    "warmUp": "20s",
    "trial": {"windows": 8, "requests": 100, "patience": 24},
    "profiles": {"normal": {"gcShareTarget": 0.25, "gcShareLeast": 0.25}},
}
# The pods do export these, so that the truth can be looked up; this operator reads other names.
HIDDEN = {
    each: f"hidden_{each}".lower()
    for each in ("heapLive", "gcCpuSeconds", "allCpuSeconds", "idleCpuSeconds")
}
BUSY: Mapping[str, str] = {
    **LIGHT,
    # One processor: how much is marked on idle ones depends on what else is going on.
    "GOMAXPROCS": "1",
    "LIVE_HEAP_BYTES": "48Mi",
    "GARBAGE_BYTES_PER_REQUEST": "1Mi",
    "ITERATIONS_PER_REQUEST": "40000",
}
RATE = 120


def _figure(tenant: Tenant, expression: str) -> float:
    """Evaluate a query over the service's pods; `$pods` stands for their matchers."""
    pods = f'namespace="{tenant.namespace}",container="{APP_CONTAINER}",pod=~"{SERVICE}-.*"'
    (value,) = tenant.cluster.prometheus.query(expression.replace("$pods", pods)).values()
    return value


@dataclass(frozen=True)
class Cost:
    """What a request took over some time, by the kernel's account.

    Attributes:
        cpu_seconds: CPU per request.
        marked_bytes: live heap times GC cycles, per request.
    """

    cpu_seconds: float
    marked_bytes: float


def _cost(tenant: Tenant, at: float) -> Cost:
    """What a request took in the rate windows before a time, seconds since the epoch."""
    span = f"[{MEASURE_SECONDS}s] @ {at:.3f}"
    requests = f"sum(rate(http_requests_total{{$pods}}{span}))"
    cycles = f"rate(go_gc_duration_seconds_count{{$pods}}{span})"
    live = f"avg_over_time(go_gc_heap_live_bytes{{$pods}}{span})"
    return Cost(
        cpu_seconds=_figure(
            tenant, f"sum(rate(process_cpu_seconds_total{{$pods}}{span})) / {requests}"
        ),
        marked_bytes=_figure(tenant, f"sum({cycles} * {live}) / {requests}"),
    )


def _cost_at(tenant: Tenant, gogc: int) -> Cost:
    """What a request takes at a GOGC."""
    entry = {"name": APP_CONTAINER, "env": [{"name": "GOGC", "value": str(gogc)}]}
    tenant.patch({"spec": {"template": {"spec": {"containers": [entry]}}}})
    tenant.wait()
    end = time.time() + SETTLE_SECONDS + MEASURE_SECONDS
    tenant.cluster.wait_for(lambda: time.time() > end, "time to measure")
    return _cost(tenant, time.time())


def _truth(tenant: Tenant) -> tuple[float, float]:
    """Cost of a byte that is marked, and CPU per request where none is, seconds."""
    found = [(gogc, _cost_at(tenant, gogc)) for _ in range(REPEATS) for gogc in ON_THE_LINE]
    line = linear_regression(
        [each.marked_bytes for _, each in found], [each.cpu_seconds for _, each in found]
    )
    for gogc, each in found:
        on_it = line.intercept + line.slope * each.marked_bytes
        print(
            f"GOGC {gogc}: a request marks {each.marked_bytes / 1e6:.2f} MB and takes "
            f"{1000 * each.cpu_seconds:.3f} ms, on the line {1000 * on_it:.3f} ms"
        )
    return line.slope, line.intercept


def _seen_share(operator: Operator) -> float:
    """GC share as the operator has it now."""
    lines = operator.get("/metrics").splitlines()
    (line,) = (each for each in lines if each.startswith("gc_tuner_gc_share_ratio{"))
    return float(line.rsplit(" ", 1)[1])


def _seen_median(tenant: Tenant, operator: Operator) -> float:
    """GC share as the operator has it, over some intervals."""
    seen: list[float] = []

    def collected() -> bool:
        seen.append(_seen_share(operator))
        return len(seen) >= SAMPLES

    tenant.cluster.wait_for(collected, "some readings", every_seconds=2.0)
    return median(seen)


def _judged(operator: Operator) -> bool:
    return bool(operator.record(SERVICE).get("history"))


def _at_rest(operator: Operator) -> bool:
    record = operator.record(SERVICE)
    return _judged(operator) and "trial" not in record and record.get("reason") in AT_REST


def _tale(record: Mapping[str, Any]) -> str:
    """All trials in words, oldest first."""
    trials = reversed(record["history"])
    return "\n".join(f"{each['verdict']}: {each['detail']}" for each in trials)


@pytest.mark.full
def test_default_metrics_lead_to_the_same_gogc_as_all_metrics(cluster: Cluster) -> None:
    def busy(name: str) -> Tenant:
        return tenant(cluster, name, BUSY, rate=RATE, memory_request="1Gi", memory_limit="2Gi")

    def rest(subject: Tenant, operator: Operator) -> int:
        subject.cluster.wait_for(
            lambda: _at_rest(operator), "rest", patience_seconds=1200, every_seconds=5.0
        )
        record, end = operator.record(SERVICE), subject.env()["GOGC"]
        print(f"{subject.namespace} rests at GOGC {end}: {record['message']}\n{_tale(record)}")
        return int(end)

    hidden = {**SETTINGS, "prometheus": {"metrics": HIDDEN}}
    with deployed({"plain": busy("plain")}) as tenants:
        plain = tenants["plain"]
        with plain.operated(settings=hidden) as estimating:
            plain.cluster.wait_for(
                lambda: _judged(estimating),
                "the first verdict",
                patience_seconds=700,
                every_seconds=3.0,
            )
            record = estimating.record(SERVICE)
            print(f"\n{_tale(record)}")
            assert "costSecondsPerByte" in record["learned"], "the first trial taught no cost"
            learned = record["learned"]["costSecondsPerByte"]
            estimated_end = rest(plain, estimating)
            source = estimating.record(SERVICE)["observed"]["gcShareSource"]
            share, last = _seen_median(plain, estimating), _cost(plain, time.time())
        cost, work = _truth(plain)
    with (
        deployed({"full": busy("full")}) as tenants,
        tenants["full"].operated(settings=SETTINGS) as measuring,
    ):
        measured_end = rest(tenants["full"], measuring)
        assert measuring.record(SERVICE)["observed"]["gcShareSource"] == "measured"
    true_share = cost * last.marked_bytes / last.cpu_seconds
    print(f"a request takes {1000 * work:.3f} ms outside of GC")
    print(f"cost per byte after the first trial: learned {learned:.3g} s, true {cost:.3g} s")
    print(f"GC share at rest: estimated {share:.3f}, true {true_share:.3f}")
    assert source == "estimated"
    assert learned == pytest.approx(cost, rel=NEAR)
    assert share == pytest.approx(true_share, rel=NEAR)
    assert estimated_end == pytest.approx(measured_end, rel=NEAR)
