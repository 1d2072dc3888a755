"""The plant as a metrics source: what Prometheus would make of its pods."""

import math
import random
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from statistics import fmean

from tuner.errors import SourceError
from tuner.model.reading import ContainerKey, Quantity, Readings
from tuner.model.workload import WorkloadKey
from tuner.simulation.cluster import CONTAINER, SimulatedCluster
from tuner.simulation.plant import Counters, Pod
from tuner.simulation.service import InForce, Service
from tuner.simulation.streams import Stream, constant

GOGC_OFF = 1.8e19
GOMEMLIMIT_UNSET = float(2**63 - 1)
FLOOR_SECONDS = 600.0
"""How far back the smallest heap is looked for."""
LOOKBACK_SECONDS = 300.0
"""Age of the newest sample from which on Prometheus no longer shows a series."""
KEPT_SECONDS = 2 * 3600.0
"""How far back a query may look."""
P99_OVER_P95 = 1.6
LONGEST_OVER_TYPICAL_PAUSE = 4.0
SETTINGS_SINCE = 1_021_000
"""The Go release from which on the runtime tells its GOGC and GOMEMLIMIT (its release notes)."""

_COUNTED: dict[Quantity, Callable[[Counters], float]] = {
    Quantity.CPU_CORES: lambda each: each.cpu_seconds,
    Quantity.GC_CYCLES_PER_SECOND: lambda each: each.cycles,
    Quantity.ALLOCATED_BYTES_PER_SECOND: lambda each: each.allocated_bytes,
    Quantity.REQUESTS_PER_SECOND: lambda each: each.requests,
    Quantity.ERRORS_PER_SECOND: lambda each: each.errors,
}
_ALL_ANSWER = constant(0.0)


@dataclass(frozen=True, slots=True)
class _Sample:
    """What one scrape of a pod brings."""

    counters: Counters
    settings: InForce
    goroutines: float
    live_bytes: float
    goal_bytes: float
    heap_bytes: float
    resident_bytes: float


@dataclass(slots=True)
class _Scraped:
    """A process and its samples, oldest first, as far back as anything looks."""

    pod: Pod
    started_at: float
    samples: deque[_Sample]
    lost: bool = False
    """Whether the last scrape failed: Prometheus shows nothing of it then, until one succeeds."""

    @property
    def newest(self) -> _Sample:
        return self.samples[-1]

    @property
    def floor_bytes(self) -> float:
        """Smallest heap seen."""
        return min(sample.heap_bytes for sample in self.samples)

    def within(self, since: float) -> Sequence[_Sample]:
        """The samples after a moment, the newest first."""
        return list(takewhile(lambda each: each.counters.at > since, reversed(self.samples)))


@dataclass(frozen=True, slots=True)
class _Window:
    """One process over a rate window."""

    of: _Scraped
    samples: Sequence[_Sample]
    """The newest first."""

    def rate(self, count: Callable[[Counters], float]) -> float:
        """Growth of a counter per second."""
        new, old = self.samples[0].counters, self.samples[-1].counters
        return (count(new) - count(old)) / (new.at - old.at)

    @property
    def goal_bytes(self) -> float:
        return fmean(sample.goal_bytes for sample in self.samples)

    @property
    def live_bytes(self) -> float:
        return fmean(sample.live_bytes for sample in self.samples)

    @property
    def derived_bytes(self) -> float | None:
        """Live heap out of heap goal, GOGC and stacks: right while GOGC binds."""
        gogc, stack_bytes = self.of.newest.settings.gogc, self.of.pod.service.stack_bytes
        if gogc >= GOGC_OFF or self.of.pod.service.go_version < SETTINGS_SINCE:
            return None
        return (100 * self.goal_bytes - gogc * stack_bytes) / (100 + gogc)

    @property
    def known_live_bytes(self) -> float:
        """The best that the metrics of this process tell of its live heap."""
        if self.of.pod.service.runtime_metrics:
            return self.live_bytes
        derived = self.derived_bytes
        return self.of.floor_bytes if derived is None else derived


class PlantSource:
    """Scrapes the plant and answers as the queries would.

    Attributes:
        outage: Why there is no answer; None while there is.
        scraping: Whether the pods can be scraped; False makes a gap in their series.
        gaps: Share of the scrapes that come to nothing at a time, 0-1, each pod's by itself.
        alerts: Names of the firing alerts by namespace.
        edits: What the queries for some quantities say instead of what is so; None: nothing.
    """

    def __init__(
        self, cluster: SimulatedCluster, *, rate_window_seconds: float, warm_up_seconds: float
    ) -> None:
        """Scrape nothing yet.

        Args:
            cluster: Where the pods are.
            rate_window_seconds: Window of every rate.
            warm_up_seconds: How long a pod's figures are left out after its start.
        """
        self.outage: str | None = None
        self.scraping = True
        self.gaps: Stream = _ALL_ANSWER
        self.alerts: dict[str, frozenset[str]] = {}
        self.edits: Mapping[Quantity, float | None] = {}
        self._cluster = cluster
        self._window = rate_window_seconds
        self._warm_up = warm_up_seconds
        self._random = random.Random(0)  # noqa: S311 - not for secrets
        self._scraped: dict[WorkloadKey, dict[str, _Scraped]] = {}
        self._past: deque[Readings] = deque()

    def scrape(self) -> None:
        """Take a sample of every pod that runs."""
        if not self.scraping:
            return
        self._scraped = {key: self._scrape_pods(key) for key in self._cluster.services()}

    def read(self, at: float) -> Readings:
        """All figures as of a time; of one that is past, as of the last query by then.

        Raises:
            SourceError: There is an outage.
        """
        if self.outage is not None:
            raise SourceError("unreachable", self.outage)
        now, past = self._cluster.now, self._past
        past.append(self._answer(now))
        while past[0].at < now - KEPT_SECONDS:
            past.popleft()
        if at > now:
            return self._answer(at)
        return next((each for each in reversed(past) if each.at <= at), Readings(at, {}))

    def _answer(self, at: float) -> Readings:
        services = self._cluster.services()
        readings = {
            ContainerKey(key, CONTAINER): self._edited(
                self._reading(services[key], scraped.values(), at)
            )
            for key, scraped in self._scraped.items()
            if key in services
        }
        found = {key: reading for key, reading in readings.items() if reading}
        return Readings(at, found, alerts=dict(self.alerts))

    def _edited(self, reading: Mapping[Quantity, float]) -> Mapping[Quantity, float]:
        if not (reading and self.edits):
            return reading
        edited = {**reading, **self.edits}
        return {quantity: value for quantity, value in edited.items() if value is not None}

    def _scrape_pods(self, key: WorkloadKey) -> dict[str, _Scraped]:
        now, known = self._cluster.now, self._scraped.get(key, {})
        lost = self.gaps(now)
        scraped = {}
        for pod in self._cluster.pods(key):
            if not math.isfinite(pod.ready_at):
                continue
            if lost <= 0 or self._random.random() >= lost:
                scraped[pod.name] = self._sampled(known.get(pod.name), pod, now)
            elif pod.name in known:
                known[pod.name].lost = True
                scraped[pod.name] = known[pod.name]
        return scraped

    def _sampled(self, known: _Scraped | None, pod: Pod, now: float) -> _Scraped:
        if known is None or known.started_at != pod.started_at:
            known = _Scraped(pod, pod.started_at, deque())
        known.lost = False
        known.samples.append(
            _Sample(
                replace(pod.counters),
                pod.settings,
                pod.goroutines(),
                pod.live_bytes(now),
                pod.goal_bytes,
                pod.heap_bytes,
                pod.resident_bytes(),
            )
        )
        while known.samples[0].counters.at < now - FLOOR_SECONDS:
            known.samples.popleft()
        return known

    def _reading(
        self, service: Service, scraped: Collection[_Scraped], at: float
    ) -> dict[Quantity, float]:
        shown = [
            each
            for each in scraped
            if not each.lost and at - each.newest.counters.at < LOOKBACK_SECONDS
        ]
        if not shown:
            return {}
        reading = {
            Quantity.PODS_ALL: float(len(shown)),
            Quantity.SAMPLE_AGE_SECONDS: max(at - each.newest.counters.at for each in shown),
        }
        grown = [each for each in shown if at - each.started_at > self._warm_up + self._window]
        if not grown:
            return reading
        windows = [_Window(each, each.within(at - self._window)) for each in grown]
        reading[Quantity.PODS] = float(len(grown))
        reading[Quantity.SAMPLES_IN_WINDOW] = float(min(len(each.samples) for each in windows))
        reading |= _settings(service, grown)
        reading |= _gauges(service, [each for each in windows if each.samples])
        reading |= _rates(service, [each for each in windows if len(each.samples) > 1])
        return reading


def _settings(service: Service, scraped: Sequence[_Scraped]) -> dict[Quantity, float]:
    """What is so now, of the worst pod, all of them, or both ends."""
    settings = [each.newest.settings for each in scraped]
    gogc = [min(each.gogc, GOGC_OFF) for each in settings]
    limits = [min(each.gomemlimit_bytes, GOMEMLIMIT_UNSET) for each in settings]
    thresholds = [each.threshold for each in settings if math.isfinite(each.threshold)]
    reading = {
        Quantity.RESIDENT_BYTES: max(each.newest.resident_bytes for each in scraped),
        Quantity.LIVE_FLOOR_BYTES: max(each.floor_bytes for each in scraped),
        Quantity.GOROUTINES: max(each.newest.goroutines for each in scraped),
        Quantity.PROCESSORS: float(math.ceil(service.cores) * len(scraped)),
        Quantity.GO_VERSION: float(service.go_version),
        Quantity.PAUSE_LONGEST_SECONDS: LONGEST_OVER_TYPICAL_PAUSE * service.pause_seconds,
    }
    if service.go_version >= SETTINGS_SINCE:
        reading[Quantity.GOGC_LOWEST] = min(gogc)
        reading[Quantity.GOGC_HIGHEST] = max(gogc)
        reading[Quantity.GOMEMLIMIT_BYTES] = min(limits)
    if thresholds:
        reading[Quantity.BARRIER_THRESHOLD_LOWEST] = min(thresholds)
        reading[Quantity.BARRIER_THRESHOLD_HIGHEST] = max(thresholds)
    return reading


def _gauges(service: Service, windows: Sequence[_Window]) -> dict[Quantity, float]:
    """Means over the window, of the worst pod."""
    if not windows:
        return {}
    gauges = {
        Quantity.HEAP_GOAL_BYTES: max(each.goal_bytes for each in windows),
        Quantity.STACK_BYTES: service.stack_bytes,
        Quantity.NON_HEAP_BYTES: service.non_heap_bytes,
        Quantity.UNKNOWN_BYTES: service.unknown_bytes,
    }
    derived = [each.derived_bytes for each in windows if each.derived_bytes is not None]
    if derived:
        gauges[Quantity.LIVE_DERIVED_BYTES] = max(derived)
    if service.runtime_metrics:
        gauges[Quantity.LIVE_EXPORTED_BYTES] = max(each.live_bytes for each in windows)
    return gauges


def _rates(service: Service, windows: Sequence[_Window]) -> dict[Quantity, float]:
    """Growth between the oldest and the newest sample of the window.

    Summed over pods; what is a share of time, or is not to exceed something, is the worst pod's.
    """
    if not windows:
        return {}
    rates = {
        quantity: sum(each.rate(count) for each in windows) for quantity, count in _COUNTED.items()
    }
    rates[Quantity.MARKED_BYTES_PER_SECOND] = sum(
        each.rate(_COUNTED[Quantity.GC_CYCLES_PER_SECOND]) * each.known_live_bytes
        for each in windows
    )
    if service.runtime_metrics:
        rates[Quantity.GC_CPU_CORES] = sum(
            each.rate(lambda counters: counters.gc_cpu_seconds) for each in windows
        )
    rates[Quantity.PAUSE_SECONDS_PER_SECOND] = max(
        each.rate(lambda counters: counters.pause_seconds) for each in windows
    )
    if service.quota:
        rates[Quantity.THROTTLED_RATIO] = max(
            each.rate(lambda counters: counters.throttled_seconds) for each in windows
        )
    if any(math.isfinite(each.of.newest.settings.threshold) for each in windows):
        rates[Quantity.BARRIER_REFUSED_PER_SECOND] = sum(
            each.rate(lambda counters: counters.refused) for each in windows
        )
        rates[Quantity.BARRIER_IN_FLIGHT] = max(
            each.rate(lambda counters: counters.in_flight_seconds) for each in windows
        )
    waited = sum(each.rate(lambda counters: counters.latency_sum_seconds) for each in windows)
    requests = rates[Quantity.REQUESTS_PER_SECOND]
    p95 = waited / requests if requests > 0 else math.nan
    rates[Quantity.LATENCY_P95_SECONDS] = p95
    rates[Quantity.LATENCY_P99_SECONDS] = P99_OVER_P95 * p95
    return rates
