"""What is simulated: a Go service, its workload, and what its runtime reads of its settings."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tuner.model.workload import BARRIER, GOGC, GOMEMLIMIT, Kind
from tuner.simulation.streams import Stream, constant

GOGC_DEFAULT = 100.0
HEAP_LEAST_BYTES = 4 * 1024 * 1024
"""Go's smallest heap goal at GOGC=100; it scales with GOGC."""
LIMIT_GOAL_RATIO = 0.97
"""Share of GOMEMLIMIT less non-heap memory that becomes the heap goal."""
GOMEMLIMIT_SINCE = 1_019_000
"""The Go release that brought GOMEMLIMIT; earlier ones do not read it."""

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


def threshold_of(text: str | None) -> float:
    """The barrier's threshold, requests in flight; infinite where there is no barrier.

    Raises:
        ValueError: The service refuses to start with it.
    """
    if text is None:
        return math.inf
    if not re.fullmatch(r"[1-9][0-9]*", text):
        raise ValueError(f"malformed barrier threshold {text!r}")
    return float(text)


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings that a process runs with."""

    gogc: float = GOGC_DEFAULT
    """Percent; infinite where it is off."""
    gomemlimit_bytes: float = math.inf
    """Infinite where it is not set."""
    threshold: float = math.inf
    """Requests in flight that the barrier admits; infinite where there is none."""


def _harmless(_gogc: float) -> float:
    return 0.0


_none = constant(0.0)
_few = constant(50.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a workload's pods do, and who else has a hand in it."""

    name: str
    namespace: str = "default"
    kind: Kind = Kind.DEPLOYMENT
    surges: bool = True
    """Whether a Deployment's rollout starts a new pod before it stops an old one; that of a
    StatefulSet never does."""
    replicas: int = 2
    requests_per_second: Stream
    """Over all pods."""
    garbage_bytes_per_request: float
    work_seconds_per_request: float
    """CPU outside of garbage collection."""
    live_bytes: Stream
    """Live heap of a pod, by simulated time."""
    leaked_bytes: Stream = _none
    """What a pod holds on to besides, by seconds since its process began."""
    cost_seconds_per_byte: float = 0.7e-9
    """Marking cost per live byte and cycle."""
    stack_bytes: float = 1e6
    globals_bytes: float = 0.3e6
    non_heap_bytes: float = 15e6
    unknown_bytes: float = 2e6
    """Memory of the container that Go does not know."""
    cores: float = 2.0
    """CPU that a pod can use."""
    quota: bool = False
    """Whether the kernel's quota sets ``cores``, and throttles; else the node does."""
    latency_seconds: float = 2e-3
    """95th percentile of an idle pod that does not collect."""
    goroutines: Stream = _few
    """Of a pod, beside one a request."""
    pause_seconds: float = 100e-6
    """The world is stopped so long in a GC cycle, typically."""
    memory_request_bytes: int | None = 1024 * 1024 * 1024
    memory_limit_bytes: int | None = 1024 * 1024 * 1024
    cpu_request_cores: float = 1.0
    go_version: int = 1_026_008
    """As a number: 1026008 for 1.26.8."""
    runtime_metrics: bool = True
    """Whether the opt-in metrics of the runtime are exported."""
    gogc: str | None = None
    """In the manifest, or in the ConfigMap of a live service; None: not set."""
    gomemlimit: str | None = None
    """As ``gogc``."""
    barrier: str | None = None
    """Admission threshold, requests in flight per pod, set as ``gogc``; None: no barrier."""
    live: bool = False
    """Whether it takes its settings from a ConfigMap, without a restart."""
    mount_delay_seconds: float = 60.0
    """From a write of the ConfigMap until pods see it."""
    in_process_gogc: float | None = None
    """What the service itself sets, whatever env and ConfigMap say, percent; None: it does not."""
    cpu_hpa: float | None = None
    """Share of the CPU request at which a HorizontalPodAutoscaler adds pods; None: none does."""
    memory_hpa: float | None = None
    """The same of the memory request."""
    replicas_highest: int = 10
    """Most pods that an autoscaler asks for; the fewest are ``replicas``."""
    vpa: str = ""
    """Name of the VerticalPodAutoscaler that claims its memory; empty where none does."""
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

    def in_force(self, texts: Mapping[str, str | None]) -> InForce:
        """What a process makes of its settings.

        Args:
            texts: Value by name of the setting; None or absent: not set.

        Raises:
            ValueError: It refuses to run with them.
        """
        gogc = gogc_of(texts.get(GOGC))
        gomemlimit_bytes = math.inf
        if self.go_version >= GOMEMLIMIT_SINCE:
            gomemlimit_bytes = gomemlimit_of(texts.get(GOMEMLIMIT))
        if self.in_process_gogc is not None:
            gogc = self.in_process_gogc
        return InForce(gogc, gomemlimit_bytes, threshold_of(texts.get(BARRIER)))
