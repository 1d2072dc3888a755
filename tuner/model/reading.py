"""What one round of queries returned, before it means anything."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from tuner.model.workload import WorkloadKey


class Quantity(StrEnum):
    """One number per Go container, already aggregated over its pods by the metrics source.

    Only pods older than the warm-up and one rate window take part, except where noted. "Worst"
    is the maximum over pods, "sum" the sum over pods. Heap, stacks and what is computed from them
    are means over the rate window: gauges of different instants make differences of nothing.
    """

    PODS = "pods"
    """Pods that take part."""
    PODS_ALL = "pods_all"
    """Pods that are scraped, young ones included."""
    SAMPLE_AGE_SECONDS = "sample_age_seconds"
    """Age of the stalest pod's newest sample."""
    SAMPLES_IN_WINDOW = "samples_in_window"
    """Fewest samples that any pod has in the rate window."""
    CPU_CORES = "cpu_cores"
    """CPU used, sum."""
    GC_CPU_CORES = "gc_cpu_cores"
    """CPU spent on garbage collection as the runtime measured it, sum; opt-in of the service."""
    BUSY_CPU_CORES = "busy_cpu_cores"
    """CPU that the runtime did not leave idle, by its own account, sum; opt-in of the service."""
    GC_CYCLES_PER_SECOND = "gc_cycles_per_second"
    """Sum."""
    MARKED_BYTES_PER_SECOND = "marked_bytes_per_second"
    """GC cycles/s times live heap, per pod, sum: what an estimated GC cost is proportional to."""
    ALLOCATED_BYTES_PER_SECOND = "allocated_bytes_per_second"
    """Sum."""
    PAUSE_SECONDS_PER_SECOND = "pause_seconds_per_second"
    """Share of time in stop-the-world pauses, worst."""
    PAUSE_LONGEST_SECONDS = "pause_longest_seconds"
    """Longest recent stop-the-world pause, worst."""
    GOROUTINES = "goroutines"
    """Worst."""
    PROCESSORS = "processors"
    """GOMAXPROCS, sum."""
    THROTTLED_RATIO = "throttled_ratio"
    """Share of CPU quota periods in which the container was throttled, worst."""
    GO_VERSION = "go_version"
    """Go release as a number: 1026008 for 1.26.8; the smallest of the pods'."""
    REQUESTS_PER_SECOND = "requests_per_second"
    """Answered, what the barrier refused left out; sum."""
    ERRORS_PER_SECOND = "errors_per_second"
    """Answers with a 5xx code, what the barrier refused left out; sum."""
    BARRIER_THRESHOLD_LOWEST = "barrier_threshold_lowest"
    """Requests in flight that a pod admits; the smallest."""
    BARRIER_THRESHOLD_HIGHEST = "barrier_threshold_highest"
    """Requests in flight that a pod admits; the largest."""
    BARRIER_IN_FLIGHT = "barrier_in_flight"
    """Requests admitted and not yet answered, mean over the rate window; worst."""
    BARRIER_REFUSED_PER_SECOND = "barrier_refused_per_second"
    """Sum."""
    LATENCY_P95_SECONDS = "latency_p95_seconds"
    LATENCY_P99_SECONDS = "latency_p99_seconds"
    LIVE_EXPORTED_BYTES = "live_exported_bytes"
    """Live heap as the runtime exports it, worst; opt-in of the service."""
    LIVE_DERIVED_BYTES = "live_derived_bytes"
    """Live heap out of heap goal, GOGC and stacks, worst; right while GOGC binds."""
    LIVE_FLOOR_BYTES = "live_floor_bytes"
    """Smallest heap seen over ten minutes, worst: the live heap where the goal tells nothing."""
    HEAP_GOAL_BYTES = "heap_goal_bytes"
    """Worst."""
    STACK_BYTES = "stack_bytes"
    """Worst."""
    NON_HEAP_BYTES = "non_heap_bytes"
    """Memory that Go maps beside the live heap's goal, O + F: non-heap and span slack; worst."""
    UNKNOWN_BYTES = "unknown_bytes"
    """Memory of the container that Go does not know, N; worst."""
    RESIDENT_BYTES = "resident_bytes"
    """Anonymous memory of the container, W; worst."""
    GOGC_LOWEST = "gogc_lowest"
    """Percent; 1e18 and more means off."""
    GOGC_HIGHEST = "gogc_highest"
    """Percent; 1e18 and more means off."""
    GOMEMLIMIT_BYTES = "gomemlimit_bytes"
    """Smallest; 2^63-1 where it is not set."""


class ContainerKey(NamedTuple):
    """Name of a Go container, over all pods of its workload."""

    workload: WorkloadKey
    container: str


FleetReadings = Mapping[WorkloadKey, Mapping[str, Mapping[Quantity, float]]]
"""By workload and name of the container."""


@dataclass(frozen=True, slots=True)
class Readings:
    """The answers of one round of queries.

    A quantity that the source did not return is absent, never zero; a value can be NaN or infinite.
    """

    at: float
    """Evaluation time."""
    containers: Mapping[ContainerKey, Mapping[Quantity, float]]
    alerts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Names of the firing alerts that were asked for, by namespace; "" for those without one."""

    @property
    def by_workload(self) -> FleetReadings:
        """The answers by workload and, below it, the name of the container."""
        found: defaultdict[WorkloadKey, dict[str, Mapping[Quantity, float]]] = defaultdict(dict)
        for key, reading in self.containers.items():
            found[key.workload][key.container] = reading
        return found
