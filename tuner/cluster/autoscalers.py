"""Who else steers a workload's memory or replicas: its horizontal and vertical autoscalers.

VerticalPodAutoscalers are a custom resource that a cluster need not have, and gc-tuner need not be
permitted to see either kind: what is not there, or not to be seen, steers nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from tuner.cluster.by_workload import ByWorkload
from tuner.cluster.collection import Collection
from tuner.cluster.mirror import Mirror, Upkeep, mirrored
from tuner.cluster.reflector import Item
from tuner.model.workload import Autoscaling, Kind, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tuner.cluster.client import Api
    from tuner.model.workload import Workload

HORIZONTAL = Collection("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
VERTICAL = Collection("autoscaling.k8s.io/v1", "VerticalPodAutoscaler", "verticalpodautoscalers")

_APPS = "apps/"
_MEMORY = "memory"
_OFF = "Off"
_ANY_CONTAINER = "*"


class Horizontal(NamedTuple):
    """A HorizontalPodAutoscaler that goes by memory."""

    workload: WorkloadKey
    memory_request_target: float
    """Share of the memory request at which it adds pods."""


class Vertical(NamedTuple):
    """A VerticalPodAutoscaler that sets what it recommends."""

    workload: WorkloadKey
    name: str
    memory: Mapping[str, bool]
    """Whether it sets the memory of a container; ``*`` stands for all that have no entry."""

    def sets_memory(self, containers: Iterable[str]) -> bool:
        """Whether it sets the memory of any of the containers."""
        others = self.memory.get(_ANY_CONTAINER, True)
        return any(self.memory.get(name, others) for name in containers)


class _Json(msgspec.Struct, frozen=True, rename="camel"):
    """Base of what is read; other fields are skipped without being decoded."""


class _Metadata(_Json, frozen=True):
    name: str
    namespace: str
    resource_version: str


class _TargetRef(_Json, frozen=True):
    kind: str
    name: str
    api_version: str = ""

    def workload(self, namespace: str) -> WorkloadKey | None:
        """The workload; None where it is of a kind that is not tuned."""
        if not self.api_version.startswith(_APPS) or self.kind not in set(Kind):
            return None
        return WorkloadKey(namespace, Kind(self.kind), self.name)


class _MetricTarget(_Json, frozen=True):
    average_utilization: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Percent of the request; an absolute ``averageValue`` is no share of anything."""


class _ResourceMetric(_Json, frozen=True):
    name: str
    target: _MetricTarget = _MetricTarget()


class _Metric(_Json, frozen=True):
    resource: _ResourceMetric | None = None
    container_resource: _ResourceMetric | None = None


class _HorizontalSpec(_Json, frozen=True):
    scale_target_ref: _TargetRef
    metrics: list[_Metric] = []


class _Horizontal(_Json, frozen=True):
    metadata: _Metadata
    spec: _HorizontalSpec


class _UpdatePolicy(_Json, frozen=True):
    update_mode: str = "Auto"


class _ContainerPolicy(_Json, frozen=True):
    container_name: str = _ANY_CONTAINER
    mode: str = "Auto"
    controlled_resources: list[str] | None = None

    @property
    def sets_memory(self) -> bool:
        """Whether memory is among what is set."""
        resources = self.controlled_resources
        return self.mode != _OFF and (resources is None or _MEMORY in resources)


class _ResourcePolicy(_Json, frozen=True):
    container_policies: list[_ContainerPolicy] = []


class _VerticalSpec(_Json, frozen=True):
    target_ref: _TargetRef | None = None
    update_policy: _UpdatePolicy | None = None
    resource_policy: _ResourcePolicy | None = None


class _Vertical(_Json, frozen=True):
    metadata: _Metadata
    spec: _VerticalSpec


_HORIZONTAL_DECODER = msgspec.json.Decoder(_Horizontal)
_VERTICAL_DECODER = msgspec.json.Decoder(_Vertical)


def read_horizontal(raw: bytes) -> Item[tuple[str, str], Horizontal]:
    """A HorizontalPodAutoscaler as an item; without a value where it does not go by memory.

    Raises:
        msgspec.MsgspecError: It is not one.
    """
    found = _HORIZONTAL_DECODER.decode(raw)
    metadata = found.metadata
    workload = found.spec.scale_target_ref.workload(metadata.namespace)
    target = _memory_target(found.spec.metrics)
    seen = None if workload is None or target is None else Horizontal(workload, target)
    return Item((metadata.namespace, metadata.name), int(metadata.resource_version), seen)


def _memory_target(metrics: Iterable[_Metric]) -> float | None:
    """The share of a memory request that is reached first."""
    percents = (
        metric.target.average_utilization
        for each in metrics
        for metric in (each.resource, each.container_resource)
        if metric is not None and metric.name == _MEMORY
    )
    lowest = min((percent for percent in percents if percent is not None), default=None)
    return None if lowest is None else lowest / 100


def read_vertical(raw: bytes) -> Item[tuple[str, str], Vertical]:
    """A VerticalPodAutoscaler as an item; without a value where it only recommends.

    Raises:
        msgspec.MsgspecError: It is not one.
    """
    found = _VERTICAL_DECODER.decode(raw)
    metadata, spec = found.metadata, found.spec
    target = spec.target_ref
    workload = None if target is None else target.workload(metadata.namespace)
    update = spec.update_policy or _UpdatePolicy()
    policies = (spec.resource_policy or _ResourcePolicy()).container_policies
    seen = None
    if workload is not None and update.update_mode != _OFF:
        memory = {each.container_name: each.sets_memory for each in policies}
        seen = Vertical(workload, metadata.name, memory)
    return Item((metadata.namespace, metadata.name), int(metadata.resource_version), seen)


class Autoscalers(NamedTuple):
    """The autoscalers at one moment."""

    horizontal: Mapping[WorkloadKey, Sequence[Horizontal]]
    vertical: Mapping[WorkloadKey, Sequence[Vertical]]

    def of(self, workload: Workload) -> Autoscaling:
        """What they do with a workload's memory and replicas."""
        targets = (each.memory_request_target for each in self.horizontal.get(workload.key, ()))
        containers = [each.name for each in workload.containers]
        vertical = (
            each.name
            for each in self.vertical.get(workload.key, ())
            if each.sets_memory(containers)
        )
        return Autoscaling(
            memory_request_target=min(targets, default=None),
            vertical=min(vertical, default=""),
        )


class AutoscalerMirror(Mirror):
    """The autoscalers of all namespaces, or of some, mirrored by list and watch."""

    def __init__(self, api: Api, upkeep: Upkeep, namespaces: Sequence[str] = ()) -> None:
        """Nothing is asked before ``start``.

        Args:
            api: The way to the API server.
            upkeep: How it is kept; ``report`` is also told once of a kind that may not be listed.
            namespaces: Empty for all of them.
        """
        horizontal = mirrored(api, HORIZONTAL, namespaces, read_horizontal, upkeep, optional=True)
        vertical = mirrored(api, VERTICAL, namespaces, read_vertical, upkeep, optional=True)
        super().__init__(horizontal, vertical)
        self._horizontal = ByWorkload(horizontal)
        self._vertical = ByWorkload(vertical)

    def autoscalers(self) -> Autoscalers:
        """The autoscalers as last seen; it does not change any more.

        Raises:
            UnavailableError: A first list has not come in, or the view is too old to act on.
        """
        return Autoscalers(self._horizontal.groups(), self._vertical.groups())
