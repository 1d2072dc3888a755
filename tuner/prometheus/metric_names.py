"""How the services and the cluster call what gc-tuner reads."""

import re
from dataclasses import dataclass, fields

from tuner.model.workload import Kind

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LABEL_FIELDS = (
    "namespace_label",
    "pod_label",
    "container_label",
    "status_label",
    "version_label",
)
_TEXT_FIELDS = ("selector", "pod_patterns")

OWN_LABELS = frozenset({"workload", "kind", "quantity"})
"""Labels that the queries add to what they find."""

_HASH_ALPHABET = "[bcdfghjklmnpqrstvwxz2456789]"
"""What ReplicaSets and pods draw their name's random part from
(``k8s.io/apimachinery/pkg/util/rand``), so that ``kube-proxy-x7k2p`` is no Deployment's pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNames:
    """Names of metrics and labels; the defaults are those of client_golang and cAdvisor.

    Raises:
        ValueError: A name is not one that PromQL takes unquoted, or two labels are the same.
    """

    cpu_seconds: str = "process_cpu_seconds_total"
    start_time: str = "process_start_time_seconds"
    process_resident: str = "process_resident_memory_bytes"
    allocated: str = "go_memstats_alloc_bytes_total"
    heap_goal: str = "go_memstats_next_gc_bytes"
    heap_alloc: str = "go_memstats_heap_alloc_bytes"
    heap_inuse: str = "go_memstats_heap_inuse_bytes"
    heap_sys: str = "go_memstats_heap_sys_bytes"
    heap_released: str = "go_memstats_heap_released_bytes"
    stack_inuse: str = "go_memstats_stack_inuse_bytes"
    sys: str = "go_memstats_sys_bytes"
    gc_duration: str = "go_gc_duration_seconds"
    """A summary or histogram: ``_sum`` and ``_count`` are read, and a summary's quantile 1."""
    gogc: str = "go_gc_gogc_percent"
    gomemlimit: str = "go_gc_gomemlimit_bytes"
    heap_live: str = "go_gc_heap_live_bytes"
    gc_cpu_seconds: str = "go_cpu_classes_gc_total_cpu_seconds_total"
    all_cpu_seconds: str = "go_cpu_classes_total_cpu_seconds_total"
    """CPU that the runtime could have used, idle time included."""
    idle_cpu_seconds: str = "go_cpu_classes_idle_cpu_seconds_total"
    goroutines: str = "go_goroutines"
    gomaxprocs: str = "go_sched_gomaxprocs_threads"
    go_info: str = "go_info"
    """A constant with the label ``version_label``."""
    requests: str = "http_requests_total"
    request_duration: str = "http_request_duration_seconds"
    """A classic histogram: ``_bucket`` is read."""
    barrier_in_flight: str = "barrier_in_flight"
    barrier_threshold: str = "barrier_threshold"
    barrier_refused: str = "barrier_refused_total"
    """Refusals are taken to be answered with 503, and counted in ``requests`` too."""
    container_rss: str = "container_memory_rss"
    container_periods: str = "container_cpu_cfs_periods_total"
    container_throttled_periods: str = "container_cpu_cfs_throttled_periods_total"

    namespace_label: str = "namespace"
    pod_label: str = "pod"
    container_label: str = "container"
    """May be missing on the service's metrics: the container's name is then empty."""
    status_label: str = "code"
    """Label of the request counter, and of the histogram, that holds the HTTP status."""
    version_label: str = "version"
    """Label that holds the Go release, such as go1.26.8."""

    selector: str = ""
    """Label matchers that every series must meet, such as ``cluster="x"``."""
    pod_patterns: tuple[tuple[Kind, str], ...] = (
        (Kind.DEPLOYMENT, f"(.*)-{_HASH_ALPHABET}{{1,10}}-{_HASH_ALPHABET}{{5}}"),
        (Kind.STATEFUL_SET, "(.*)-[0-9]{1,4}"),
    )
    """Patterns (RE2, anchored) of the names of a kind's pods; the first group is the workload.

    A StatefulSet's numbers have no fifth digit here: the random part of a Deployment's pod can be
    five digits.
    """

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self) if each.name not in _TEXT_FIELDS):
            value = getattr(self, name)
            of_label = name in _LABEL_FIELDS
            if not (_LABEL if of_label else _METRIC).fullmatch(value):
                raise ValueError(
                    f"{name}: {value!r} is no {'label' if of_label else 'metric'} name"
                )
        identity = (self.namespace_label, self.pod_label, self.container_label)
        if len({*identity, *OWN_LABELS, "le"}) != len(identity) + len(OWN_LABELS) + 1:
            raise ValueError(
                "namespace_label, pod_label and container_label must differ from each other and "
                f"from le, {', '.join(sorted(OWN_LABELS))}: {', '.join(identity)}"
            )
        if self.version_label in {*identity, *OWN_LABELS}:
            raise ValueError(
                "version_label must differ from namespace_label, pod_label, container_label and "
                f"from {', '.join(sorted(OWN_LABELS))}: {self.version_label}"
            )
        if not self.pod_patterns:
            raise ValueError("pod_patterns: none, so no pod could be told to belong to a workload")
