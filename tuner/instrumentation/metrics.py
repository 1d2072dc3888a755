"""What gc-tuner says of itself to Prometheus.

Series per workload are made at scrape time from the last tick, so that they go with the workload.
"""

import platform
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from typing import assert_never

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tuner.election import Standing
from tuner.model.decision import Apply
from tuner.model.happening import (
    ChangeWritten,
    ConfigRefused,
    ConfigReloaded,
    Happening,
    HoldBegan,
    OverridesMoved,
    PhaseReached,
    SourceFound,
    SourceLost,
    TickEnded,
    TickFailed,
    TrialEnded,
    WorkloadFailed,
    WriteFailed,
)
from tuner.model.proposal import GogcMove
from tuner.model.record import Verb
from tuner.model.trial import Outcome, Verdict
from tuner.model.workload import Mode

_TICK_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
_ERROR_RATIOS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)


class MetricsObserver:
    """Counts what happens, in a registry of its own."""

    def __init__(
        self,
        registry: CollectorRegistry,
        version: str,
        queries_sent: Callable[[], int],
        standings: Callable[[], Iterable[Standing]] = tuple,
    ) -> None:
        """Register every metric.

        Args:
            registry: A new registry.
            version: Version of gc-tuner.
            queries_sent: Queries sent to the metrics source so far.
            standings: Where this replica stands in the leader election; nowhere without one.
        """
        self._fleet = _Fleet(queries_sent)
        self._source_lost = False
        registry.register(self._fleet)
        registry.register(_Election(standings))
        self._decisions = Counter(
            "gc_tuner_decisions",
            "Decisions, one per workload and tick.",
            ["decision", "reason"],
            registry=registry,
        )
        self._tick_seconds = Histogram(
            "gc_tuner_tick_duration_seconds",
            "Time that a tick took over all workloads.",
            buckets=_TICK_SECONDS,
            registry=registry,
        )
        self._ticks_failed = Counter(
            "gc_tuner_ticks_failed",
            "Ticks without decisions because the cluster could not be seen.",
            registry=registry,
        )
        self._last_tick = Gauge(
            "gc_tuner_last_tick_timestamp_seconds",
            "When the last tick with decisions began, since the Unix epoch.",
            registry=registry,
        )
        self._source_up = Gauge(
            "gc_tuner_source_up",
            "Whether the metrics source gives usable answers.",
            registry=registry,
        )
        self._source_failures = Counter(
            "gc_tuner_source_failures",
            "Times that the metrics source stopped giving usable answers.",
            ["cause"],
            registry=registry,
        )
        self._writes = Counter(
            "gc_tuner_writes",
            "Changes written to workloads, and writes of any object that failed.",
            ["what", "result"],
            registry=registry,
        )
        self._trials = Counter(
            "gc_tuner_trials",
            "Trials that ended, by verdict.",
            ["verdict"],
            registry=registry,
        )
        self._prediction_error = Histogram(
            "gc_tuner_prediction_error_ratio",
            "Distance between predicted and measured saving of CPU per request.",
            buckets=_ERROR_RATIOS,
            registry=registry,
        )
        self._memory_error = Histogram(
            "gc_tuner_memory_prediction_error_ratio",
            "Distance between predicted and measured memory of the worst pod, by the measured.",
            buckets=_ERROR_RATIOS,
            registry=registry,
        )
        for verdict in Verdict:
            self._trials.labels(verdict.value)
        for result in ("written", "failed"):
            self._writes.labels("workload", result)
        self._reloads = Counter(
            "gc_tuner_config_reloads",
            "Times that the configuration file changed, by what became of it.",
            ["result"],
            registry=registry,
        )
        for result in ("applied", "invalid", "restart_required"):
            self._reloads.labels(result)
        self._reload_successful = Gauge(
            "gc_tuner_config_last_reload_successful",
            "Whether the configuration file is in force as it stands.",
            registry=registry,
        )
        self._reload_successful.set(1)
        build = Gauge(
            "gc_tuner_build_info",
            "Version of gc-tuner and of the Python that runs it.",
            ["version", "python"],
            registry=registry,
        )
        build.labels(version, platform.python_version()).set(1)

    def notify(self, happening: Happening) -> None:
        """Take note."""
        match happening:
            case TickEnded():
                self._ended(happening)
            case TickFailed():
                self._ticks_failed.inc()
            case SourceLost() | SourceFound():
                self._source(happening)
            case ChangeWritten():
                self._writes.labels("workload", "written").inc()
            case WriteFailed(what=what):
                self._writes.labels(what, "failed").inc()
            case TrialEnded(outcome=outcome):
                self._judged(outcome)
            case ConfigReloaded() | ConfigRefused():
                self._reloaded(happening)
            case PhaseReached() | HoldBegan() | OverridesMoved() | WorkloadFailed():
                pass
            case _:
                assert_never(happening)

    def _ended(self, ended: TickEnded) -> None:
        self._fleet.last = ended
        self._last_tick.set(ended.at)
        self._tick_seconds.observe(ended.seconds)
        self._source_up.set(0 if self._source_lost else 1)
        decisions = Tally(
            (_verb(each.decision), each.decision.reason) for each in ended.assessments.values()
        )
        for (verb, reason), count in decisions.items():
            self._decisions.labels(verb, reason.value).inc(count)

    def _source(self, happening: SourceLost | SourceFound) -> None:
        self._source_lost = isinstance(happening, SourceLost)
        if isinstance(happening, SourceLost):
            self._source_up.set(0)
            self._source_failures.labels(happening.cause).inc()

    def _reloaded(self, happening: ConfigReloaded | ConfigRefused) -> None:
        if isinstance(happening, ConfigReloaded):
            result = "applied"
        else:
            result = "restart_required" if happening.restart else "invalid"
        self._reloads.labels(result).inc()
        self._reload_successful.set(isinstance(happening, ConfigReloaded))

    def _judged(self, outcome: Outcome) -> None:
        self._trials.labels(outcome.verdict.value).inc()
        if outcome.measured_saving_ratio is not None:
            error = abs(outcome.predicted_saving_ratio - outcome.measured_saving_ratio)
            self._prediction_error.observe(error)
        predicted, measured = outcome.predicted_peak_bytes, outcome.measured_peak_bytes
        if predicted and measured:
            self._memory_error.observe(abs(predicted / measured - 1))


def _verb(decision: object) -> str:
    return (Verb.APPLY if isinstance(decision, Apply) else Verb.HOLD).value.lower()


class _Election(Collector):
    """Who leads, read at scrape time: it does not wait for a tick."""

    def __init__(self, standings: Callable[[], Iterable[Standing]]) -> None:
        self._standings = standings

    def collect(self) -> Iterator[Metric]:
        labels = ["lease"]
        leader = GaugeMetricFamily(
            "gc_tuner_leader", "Whether this replica holds the Lease and may write.", labels=labels
        )
        gained = CounterMetricFamily(
            "gc_tuner_leader_gained", "Times that this replica became the leader.", labels=labels
        )
        lost = CounterMetricFamily(
            "gc_tuner_leader_lost", "Times that it ceased to be the leader.", labels=labels
        )
        for each in self._standings():
            leader.add_metric([each.lease], each.leads)
            gained.add_metric([each.lease], each.gained)
            lost.add_metric([each.lease], each.lost)
        yield from (leader, gained, lost)


class _Fleet(Collector):
    """What is read at scrape time: gauges of the last tick, and the source's own count."""

    def __init__(self, queries_sent: Callable[[], int]) -> None:
        self.last: TickEnded | None = None
        self._queries_sent = queries_sent

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "gc_tuner_queries",
            "Queries sent to the metrics source.",
            value=self._queries_sent(),
        )
        labels = ["namespace", "workload"]
        workloads = GaugeMetricFamily(
            "gc_tuner_workloads", "Workloads that are looked at, by mode.", labels=["mode"]
        )
        recommended = GaugeMetricFamily(
            "gc_tuner_recommended_gogc", "GOGC that the loops aim at, percent.", labels=labels
        )
        share = GaugeMetricFamily(
            "gc_tuner_gc_share_ratio", "GC share of the workload's CPU, 0-1.", labels=labels
        )
        assessments = {} if self.last is None else self.last.assessments
        modes = Tally(each.mode for each in assessments.values())
        for mode in Mode:
            workloads.add_metric([mode.value], modes[mode])
        for key, each in assessments.items():
            names = [key.namespace, key.name]
            if each.proposal is not None and isinstance(each.proposal.gogc, GogcMove):
                recommended.add_metric(names, each.proposal.gogc.target_gogc)
            if each.signals is not None:
                share.add_metric(names, each.signals.gc_share)
        yield from (workloads, recommended, share)
