"""One pod of a Go service, garbage collection cycle by cycle.

The heap grows at the allocation rate from the live heap to its goal; a cycle then marks the live
heap at a cost per byte. Pages are touched for the first time while the heap grows past what it ever
was, which costs CPU of its own. Where marking would take more than half of the CPU, Go's limiter
lets the heap grow past its goal instead: the service slows down, and may be killed for its memory.
The relations are those of Go's collector; the constants are parameters of the service.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tuner.simulation.streams import Stream, constant

PAGE_BYTES = 4096
PAGE_FAULT_SECONDS = 0.25e-6
"""CPU of the first touch of a page."""
GOGC_DEFAULT = 100.0
HEAP_LEAST_BYTES = 4 * 1024 * 1024
"""Go's smallest heap goal at GOGC=100; it scales with GOGC."""
FORCED_CYCLE_SECONDS = 120.0
"""Go collects at least this often."""
LIMITER_SHARE = 0.5
"""Go's collector leaves at least this share of the CPU to the program."""
LIMIT_GOAL_RATIO = 0.97
"""Share of GOMEMLIMIT less non-heap memory that becomes the heap goal."""
MARKING_WEIGHT = 3.0
"""How much latency rises with the GC share: marking takes CPU from requests."""
FULL = 0.97
"""Utilisation from which on latency rises no further: requests are refused instead."""

_MEMORY_LIMIT = re.compile(r"([0-9]+)(B|KiB|MiB|GiB|TiB)?")
_UNITS = {None: 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def gogc_of(text: str | None) -> float:
    """GOGC as Go reads it, percent; infinite where it is off.

    Anything that is not a whole number is silently the default.
    """
    if text == "off":
        return math.inf
    if text is None or not re.fullmatch(r"[0-9]+", text):
        return GOGC_DEFAULT
    return float(text)


def gomemlimit_of(text: str | None) -> float:
    """GOMEMLIMIT as Go reads it, bytes; infinite where it is not set.

    Raises:
        ValueError: Go refuses to start with it.
    """
    if text is None or text == "off":
        return math.inf
    match = _MEMORY_LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(f"malformed GOMEMLIMIT {text!r}")
    return float(int(match[1]) * _UNITS[match[2]])


def _harmless(_gogc: float) -> float:
    return 0.0


_none = constant(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a Deployment's pods do."""

    name: str
    namespace: str = "default"
    replicas: int = 2
    requests_per_second: Stream
    """Over all pods."""
    garbage_bytes_per_request: float
    work_seconds_per_request: float
    """CPU outside of garbage collection."""
    live_bytes: Stream
    cost_seconds_per_byte: float = 0.7e-9
    """Marking cost per live byte and cycle."""
    stack_bytes: float = 1e6
    globals_bytes: float = 0.3e6
    non_heap_bytes: float = 15e6
    unknown_bytes: float = 2e6
    """Memory of the container that Go does not know."""
    cores: float = 2.0
    """CPU that a pod can use."""
    latency_seconds: float = 2e-3
    """95th percentile of an idle pod that does not collect."""
    memory_request_bytes: int | None = 1024 * 1024 * 1024
    memory_limit_bytes: int | None = 1024 * 1024 * 1024
    runtime_metrics: bool = True
    """Whether the opt-in metrics of the runtime are exported."""
    gogc: str | None = None
    """In the manifest; None: not set."""
    gomemlimit: str | None = None
    """In the manifest; None: not set."""
    harm: Callable[[float], float] = _harmless
    """Extra CPU seconds per request at a GOGC, for a change that is bad on purpose."""
    error_ratio: Stream = _none
    mode: str | None = "auto"
    annotations: dict[str, str] = field(default_factory=dict)

    def heap_goal_bytes(self, live_bytes: float, gogc: float, gomemlimit_bytes: float) -> float:
        """Heap at which a cycle ends, by Go's own rule: the smaller of two asks wins.

        Args:
            live_bytes: Live heap.
            gogc: Percent; infinite where it is off.
            gomemlimit_bytes: Infinite where it is not set.
        """
        roots = live_bytes + self.stack_bytes + self.globals_bytes
        wanted = max(live_bytes + roots * gogc / 100, HEAP_LEAST_BYTES * gogc / 100)
        allowed = LIMIT_GOAL_RATIO * (gomemlimit_bytes - self.non_heap_bytes)
        return max(min(wanted, allowed), live_bytes)


@dataclass(slots=True)
class Counters:
    """What a process has counted since its start."""

    at: float
    requests: float = 0.0
    """Answered, refusals included."""
    errors: float = 0.0
    cpu_seconds: float = 0.0
    gc_cpu_seconds: float = 0.0
    """As the runtime exports it: brought up to date at the end of each cycle."""
    cycles: float = 0.0
    allocated_bytes: float = 0.0
    latency_sum_seconds: float = 0.0
    """95th percentile of each while, weighted with its requests."""


@dataclass(slots=True, kw_only=True)
class Pod:
    """One process."""

    name: str = "pod"
    service: Service
    started_at: float
    gogc: float
    """Percent; infinite where it is off."""
    gomemlimit_bytes: float
    """Infinite where it is not set."""
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
    oom_killed: int = 0
    _collected_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._begin(self.started_at)

    def _begin(self, now: float) -> None:
        self.started_at = self._collected_at = now
        self.counters = Counters(now)
        self.heap_bytes = self.touched_bytes = self.live_bytes(now)
        self.goal_bytes = self._goal(now, 0.0)

    def live_bytes(self, now: float) -> float:
        """Live heap."""
        return self.service.live_bytes(now)

    def resident_bytes(self) -> float:
        """Anonymous memory of the container."""
        return self.touched_bytes + self.service.non_heap_bytes + self.service.unknown_bytes

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
        work = (service.work_seconds_per_request * self.pace + service.harm(self.gogc)) * (
            1 + noise
        )
        served = min(requests_per_second, self._capacity(began, work))
        cpu_before, gc_before = counters.cpu_seconds, counters.gc_cpu_seconds
        counters.at = end
        counters.cpu_seconds += served * seconds * work
        self._collect(began, end, served * service.garbage_bytes_per_request)

        requests = requests_per_second * seconds
        failed = served * seconds * service.error_ratio(end)
        counters.requests += requests
        counters.errors += failed + (requests - served * seconds)
        counters.allocated_bytes += served * seconds * service.garbage_bytes_per_request
        spent = counters.cpu_seconds - cpu_before
        gc_share = (counters.gc_cpu_seconds - gc_before) / spent if spent > 0 else 0.0
        counters.latency_sum_seconds += requests * self._latency(spent / seconds, gc_share)

        limit = service.memory_limit_bytes
        if limit is not None and self.resident_bytes() > limit:
            self.oom_killed += 1
            self._begin(end)
            return True
        return False

    def _capacity(self, now: float, work_seconds: float) -> float:
        """Requests/s that the CPU has room for beside the marking that they cause."""
        service = self.service
        live = self.live_bytes(now)
        goal = service.heap_goal_bytes(live, self.gogc, self.gomemlimit_bytes)
        cycles = service.garbage_bytes_per_request / max(goal - live, PAGE_BYTES)
        marking = cycles * live * service.cost_seconds_per_byte
        # Under the limiter half of the CPU is the program's, whatever the goal asks for.
        return max(
            service.cores / (work_seconds + marking),
            (1 - LIMITER_SHARE) * service.cores / work_seconds,
        )

    def _goal(self, now: float, allocation: float) -> float:
        """Heap at which the next cycle ends, the limiter's overshoot included."""
        service, live = self.service, self.live_bytes(now)
        goal = service.heap_goal_bytes(live, self.gogc, self.gomemlimit_bytes)
        marking = live * service.cost_seconds_per_byte
        shortest = marking / (LIMITER_SHARE * service.cores)
        return max(goal, live + allocation * shortest, live + PAGE_BYTES)

    def _collect(self, now: float, end: float, allocation: float) -> None:
        """Grow the heap, and collect each time that it reaches its goal."""
        while True:
            room = max(self.goal_bytes - self.heap_bytes, 0.0)
            grown = now + room / allocation if allocation > 0 else math.inf
            due = min(grown, self._collected_at + FORCED_CYCLE_SECONDS)
            if due > end:
                self._grow((end - now) * allocation)
                return
            self._grow((due - now) * allocation)
            now = self._collected_at = due
            self.heap_bytes = live = self.live_bytes(now)
            cost = live * self.service.cost_seconds_per_byte
            self.counters.cycles += 1
            self.counters.gc_cpu_seconds += cost
            self.counters.cpu_seconds += cost
            self.goal_bytes = self._goal(now, allocation)

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
