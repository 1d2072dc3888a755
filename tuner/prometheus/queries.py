"""The PromQL texts: a constant number of queries, whatever the number of workloads.

Theory of operation. Each quantity is first a vector with one series per pod and container. Those
that are aggregated over pods in the same way are told apart by the label ``quantity``, united by
``or``, and only then restricted to the pods that take part, named after their workload, and
aggregated; so these three, the long parts of a query, stand in it once.

What a vector per pod costs: ``max by (namespace, pod, container)`` in front of every join makes
a process that several scrape jobs find one series, where joining would otherwise fail and summing
count it twice. Two Go processes in one container are then seen as the larger of both.

A container takes part if it exports a Go heap goal (other languages' clients export ``process_*``
too), has a namespace and its pod's name is a workload's. Series without a container label have an
empty container's name. For them cAdvisor's series without container label, the whole pod's memory,
is the container's.

What a service's own admission barrier refused is no answer: it took no work, and counting it as
a failed and very quick request would make shedding look bad and feel good at the same time. Where
``barrier_refused`` is exported, refusals are taken off the requests and the 5xx answers. They are
taken to be answered with 503, and a histogram to count them with that status: answers with 503 then
leave the latency. A histogram without a status label keeps them, which flatters the latency of a
service that sheds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote_plus

import promql_parser

from tuner.model.reading import Quantity
from tuner.prometheus.metric_names import MetricNames

LONGEST_QUERY = 6_000
"""Characters of a query, URL-encoded: proxies commonly refuse request lines over 8 KiB."""
FLOOR_WINDOW_SECONDS = 600.0
"""How far back the smallest heap is looked for."""
GOGC_OFF = 1e16
"""``go_gc_gogc_percent`` reads 1.8e19 where GOGC is off; a heap goal says nothing then."""

_LONGEST = 'quantile=~"1([.]0)?"'
_BOUND = 'le=~"[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?|[+]Inf"'
_REFUSED = "503"
"""Status of a refusal by a service's own barrier."""
_TARGET = "job,instance"
"""Labels that Prometheus itself gives every target."""


class Query(NamedTuple):
    """One PromQL text."""

    name: str
    """What it asks for, in a word, for errors."""
    text: str


def check(query: str) -> None:
    """Whether Prometheus would take a query.

    Raises:
        ValueError: It would not; the message says why.
    """
    length = len(quote_plus(query))
    if length > LONGEST_QUERY:
        raise ValueError(
            f"a query is {length} characters long in a URL, over {LONGEST_QUERY}: "
            "shorten the selector or the metric names"
        )
    try:
        promql_parser.parse(query)
    except ValueError as error:
        raise ValueError(f"not PromQL: {error}: {query}") from error


def check_selector(selector: str) -> None:
    """Whether a text is a list of label matchers, such as ``cluster="x",team=~"a|b"``.

    Raises:
        ValueError: It is not; the message says why.
    """
    # In parentheses, because a comment in the text would otherwise hide its end.
    try:
        parsed = promql_parser.parse(f"(up{{{selector}}})")
    except ValueError as error:
        raise ValueError(f"{selector!r} is no list of label matchers: {error}") from error
    series = parsed.expr if isinstance(parsed, promql_parser.ParenExpr) else parsed
    if (
        not isinstance(series, promql_parser.VectorSelector)
        or series.offset is not None
        or series.at is not None
        or series.matchers.or_matchers
    ):
        raise ValueError(f"{selector!r} is no list of label matchers")


def queries(
    names: MetricNames,
    *,
    rate_window_seconds: float,
    warm_up_seconds: float,
    alerts: Sequence[str] = (),
) -> tuple[Query, ...]:
    """Every query of one round.

    Args:
        names: Names of metrics and labels.
        rate_window_seconds: Window of every rate.
        warm_up_seconds: How long a pod's figures are left out after its start.
        alerts: Names of the alerts to look for; none: no query is made for them.

    Raises:
        ValueError: The name of an alert is empty.
    """
    pods = _Pods(names, rate_window_seconds, warm_up_seconds)
    workloads = _Workloads(names, pods.old_enough())
    return (
        Query("sums", workloads.aggregate("sum", _sums(pods))),
        Query("requests", workloads.aggregate("sum", _requests(pods))),
        Query("live heap", workloads.aggregate("max", _live(pods))),
        Query("memory", workloads.aggregate("max", _memory(pods))),
        Query("worst", workloads.aggregate("max", _worst(pods))),
        Query("lowest", workloads.aggregate("min", _lowest(pods))),
        Query(COVERAGE, workloads.aggregate("count", _optional(pods))),
        Query("every pod", _every_pod(pods, workloads)),
        Query("latency", _latency(pods, workloads)),
        Query(GO_VERSIONS, _go_versions(pods, workloads)),
        *([Query(ALERTS, _firing(names, alerts))] if alerts else []),
    )


# Names of the queries whose answers are no figures of containers as they come.
COVERAGE = "coverage"
GO_VERSIONS = "Go versions"
ALERTS = "alerts"

PROBE = "vector(time())"
"""PromQL that any Prometheus answers, whatever it scrapes: its own time."""

COVERED = (
    Quantity.PODS,
    Quantity.GC_CPU_CORES,
    Quantity.BUSY_CPU_CORES,
    Quantity.PROCESSORS,
    Quantity.GO_VERSION,
    Quantity.BARRIER_THRESHOLD_LOWEST,
    Quantity.BARRIER_REFUSED_PER_SECOND,
    Quantity.LIVE_EXPORTED_BYTES,
    Quantity.LIVE_DERIVED_BYTES,
    Quantity.GOGC_LOWEST,
    Quantity.GOMEMLIMIT_BYTES,
)
"""Quantities whose metric a part of the pods can lack: the query ``coverage`` counts the pods
that have it, under the quantity's own name, and all pods under `Quantity.PODS`."""


@dataclass(frozen=True, slots=True)
class _Pods:
    """Vectors with one series per pod and container, and no other labels."""

    names: MetricNames
    rate_window_seconds: float
    warm_up_seconds: float

    @property
    def key(self) -> str:
        """The labels of every vector."""
        names = self.names
        return f"{names.namespace_label},{names.pod_label},{names.container_label}"

    @property
    def window(self) -> str:
        return _duration(self.rate_window_seconds)

    def series(self, metric: str, *matchers: str) -> str:
        """A selector with the configured matchers and further ones."""
        every = ",".join(filter(None, (*matchers, self.names.selector.strip().rstrip(","))))
        return f"{metric}{{{every}}}" if every else metric

    def now(self, metric: str) -> str:
        return f"max by({self.key})({self.series(metric)})"

    def steady(self, metric: str) -> str:
        """Mean over the rate window.

        What is computed as a difference of gauges needs it: they are not of the same instant
        (cAdvisor samples on its own clock), and a heap that grows by 100 MB/s makes tens of MB of
        nothing out of that.
        """
        return f"max by({self.key})(avg_over_time({self.series(metric)}[{self.window}]))"

    def rate(self, metric: str) -> str:
        return f"max by({self.key})(rate({self.series(metric)}[{self.window}]))"

    def one(self) -> str:
        """1 for each Go process."""
        return f"group by({self.key})({self.series(self.names.heap_goal)})"

    def every(self) -> str:
        """Start time of each Go process in a workload's pod."""
        names = self.names
        patterns = "|".join(pattern for _, pattern in names.pod_patterns)
        started = self.series(
            names.start_time,
            f'{names.namespace_label}!=""',
            f"{names.pod_label}=~{_quoted(patterns)}",
        )
        return f"max by({self.key})({started})and {self.one()}"

    def old_enough(self) -> str:
        """The pods of `every` whose whole rate window lies behind their warm-up."""
        return f"time()-({self.every()})>{self.warm_up_seconds + self.rate_window_seconds:g}"

    def busy(self) -> str:
        names = self.names
        idle = self.rate(names.idle_cpu_seconds)
        return f"clamp_min({self.rate(names.all_cpu_seconds)}-{idle},0)"

    def longest_pause(self) -> str:
        # Prometheus 3 writes the label 1.0, earlier ones as the service does.
        return f"max by({self.key})({self.series(self.names.gc_duration, _LONGEST)})"

    def throttled(self) -> str:
        """Absent where the container has no quota, or nothing ran in the window."""
        names = self.names
        periods = f"({self.rate(names.container_periods)}>0)"
        return f"{self.rate(names.container_throttled_periods)}/{periods}"

    def answered(self, *matchers: str) -> str:
        # Several series per process (path, method): summed per target, so that a second scrape
        # job's copy is not added.
        series = self.series(self.names.requests, *matchers)
        summed = f"sum by({self.key},{_TARGET})(rate({series}[{self.window}]))"
        return f"max by({self.key})({summed})"

    def admitted(self, answers: str) -> str:
        """Answers less the barrier's refusals, where there is a barrier."""
        refused = self.rate(self.names.barrier_refused)
        # Two counters of one scrape are still extrapolated apart, by little.
        return f"clamp_min({answers}-({refused} or {self.one()}*0),0)"

    def failed(self) -> str:
        failed = self.answered(f'{self.names.status_label}=~"5.."')
        return f"({failed} or {self.answered()}*0)"

    def gogc_set(self) -> str:
        return f"max by({self.key})({self.series(self.names.gogc)}<{GOGC_OFF:g})"

    def derived(self) -> str:
        """Live heap (G - g S)/(1 + g) with g = GOGC/100."""
        names = self.names
        goal, stack = self.steady(names.heap_goal), self.steady(names.stack_inuse)
        gogc = self.gogc_set()
        return f"((100*{goal}-{gogc}*{stack})/(100+{gogc}))"

    def floor(self) -> str:
        """Smallest heap.

        A pod younger than warm-up and window uses the rate window alone, which lies behind its
        warm-up: further back there are the first moments of its heap, or the process before it.
        """
        names = self.names
        alloc = self.series(names.heap_alloc)
        reach = max(FLOOR_WINDOW_SECONDS, self.rate_window_seconds)
        age = f"time()-{self.now(names.start_time)}>{self.warm_up_seconds + reach:g}"
        far = f"max by({self.key})(min_over_time({alloc}[{_duration(reach)}]))"
        near = f"max by({self.key})(min_over_time({alloc}[{self.window}]))"
        return f"({far} and {age} or {near})"

    def resident(self) -> str:
        names = self.names
        return f"({self.now(names.container_rss)} or {self.now(names.process_resident)})"

    def resident_steady(self) -> str:
        names = self.names
        return f"({self.steady(names.container_rss)} or {self.steady(names.process_resident)})"


@dataclass(frozen=True, slots=True)
class _Workloads:
    """Aggregation of pods to the containers of workloads."""

    names: MetricNames
    taking_part: str
    """Vector of the pods that take part."""

    @property
    def key(self) -> str:
        return f"{self.names.namespace_label},kind,workload,{self.names.container_label}"

    def restricted(self, pods: str) -> str:
        """The series of the pods that take part, with their workload."""
        names = self.names
        identity = f"{names.namespace_label},{names.pod_label},{names.container_label}"
        return self.named(f"({pods})and on({identity})({self.taking_part})")

    def named(self, pods: str) -> str:
        """The series with their workload's kind and name."""
        for kind, pattern in self.names.pod_patterns:
            source = f"{_quoted(self.names.pod_label)},{_quoted(pattern)}"
            pods = f'label_replace({pods},"workload","$1",{source})'
            pods = f'label_replace({pods},"kind",{_quoted(kind.value)},{source})'
        return pods

    def aggregate(self, operator: str, vectors: Mapping[Quantity, str]) -> str:
        united = " or ".join(_tagged(quantity, vector) for quantity, vector in vectors.items())
        return f"{operator} by({self.key},quantity)({self.restricted(united)})"


def _sums(pods: _Pods) -> dict[Quantity, str]:
    names = pods.names
    live = f"({pods.steady(names.heap_live)} or {pods.derived()} or {pods.floor()})"
    cycles = pods.rate(f"{names.gc_duration}_count")
    return {
        Quantity.PODS: pods.one(),
        Quantity.CPU_CORES: pods.rate(names.cpu_seconds),
        Quantity.GC_CPU_CORES: pods.rate(names.gc_cpu_seconds),
        Quantity.BUSY_CPU_CORES: pods.busy(),
        Quantity.PROCESSORS: pods.now(names.gomaxprocs),
        Quantity.GC_CYCLES_PER_SECOND: cycles,
        Quantity.MARKED_BYTES_PER_SECOND: f"{cycles}*{live}",
        Quantity.ALLOCATED_BYTES_PER_SECOND: pods.rate(names.allocated),
    }


def _requests(pods: _Pods) -> dict[Quantity, str]:
    return {
        Quantity.REQUESTS_PER_SECOND: pods.admitted(pods.answered()),
        Quantity.ERRORS_PER_SECOND: pods.admitted(pods.failed()),
        Quantity.BARRIER_REFUSED_PER_SECOND: pods.rate(pods.names.barrier_refused),
    }


def _live(pods: _Pods) -> dict[Quantity, str]:
    names = pods.names
    return {
        Quantity.LIVE_EXPORTED_BYTES: pods.steady(names.heap_live),
        Quantity.LIVE_DERIVED_BYTES: pods.derived(),
        Quantity.LIVE_FLOOR_BYTES: pods.floor(),
        Quantity.HEAP_GOAL_BYTES: pods.steady(names.heap_goal),
        Quantity.STACK_BYTES: pods.steady(names.stack_inuse),
        Quantity.GOGC_HIGHEST: pods.now(names.gogc),
        Quantity.PAUSE_SECONDS_PER_SECOND: pods.rate(f"{names.gc_duration}_sum"),
    }


def _memory(pods: _Pods) -> dict[Quantity, str]:
    names = pods.names
    sys = pods.steady(names.sys)
    non_heap = f"{sys}-{pods.steady(names.heap_sys)}"
    slack = f"{pods.steady(names.heap_inuse)}-{pods.steady(names.heap_alloc)}"
    known = f"({sys}-{pods.steady(names.heap_released)})"
    return {
        Quantity.NON_HEAP_BYTES: f"({non_heap})+({slack})",
        Quantity.UNKNOWN_BYTES: f"clamp_min({pods.resident_steady()}-{known},0)",
        Quantity.RESIDENT_BYTES: pods.resident(),
    }


def _worst(pods: _Pods) -> dict[Quantity, str]:
    names = pods.names
    return {
        Quantity.PAUSE_LONGEST_SECONDS: pods.longest_pause(),
        Quantity.GOROUTINES: pods.steady(names.goroutines),
        Quantity.THROTTLED_RATIO: pods.throttled(),
        Quantity.BARRIER_THRESHOLD_HIGHEST: pods.now(names.barrier_threshold),
        Quantity.BARRIER_IN_FLIGHT: pods.steady(names.barrier_in_flight),
    }


def _lowest(pods: _Pods) -> dict[Quantity, str]:
    names = pods.names
    cpu = pods.series(names.cpu_seconds)
    counted = f"max by({pods.key})(count_over_time({cpu}[{pods.window}]))"
    # A pod that is scraped too seldom has no sample in the window: that is none, not unknown.
    return {
        Quantity.SAMPLES_IN_WINDOW: f"({counted} or {pods.one()}*0)",
        Quantity.GOGC_LOWEST: f"min by({pods.key})({pods.series(names.gogc)})",
        Quantity.GOMEMLIMIT_BYTES: f"min by({pods.key})({pods.series(names.gomemlimit)})",
        Quantity.BARRIER_THRESHOLD_LOWEST: (
            f"min by({pods.key})({pods.series(names.barrier_threshold)})"
        ),
    }


def _optional(pods: _Pods) -> dict[Quantity, str]:
    names = pods.names
    vectors = (
        pods.one(),
        pods.rate(names.gc_cpu_seconds),
        pods.busy(),
        pods.now(names.gomaxprocs),
        pods.now(names.go_info),
        pods.now(names.barrier_threshold),
        pods.rate(names.barrier_refused),
        pods.now(names.heap_live),
        pods.gogc_set(),
        pods.now(names.gogc),
        pods.now(names.gomemlimit),
    )
    return dict(zip(COVERED, vectors, strict=True))


def _every_pod(pods: _Pods, workloads: _Workloads) -> str:
    goal = pods.series(pods.names.heap_goal)
    # The newest sample of a process that several jobs scrape; the same scrape brings all metrics.
    age = f"min by({pods.key})(time()-timestamp({goal}))and({pods.every()})"
    counted = f"count by({workloads.key})({workloads.named(pods.every())})"
    stalest = f"max by({workloads.key})({workloads.named(age)})"
    return (
        f"{_tagged(Quantity.PODS_ALL, counted)} or {_tagged(Quantity.SAMPLE_AGE_SECONDS, stalest)}"
    )


def _latency(pods: _Pods, workloads: _Workloads) -> str:
    names = pods.names
    # One bucket with a malformed bound anywhere would put a warning on the whole answer.
    served, refused = (
        f"rate({pods.series(f'{names.request_duration}_bucket', _BOUND, status)}[{pods.window}])"
        for status in (f'{names.status_label}!="{_REFUSED}"', f'{names.status_label}="{_REFUSED}"')
    )
    barrier = f"unless on({pods.key}){pods.series(names.barrier_refused)}"
    rates = f"sum by({pods.key},le,{_TARGET})({served} or {refused} {barrier})"
    named = workloads.restricted(f"max by({pods.key},le)({rates})")
    quantiles = {Quantity.LATENCY_P95_SECONDS: "0.95", Quantity.LATENCY_P99_SECONDS: "0.99"}
    return " or ".join(
        _tagged(quantity, f"histogram_quantile({share},sum by({workloads.key},le)({named}))")
        for quantity, share in quantiles.items()
    )


def _go_versions(pods: _Pods, workloads: _Workloads) -> str:
    """One series for each Go release among a workload's pods."""
    label = pods.names.version_label
    releases = f"max by({pods.key},{label})({pods.series(pods.names.go_info)})"
    named = workloads.restricted(_tagged(Quantity.GO_VERSION, releases))
    return f"max by({workloads.key},{label},quantity)({named})"


def _firing(names: MetricNames, alerts: Sequence[str]) -> str:
    """One series for each alert that fires, by namespace.

    The configured matchers are left out: an alert has the labels that its rule kept, and one that
    is missed lets a change through.
    """
    if not all(alerts):
        raise ValueError("alerts: an empty name; the name of an alerting rule would be right")
    wanted = _quoted("|".join(re.escape(name) for name in alerts))
    series = f'ALERTS{{alertstate="firing",alertname=~{wanted}}}'
    return f"group by({names.namespace_label},alertname)({series})"


def _tagged(quantity: Quantity, vector: str) -> str:
    return f'label_replace({vector},"quantity","{quantity.value}","","")'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _duration(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    whole, rest = divmod(milliseconds, 1000)
    return f"{milliseconds}ms" if rest else f"{whole}s"
