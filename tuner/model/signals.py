"""What the readings mean: the process variables of the loops."""

from dataclasses import dataclass
from enum import StrEnum

from tuner.model.policy import LatencyQuantile

CYCLES_FOR_A_SHARE = 3
"""Fewest GC cycles per pod that make a GC share."""


class Source(StrEnum):
    """How a signal was had."""

    MEASURED = "measured"
    """Exported by the runtime."""
    DERIVED = "derived"
    """Computed from exact relations of the runtime's own figures; within 3 %."""
    ESTIMATED = "estimated"
    """Computed with a prior or learned cost: weaker, and said so wherever it is shown."""


@dataclass(frozen=True, slots=True)
class Signals:
    """Finite, fresh and consistent figures of one Go container."""

    at: float
    container: str
    pods: int
    """Pods behind these figures."""
    pods_young: int
    """Pods that are still warming up and not in these figures."""
    cpu_cores: float
    """CPU used, sum over pods."""
    gc_share: float
    """GC share of the CPU, .002-.95."""
    gc_share_source: Source
    marked_bytes_per_second: float
    """GC cycles/s times live heap, sum over pods."""
    cycles_per_second: float
    """GC cycles/s, mean over pods."""
    cycles_seen: float
    """GC cycles behind what is said here of GC, mean over pods: few of them make no GC share."""
    allocated_bytes_per_second: float
    """Sum over pods."""
    live_bytes: float
    """Live heap, worst pod."""
    live_source: Source
    stack_bytes: float
    non_heap_bytes: float
    """O + F, worst pod."""
    unknown_bytes: float
    """N, worst pod."""
    resident_bytes: float
    """W, worst pod."""
    heap_goal_bytes: float
    gogc: float
    """GOGC in force, percent; infinite where it is off."""
    gogc_effective: float
    """GOGC that would give today's heap goal, percent; differs from gogc while a limit binds."""
    gogc_uniform: bool
    """Whether all pods run with the same GOGC."""
    gomemlimit_bytes: float | None
    """GOMEMLIMIT in force; None where it is not set."""
    requests_per_second: float | None
    errors_ratio: float | None
    """5xx answers by all answers, 0-1; None without a request counter or without requests."""
    latency_p95_seconds: float | None
    latency_p99_seconds: float | None
    pause_ratio: float | None
    """Share of time in stop-the-world pauses, worst pod."""
    pause_longest_seconds: float | None = None
    """Longest recent stop-the-world pause, worst pod."""
    goroutines: float | None = None
    """Worst pod."""
    utilisation: float | None = None
    """CPU used by GOMAXPROCS; idle marking makes GC dearer where it is low."""
    throttled_ratio: float | None = None
    """Share of CPU quota periods in which the container was throttled, worst pod."""
    go_version: int | None = None
    """Go release as a number: 1026008 for 1.26.8; the oldest of the pods'."""
    barrier_threshold: float | None = None
    """Requests in flight that each pod admits; None without a barrier, or while pods differ."""
    barrier_in_flight: float | None = None
    """Requests admitted and not yet answered, worst pod."""
    barrier_refused_per_second: float | None = None
    """Sum over pods."""

    def latency(self, quantile: LatencyQuantile) -> float | None:
        """Latency of admitted requests at a quantile, seconds; None where it is not known."""
        if quantile is LatencyQuantile.P99:
            return self.latency_p99_seconds
        return self.latency_p95_seconds

    @property
    def cpu_seconds_per_request(self) -> float | None:
        """CPU per request; None without a request counter or without requests."""
        if not self.requests_per_second:
            return None
        return self.cpu_cores / self.requests_per_second
