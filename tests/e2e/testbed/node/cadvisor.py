"""What cAdvisor in the kubelet would report, under its names and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.exposition import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NO_LIMIT = 0.0
_CPU_PERIOD_MICROSECONDS = 100_000.0


@dataclass(frozen=True)
class ContainerUsage:
    """One running container at one moment; limits are None where there is none."""

    namespace: str
    pod: str
    pod_uid: str
    quality: str
    container: str
    container_id: str
    image: str
    resident_bytes: int
    anonymous_bytes: int
    cpu_seconds: float
    started_at: float
    memory_limit_bytes: int | None
    cpu_limit_cores: float | None
    out_of_memory_kills: int


def cadvisor_families(usages: Sequence[ContainerUsage], at: float) -> list[Family]:
    """Return the metrics of all running containers as measured at `at` (seconds, epoch).

    As in the kubelet, a pod as a whole has series of its own, with an empty `container`; a query
    that does not leave them out counts everything twice. Samples carry their time, so that the
    series of a container that is gone stay visible for Prometheus' look-back, as real ones do.
    """
    labelled = [(_labels(usage), usage) for usage in usages]
    memory = [(labels, float(usage.resident_bytes)) for labels, usage in labelled]
    anonymous = [(labels, float(usage.anonymous_bytes)) for labels, usage in labelled]
    cpu = [({**labels, "cpu": "total"}, usage.cpu_seconds) for labels, usage in labelled]
    limits = [
        (labels, _NO_LIMIT if usage.memory_limit_bytes is None else float(usage.memory_limit_bytes))
        for labels, usage in labelled
    ]
    kills = [(labels, float(usage.out_of_memory_kills)) for labels, usage in labelled]
    quotas = [
        (labels, usage.cpu_limit_cores * _CPU_PERIOD_MICROSECONDS)
        for labels, usage in labelled
        if usage.cpu_limit_cores is not None
    ]
    periods = [(labels, _CPU_PERIOD_MICROSECONDS) for labels, _ in labelled]
    starts = [(labels, usage.started_at) for labels, usage in labelled]
    return [
        Family(name, kind, text, [Sample(labels, value, at) for labels, value in pairs])
        for name, kind, text, pairs in (
            (
                "container_cpu_usage_seconds_total",
                "counter",
                "Cumulative cpu time consumed in seconds.",
                [*_pod_totals(cpu), *cpu],
            ),
            (
                "container_memory_rss",
                "gauge",
                "Size of RSS in bytes.",
                [*_pod_totals(anonymous), *anonymous],
            ),
            (
                "container_memory_working_set_bytes",
                "gauge",
                "Current working set in bytes.",
                [*_pod_totals(memory), *memory],
            ),
            (
                "container_oom_events_total",
                "counter",
                "Count of out of memory events observed for the container",
                kills,
            ),
            ("container_spec_cpu_period", "gauge", "CPU period of the container.", periods),
            ("container_spec_cpu_quota", "gauge", "CPU quota of the container.", quotas),
            (
                "container_spec_memory_limit_bytes",
                "gauge",
                "Memory limit for the container.",
                limits,
            ),
            (
                "container_start_time_seconds",
                "gauge",
                "Start time of the container since unix epoch in seconds.",
                starts,
            ),
        )
    ]


def _labels(usage: ContainerUsage) -> dict[str, str]:
    quality = "" if usage.quality == "Guaranteed" else f"/{usage.quality.lower()}"
    return {
        "container": usage.container,
        "id": f"/kubepods{quality}/pod{usage.pod_uid}/{usage.container_id}",
        "image": usage.image,
        "name": usage.container_id,
        "namespace": usage.namespace,
        "pod": usage.pod,
    }


def _pod_totals(
    pairs: Iterable[tuple[Mapping[str, str], float]],
) -> list[tuple[dict[str, str], float]]:
    totals: dict[str, tuple[dict[str, str], float]] = {}
    for labels, value in pairs:
        group = labels["id"].rpartition("/")[0]
        whole = {**labels, "container": "", "id": group, "image": "", "name": ""}
        totals[group] = (whole, totals.get(group, (whole, 0.0))[1] + value)
    return list(totals.values())
