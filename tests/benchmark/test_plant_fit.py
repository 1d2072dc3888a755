"""How near the simulation's plant is to a real Go service.

The plant is fitted to two settings of the service, GOGC 100 and 400, and then has to foretell what
a request costs at others. CPU per request over bytes marked per request is a line: its slope is the
cost of a byte, and where nothing is marked it meets the work. A heap so large that next to nothing
is collected would show another work, as it is never warm in a cache; and the runtime's own account
of GC CPU, printed beside, holds the time that its threads wait for a core. Runs at each GOGC are
interleaved, several times; medians are compared. Nothing else should be busy meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from statistics import linear_regression, median
from typing import TYPE_CHECKING

from tests.e2e.stage import POINTER_RICH, SERVICE, Tenant, tenant
from tests.e2e.testbed.manifests import APP_CONTAINER
from tuner.model.workload import GOGC
from tuner.simulation import Service, SimulatedCluster
from tuner.simulation.streams import constant

if TYPE_CHECKING:
    from tests.e2e.testbed.cluster import Cluster

FITTED_AT = (100, 400)
FORETOLD = (50, 200)
REPEATS = 3
RATE = 200
SETTLE_SECONDS = 20
"""After the start: the heap grows to its size, and pages are touched for the first time."""
MEASURE_SECONDS = 40
NEAR = 0.10
"""How far the foretold CPU per request may be from the measured, by the measured. Of a GC share
that is small the same noise would be a multiple."""
STEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the real service, per second and over all pods where not said otherwise."""

    cpu_cores: float
    busy_cores: float
    """As the runtime has it: with the time that a thread waits for a core."""
    gc_cores: float
    """As the runtime has it."""
    cycles: float
    allocated_bytes: float
    requests: float
    live_bytes: float
    """Of one pod."""
    stack_bytes: float
    """Of one pod."""

    @property
    def cost(self) -> float:
        """CPU seconds per request, by the kernel's account."""
        return self.cpu_cores / self.requests

    @property
    def marked_bytes(self) -> float:
        """Live bytes that GC cycles go over, per request."""
        return self.cycles * self.live_bytes / self.requests

    @property
    def runtime_share(self) -> float:
        """GC share as gc-tuner measures it: the runtime's GC CPU by the kernel's CPU."""
        return self.gc_cores / self.cpu_cores


def _figure(subject: Tenant, expression: str) -> float:
    where = f'namespace="{subject.namespace}",container="{APP_CONTAINER}",pod=~"{SERVICE}-.*"'
    answer = subject.cluster.prometheus.query(
        expression.replace("WHERE", where).replace("WINDOW", f"{MEASURE_SECONDS}s")
    )
    (value,) = answer.values()
    return float(value)


def _run(cluster: Cluster, gogc: int) -> Measured:
    environment = {**POINTER_RICH, "RUNTIME_METRICS": "all", GOGC: str(gogc)}
    subject = tenant(cluster, f"fit-{gogc}", environment, rate=RATE, mode=None, memory_limit="1Gi")
    subject.deploy()
    try:
        subject.wait()
        time.sleep(SETTLE_SECONDS + MEASURE_SECONDS)
        return Measured(
            cpu_cores=_figure(subject, "sum(rate(process_cpu_seconds_total{WHERE}[WINDOW]))"),
            busy_cores=_figure(
                subject,
                "sum(rate(go_cpu_classes_total_cpu_seconds_total{WHERE}[WINDOW]))"
                " - sum(rate(go_cpu_classes_idle_cpu_seconds_total{WHERE}[WINDOW]))",
            ),
            gc_cores=_figure(
                subject, "sum(rate(go_cpu_classes_gc_total_cpu_seconds_total{WHERE}[WINDOW]))"
            ),
            cycles=_figure(subject, "sum(rate(go_gc_duration_seconds_count{WHERE}[WINDOW]))"),
            allocated_bytes=_figure(
                subject, "sum(rate(go_memstats_alloc_bytes_total{WHERE}[WINDOW]))"
            ),
            requests=_figure(subject, "sum(rate(http_requests_total{WHERE}[WINDOW]))"),
            live_bytes=_figure(subject, "avg(avg_over_time(go_gc_heap_live_bytes{WHERE}[WINDOW]))"),
            stack_bytes=_figure(
                subject, "avg(avg_over_time(go_memstats_stack_inuse_bytes{WHERE}[WINDOW]))"
            ),
        )
    finally:
        cluster.kubectl("delete", "namespace", subject.namespace, "--wait=true")


def _fitted(often: list[Measured], seldom: list[Measured]) -> Service:
    """The plant's constants: what two settings show."""

    def middle(name: str) -> float:
        return float(median(getattr(each, name) for each in often))

    marked = [median(each.marked_bytes for each in runs) for runs in (often, seldom)]
    cost = [median(each.cost for each in runs) for runs in (often, seldom)]
    line = linear_regression(marked, cost)
    requests = middle("requests")
    return Service(
        name="fitted",
        requests_per_second=constant(requests),
        garbage_bytes_per_request=middle("allocated_bytes") / requests,
        work_seconds_per_request=line.intercept,
        live_bytes=constant(middle("live_bytes")),
        cost_seconds_per_byte=line.slope,
        stack_bytes=middle("stack_bytes"),
        memory_limit_bytes=None,
    )


def _foretold_share(service: Service, gogc: int) -> float:
    """GC share of the CPU in the plant, first minute left out."""
    plant = SimulatedCluster([replace(service, gogc=str(gogc))], 0.0, seed=1)
    (key,) = plant.services()

    def spent() -> tuple[float, float]:
        pods = [pod.counters for pod in plant.pods(key)]
        return sum(each.gc_cpu_seconds for each in pods), sum(each.cpu_seconds for each in pods)

    def live_until(end: float) -> None:
        while plant.now < end:
            plant.advance(STEP_SECONDS)

    live_until(60.0)
    before = spent()
    live_until(660.0)
    after = spent()
    return (after[0] - before[0]) / (after[1] - before[1])


def test_the_plant_foretells_what_a_request_costs_a_real_service(cluster: Cluster) -> None:
    runs: dict[int, list[Measured]] = {gogc: [] for gogc in (*FITTED_AT, *FORETOLD)}
    for _ in range(REPEATS):
        for gogc, measured in runs.items():
            measured.append(_run(cluster, gogc))
    service = _fitted(*(runs[gogc] for gogc in FITTED_AT))
    work, marking = service.work_seconds_per_request, service.cost_seconds_per_byte
    print(f"\n{1000 * work:.3f} ms of work a request, {1e9 * marking:.3f} ns per byte marked")
    print("      CPU a request, ms                             GC share")
    print("GOGC  each run              median  foretold  error  kernel  foretold  runtime  its own")
    errors = {}
    for gogc, measured in sorted(runs.items()):
        cost, share = median(each.cost for each in measured), _foretold_share(service, gogc)
        foretold = work / (1 - share)
        errors[gogc] = foretold / cost - 1
        each_run = " ".join(f"{1000 * each.cost:.3f}" for each in measured)
        runtime = median(each.runtime_share for each in measured)
        own = median(each.gc_cores / each.busy_cores for each in measured)
        print(
            f"{gogc:4d}  {each_run:20}  {1000 * cost:6.3f}  {1000 * foretold:8.3f}"
            f"  {errors[gogc]:+5.1%}  {1 - work / cost:6.3f}  {share:8.3f}  {runtime:7.3f}"
            f"  {own:7.3f}"
        )
    assert all(abs(errors[gogc]) <= NEAR for gogc in FORETOLD), errors
