"""One pod of a Go service, garbage collection cycle by cycle.

The heap grows at the allocation rate from the live heap to its goal; a cycle then marks the live
heap at a cost per byte. Pages are touched for the first time while the heap grows past what it ever
was, which costs CPU of its own; what lies far above the goal is given back. Where marking would
take more than half of the CPU, Go's limiter lets the heap grow past its goal instead: the service
slows down, and may be killed for its memory.

Requests queue for the CPU. A barrier admits so many at a time and refuses the rest at once.

The relations are those of Go's collector and of a queue; the constants are parameters of the
service.
"""

import math
from dataclasses import dataclass, field

from tuner.simulation.service import InForce, Service

PAGE_BYTES = 4096
PAGE_FAULT_SECONDS = 0.25e-6
"""CPU of the first touch of a page."""
RETAINED_RATIO = 1.1
"""What Go's scavenger leaves mapped, by the heap goal: a tenth more, as ``mgcscavenge.go`` has
it."""
FORCED_CYCLE_SECONDS = 120.0
"""Go collects at least this often."""
LIMITER_SHARE = 0.5
"""Go's collector leaves at least this share of the CPU to the program."""
MARKING_WEIGHT = 3.0
"""How much latency rises with the GC share: marking takes CPU from requests."""
FULL = 0.97
"""Utilisation from which on requests only wait longer for each that is served."""
P95_OVER_MEAN = math.log(20)
"""Of latency in a queue, whose distribution is exponential."""
QUOTA_PERIOD_SPREAD = 0.15
"""Standard deviation of the CPU wanted in one period of the quota, by its mean."""


@dataclass(slots=True)
class Counters:
    """What a process has counted since its start."""

    at: float
    requests: float = 0.0
    """Answered; what the barrier refused is not among them."""
    errors: float = 0.0
    """Among them, those with a 5xx code."""
    refused: float = 0.0
    """By the barrier."""
    cpu_seconds: float = 0.0
    gc_cpu_seconds: float = 0.0
    """As the runtime exports it: brought up to date at the end of each cycle."""
    cycles: float = 0.0
    allocated_bytes: float = 0.0
    pause_seconds: float = 0.0
    """In stop-the-world pauses."""
    throttled_seconds: float = 0.0
    """In periods of the CPU quota in which it was used up."""
    latency_sum_seconds: float = 0.0
    """95th percentile of each while, weighted with its requests."""
    in_flight_seconds: float = 0.0
    """Requests in flight, summed over time."""


@dataclass(slots=True, kw_only=True)
class Pod:
    """One process."""

    name: str = "pod"
    service: Service
    started_at: float
    settings: InForce
    memory_limit_bytes: int | None = None
    """Of its container, in force; None: not limited."""
    pace: float = 1.0
    """CPU per request of this process over the service's: no two restarts are alike."""
    weight: float = 1.0
    """Its part of the load over the others': balancers are never quite even."""
    revision: int = 0
    """Of the template it was made from."""
    ready_at: float = 0.0
    """When it takes requests; infinite where it cannot start."""
    counters: Counters = field(init=False)
    heap_bytes: float = field(init=False)
    goal_bytes: float = field(init=False)
    """Heap at which the cycle under way ends."""
    touched_bytes: float = field(init=False)
    in_flight: float = field(init=False)
    """Requests admitted and not yet answered."""
    ended: int = 0
    """How often its process ended by itself."""
    oom_killed: int = 0
    oom_killed_at: float | None = None
    """The last time; None: never."""
    _collected_at: float = field(init=False)
    _allocation: float = field(init=False)
    """Bytes per second, of late."""

    def __post_init__(self) -> None:
        self._begin(self.started_at)

    def _begin(self, now: float) -> None:
        self.started_at = self._collected_at = now
        self.counters = Counters(now)
        self.heap_bytes = self.touched_bytes = self.live_bytes(now)
        self._allocation = self.in_flight = 0.0
        self.goal_bytes = self._goal(now)

    def end(self, now: float) -> None:
        """End by itself, and begin anew: whatever it counted begins at nothing."""
        self.ended += 1
        self._begin(now)

    def live_bytes(self, now: float) -> float:
        """Live heap."""
        return self.service.live_bytes(now) + self.service.leaked_bytes(now - self.started_at)

    def resident_bytes(self) -> float:
        """Anonymous memory of the container."""
        return self.touched_bytes + self.service.non_heap_bytes + self.service.unknown_bytes

    def goroutines(self) -> float:
        """As many as there are."""
        return self.service.goroutines(self.counters.at) + self.in_flight

    def take(self, settings: InForce) -> None:
        """Run with other settings from now on, as ``debug.SetGCPercent`` and its like do it."""
        self.settings = settings
        self.goal_bytes = self._goal(self.counters.at)

    def advance(self, seconds: float, requests_per_second: float, noise: float) -> bool:
        """Live through some seconds under an even load.

        Args:
            seconds: How long.
            requests_per_second: Load offered to this pod; what does not fit is refused.
            noise: Relative deviation of the CPU per request in this while.

        Returns:
            Whether the kernel killed it for its memory; it has begun anew then.
        """
        counters, service = self.counters, self.service
        began, end = counters.at, counters.at + seconds
        work = (service.work_seconds_per_request * self.pace + service.harm(self.settings.gogc)) * (
            1 + noise
        )
        marking = self._marking_seconds(began)
        capacity = self._capacity(work, marking)
        admitted = min(requests_per_second, self._admissible(work, marking, capacity))
        served = min(admitted, capacity)
        cpu_before, gc_before = counters.cpu_seconds, counters.gc_cpu_seconds
        counters.at = end
        counters.cpu_seconds += served * seconds * work
        self._allocation = served * service.garbage_bytes_per_request
        self._collect(began, end)

        spent = counters.cpu_seconds - cpu_before
        gc_share = (counters.gc_cpu_seconds - gc_before) / spent if spent > 0 else 0.0
        latency = self._latency(spent / seconds, gc_share) * max(admitted / capacity, 1.0)
        self.in_flight = min(served * latency / P95_OVER_MEAN, self.settings.threshold)
        counters.requests += admitted * seconds
        counters.refused += (requests_per_second - admitted) * seconds
        counters.errors += (served * service.error_ratio(end) + admitted - served) * seconds
        counters.allocated_bytes += self._allocation * seconds
        counters.latency_sum_seconds += admitted * seconds * latency
        counters.in_flight_seconds += self.in_flight * seconds
        counters.throttled_seconds += self._throttled_ratio(spent / seconds) * seconds
        return self._killed(end)

    def _killed(self, now: float) -> bool:
        limit = self.memory_limit_bytes
        if limit is None or self.resident_bytes() <= limit:
            return False
        self.oom_killed += 1
        self.oom_killed_at = now
        self._begin(now)
        return True

    def _marking_seconds(self, now: float) -> float:
        """CPU of the marking that a request causes."""
        service, live = self.service, self.live_bytes(now)
        room = max(self._limited_goal(live) - live, PAGE_BYTES)
        return live * service.cost_seconds_per_byte * service.garbage_bytes_per_request / room

    def _capacity(self, work_seconds: float, marking_seconds: float) -> float:
        """Requests/s that the CPU has room for."""
        cores = self.service.cores
        # Under the limiter half of the CPU is the program's, whatever the goal asks for.
        return max(
            cores / (work_seconds + marking_seconds), (1 - LIMITER_SHARE) * cores / work_seconds
        )

    def _admissible(self, work_seconds: float, marking_seconds: float, capacity: float) -> float:
        """Requests/s with no more in flight than the barrier's threshold ``n``.

        In flight are, by Little's law, rate times mean latency ``b / (1 - rate / capacity)``; ``b``
        is that of an idle pod. Solved for the rate: ``n / (b + n / capacity)``.
        """
        threshold = self.settings.threshold
        if math.isinf(threshold):
            return math.inf
        gc_share = marking_seconds / (work_seconds + marking_seconds)
        idle = self._latency(0.0, min(gc_share, LIMITER_SHARE)) / P95_OVER_MEAN
        return threshold / (idle + threshold / capacity)

    def _limited_goal(self, live_bytes: float) -> float:
        settings = self.settings
        return self.service.heap_goal_bytes(live_bytes, settings.gogc, settings.gomemlimit_bytes)

    def _goal(self, now: float) -> float:
        """Heap at which the next cycle ends, the limiter's overshoot included."""
        live = self.live_bytes(now)
        marking = live * self.service.cost_seconds_per_byte
        shortest = marking / (LIMITER_SHARE * self.service.cores)
        return max(self._limited_goal(live), live + self._allocation * shortest, live + PAGE_BYTES)

    def _collect(self, now: float, end: float) -> None:
        """Grow the heap, and collect each time that it reaches its goal."""
        while True:
            allocation = self._allocation
            room = max(self.goal_bytes - self.heap_bytes, 0.0)
            grown = now + room / allocation if allocation > 0 else math.inf
            # A goal that was set below the heap is reached at once.
            due = now if self.heap_bytes > self.goal_bytes else grown
            due = min(due, self._collected_at + FORCED_CYCLE_SECONDS)
            if due > end:
                self._grow((end - now) * allocation)
                return
            self._grow((due - now) * allocation)
            now = self._collected_at = due
            self._mark(now)

    def _mark(self, now: float) -> None:
        """One cycle: what is dead is gone, and what is mapped far above the goal goes back."""
        self.heap_bytes = live = self.live_bytes(now)
        cost = live * self.service.cost_seconds_per_byte
        self.counters.cycles += 1
        self.counters.gc_cpu_seconds += cost
        self.counters.cpu_seconds += cost
        self.counters.pause_seconds += self.service.pause_seconds
        self.goal_bytes = self._goal(now)
        allowed = self.settings.gomemlimit_bytes - self.service.non_heap_bytes
        retained = max(min(RETAINED_RATIO * self.goal_bytes, allowed), live)
        self.touched_bytes = min(self.touched_bytes, retained)

    def _grow(self, grown_bytes: float) -> None:
        self.heap_bytes += grown_bytes
        if self.heap_bytes > self.touched_bytes:
            pages = (self.heap_bytes - self.touched_bytes) / PAGE_BYTES
            self.counters.cpu_seconds += pages * PAGE_FAULT_SECONDS
            self.touched_bytes = self.heap_bytes

    def _latency(self, cores: float, gc_share: float) -> float:
        """95th percentile: queues grow with utilisation, and marking takes turns with requests."""
        idle = 1 - min(cores / self.service.cores, FULL)
        return self.service.latency_seconds * (1 + MARKING_WEIGHT * gc_share) / idle

    def _throttled_ratio(self, cores: float) -> float:
        """Share of the quota's periods in which more was wanted than it allows."""
        if not self.service.quota or cores <= 0:
            return 0.0
        above = (self.service.cores - cores) / (QUOTA_PERIOD_SPREAD * cores)
        return 0.5 * math.erfc(above / math.sqrt(2))
