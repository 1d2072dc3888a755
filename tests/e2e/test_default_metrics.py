"""A service with client_golang's default metrics alone ends where one that exports them all does.

Neither its live heap nor its GC CPU is exported: both are estimated, the latter with a cost per
byte that the first trial teaches. Figures are compared, so nothing else should be busy meanwhile:
beside others the runtime counts time that it waits for a core as GC CPU.
"""

from __future__ import annotations

from datetime import datetime
from statistics import median
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
AT_REST = {"at_target", "not_worth", "direction_closed", "memory_bound", "at_bound"}
SAMPLES = 15

# A heap that grew touches new pages for a while, and that is CPU beside GC.
SETTINGS: Mapping[str, Any] = {
    "rateWindow": "20s",
    "warmUp": "20s",
    "trial": {"windows": 5, "requests": 100, "patience": 15},
    "profiles": {"normal": {"gcShareTarget": 0.15, "gcShareLeast": 0.15}},
}
# The pods do export these, so that the truth can be looked up; this operator reads other names.
HIDDEN = {
    each: f"hidden_{each}".lower()
    for each in ("heapLive", "gcCpuSeconds", "allCpuSeconds", "idleCpuSeconds")
}
BUSY: Mapping[str, str] = {
    **LIGHT,
    # One processor: marking on idle ones costs wall time, which the runtime counts as CPU.
    "GOMAXPROCS": "1",
    "LIVE_HEAP_BYTES": "32Mi",
    "GARBAGE_BYTES_PER_REQUEST": "1Mi",
    "ITERATIONS_PER_REQUEST": "100000",
}
RATE = 120


def _figure(tenant: Tenant, expression: str) -> float:
    """Evaluate a query over the service's pods; `$pods` stands for their matchers."""
    pods = f'namespace="{tenant.namespace}",container="{APP_CONTAINER}",pod=~"{SERVICE}-.*"'
    (value,) = tenant.cluster.prometheus.query(expression.replace("$pods", pods)).values()
    return value


def _true_share(tenant: Tenant) -> float:
    """GC share of the CPU over the last rate window, by the runtime's own account."""
    return _figure(
        tenant,
        "sum(rate(go_cpu_classes_gc_total_cpu_seconds_total{$pods}[20s]))"
        " / sum(rate(process_cpu_seconds_total{$pods}[20s]))",
    )


def _true_cost(tenant: Tenant, at: str) -> float:
    """GC CPU seconds per byte marked, over the rate windows before a verdict.

    The pods of the next step start right after it, and building their heaps is another matter.
    """
    span = f"[100s] @ {datetime.fromisoformat(at).timestamp():.3f}"
    cycles = f"rate(go_gc_duration_seconds_count{{$pods}}{span})"
    live = f"avg_over_time(go_gc_heap_live_bytes{{$pods}}{span})"
    spent = f"rate(go_cpu_classes_gc_total_cpu_seconds_total{{$pods}}{span})"
    return _figure(tenant, f"sum({spent}) / sum({cycles} * {live})")


def _seen_share(operator: Operator) -> float:
    """GC share as the operator has it now."""
    lines = operator.get("/metrics").splitlines()
    (line,) = (each for each in lines if each.startswith("gc_tuner_gc_share_ratio{"))
    return float(line.rsplit(" ", 1)[1])


def _medians(tenant: Tenant, operator: Operator) -> tuple[float, float]:
    """GC share as the operator has it and as it is, over some intervals."""
    pairs: list[tuple[float, float]] = []

    def collected() -> bool:
        pairs.append((_seen_share(operator), _true_share(tenant)))
        return len(pairs) >= SAMPLES

    tenant.until(collected, 20 * SAMPLES, "some readings", every_seconds=2.0)
    seen, true = zip(*pairs, strict=True)
    return median(seen), median(true)


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

    hidden = {**SETTINGS, "prometheus": {"metrics": HIDDEN}}
    with deployed({"plain": busy("plain"), "full": busy("full")}) as tenants:
        plain, full = tenants["plain"], tenants["full"]
        with (
            plain.operated(settings=hidden) as estimating,
            full.operated(settings=SETTINGS) as measuring,
        ):
            plain.until(lambda: _judged(estimating), 300, "the first verdict", every_seconds=3.0)
            record = estimating.record(SERVICE)
            print(_tale(record))
            learned = record["learned"]["costSecondsPerByte"]
            cost = _true_cost(plain, record["history"][-1]["at"])
            print(f"cost per byte: learned {learned:.3g} s, true {cost:.3g} s")
            plain.until(lambda: _at_rest(estimating), 900, "rest of one", every_seconds=5.0)
            full.until(lambda: _at_rest(measuring), 900, "rest of both", every_seconds=5.0)
            for each, operator in ((plain, estimating), (full, measuring)):
                print(each.namespace, each.env()["GOGC"], operator.record(SERVICE)["message"])
                print(_tale(operator.record(SERVICE)))
            assert estimating.record(SERVICE)["observed"]["gcShareSource"] == "estimated"
            assert measuring.record(SERVICE)["observed"]["gcShareSource"] == "measured"
            share, true_share = _medians(plain, estimating)
            print(f"GC share: estimated {share:.3f}, true {true_share:.3f}")
            ends = [int(each.env()["GOGC"]) for each in (plain, full)]
            assert share == pytest.approx(true_share, rel=NEAR)
            assert learned == pytest.approx(cost, rel=NEAR)
            assert ends[0] == pytest.approx(ends[1], rel=NEAR)
