"""Pods as they run: what their statuses say of each container of a workload.

A workload's pods are told by who controls them, not by labels alone, which anybody may set. Of each
pod so little is kept that some ten thousands of them fit.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from tuner.cluster.by_workload import ByWorkload
from tuner.cluster.collection import Collection
from tuner.cluster.mirror import Mirror, Upkeep, mirrored
from tuner.cluster.quantity import memory_bytes
from tuner.cluster.reflector import Item
from tuner.model.workload import Kind, Running, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tuner.cluster.client import Api

PODS = Collection("v1", "Pod", "pods")

_APPS = "apps/"
_TEMPLATE_HASH = "pod-template-hash"
_OVER = frozenset({"Succeeded", "Failed"})
"""Phases of pods that run nothing any more."""
_RESIZES = frozenset({"PodResizePending", "PodResizeInProgress"})
_OOM_KILLED = "OOMKilled"
_CRASH_LOOP = "CrashLoopBackOff"


class PodContainer(NamedTuple):
    """What a pod's status says of one container."""

    name: str
    memory_limit_bytes: int | None
    """In force; None where there is none, or the node does not tell."""
    restarts: int
    oom_killed_at: float | None
    """When the kernel last killed it for its memory, seconds since the epoch."""
    crashing: bool
    """Whether it waits in a crash loop."""


class Pod(NamedTuple):
    """A pod of a workload."""

    workload: WorkloadKey
    terminating: bool
    resizing: bool
    containers: tuple[PodContainer, ...]


class _Json(msgspec.Struct, frozen=True, rename="camel"):
    """Base of what is read; other fields are skipped without being decoded."""


class _Owner(_Json, frozen=True):
    api_version: str
    kind: str
    name: str
    controller: bool = False


class _Metadata(_Json, frozen=True):
    name: str
    namespace: str
    resource_version: str
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    owner_references: list[_Owner] = []


class _Terminated(_Json, frozen=True):
    reason: str = ""
    finished_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class _Waiting(_Json, frozen=True):
    reason: str = ""


class _State(_Json, frozen=True):
    terminated: _Terminated | None = None
    waiting: _Waiting | None = None


class _Resources(_Json, frozen=True):
    limits: dict[str, str] = {}


class _ContainerStatus(_Json, frozen=True):
    name: str
    restart_count: int = 0
    resources: _Resources | None = None
    state: _State = _State()
    last_state: _State = _State()


class _Condition(_Json, frozen=True):
    type: str
    status: str


class _Status(_Json, frozen=True):
    phase: str = ""
    conditions: list[_Condition] = []
    container_statuses: list[_ContainerStatus] = []


class _Pod(_Json, frozen=True):
    metadata: _Metadata
    status: _Status = _Status()


_DECODER = msgspec.json.Decoder(_Pod)


def read_pod(raw: bytes) -> Item[tuple[str, str], Pod]:
    """A pod as an item; without a value where it belongs to no workload, or has ended.

    Raises:
        ValueError: A quantity cannot be read.
        msgspec.MsgspecError: It is not a pod.
    """
    found = _DECODER.decode(raw)
    metadata = found.metadata
    workload = None if found.status.phase in _OVER else _workload(metadata)
    pod = None if workload is None else _pod(workload, found)
    key = (sys.intern(metadata.namespace), metadata.name)
    return Item(key, int(metadata.resource_version), pod)


def _pod(workload: WorkloadKey, found: _Pod) -> Pod:
    status = found.status
    return Pod(
        workload=workload,
        terminating=found.metadata.deletion_timestamp is not None,
        resizing=any(each.type in _RESIZES and each.status == "True" for each in status.conditions),
        containers=tuple(_container(each) for each in status.container_statuses),
    )


def _workload(metadata: _Metadata) -> WorkloadKey | None:
    """What controls the pod, by way of a ReplicaSet or directly."""
    owner = next((each for each in metadata.owner_references if each.controller), None)
    if owner is None or not owner.api_version.startswith(_APPS):
        return None
    namespace = sys.intern(metadata.namespace)
    match owner.kind:
        case "ReplicaSet":
            name = _deployment(owner.name, metadata.labels.get(_TEMPLATE_HASH, ""))
            return WorkloadKey(namespace, Kind.DEPLOYMENT, sys.intern(name)) if name else None
        case "StatefulSet":
            return WorkloadKey(namespace, Kind.STATEFUL_SET, sys.intern(owner.name))
        case _:
            return None


def _deployment(replica_set: str, template_hash: str) -> str:
    """Name of a ReplicaSet's Deployment; empty where it has none.

    The controller of Deployments names a ReplicaSet by the Deployment and the hash of its template,
    with which it labels the pods too.
    """
    ending = f"-{template_hash}"
    if not template_hash or not replica_set.endswith(ending):
        return ""
    return replica_set.removesuffix(ending)


def _container(found: _ContainerStatus) -> PodContainer:
    limits = {} if found.resources is None else found.resources.limits
    limit = limits.get("memory")
    waiting = found.state.waiting
    return PodContainer(
        name=sys.intern(found.name),
        # Zero means the same as none: not restricted.
        memory_limit_bytes=None if limit is None else memory_bytes(limit) or None,
        restarts=found.restart_count,
        oom_killed_at=max(_oom_kills(found), default=None),
        crashing=waiting is not None and waiting.reason == _CRASH_LOOP,
    )


def _oom_kills(found: _ContainerStatus) -> Iterator[float]:
    for state in (found.state, found.last_state):
        ended = state.terminated
        if ended is not None and ended.reason == _OOM_KILLED and ended.finished_at is not None:
            yield ended.finished_at.timestamp()


def running(pods: Iterable[Pod]) -> Mapping[str, Running]:
    """What the pods of one workload say of its containers, by container name.

    What happened in a terminating pod counts; what it is now does not, as it is on its way out.
    """
    seen: defaultdict[str, list[tuple[Pod, PodContainer]]] = defaultdict(list)
    for pod in pods:
        for container in pod.containers:
            seen[container.name].append((pod, container))
    return {name: _running(each) for name, each in seen.items()}


def _running(seen: Sequence[tuple[Pod, PodContainer]]) -> Running:
    staying = [(pod, container) for pod, container in seen if not pod.terminating]
    limits = (container.memory_limit_bytes for _, container in staying)
    kills = (container.oom_killed_at for _, container in seen)
    return Running(
        memory_limit_bytes=min((each for each in limits if each is not None), default=None),
        resizing=any(pod.resizing for pod, _ in staying),
        restarts=sum(container.restarts for _, container in seen),
        oom_killed_at=max((each for each in kills if each is not None), default=None),
        crashing_pods=sum(container.crashing for _, container in staying),
    )


class PodMirror(Mirror):
    """The pods of all namespaces, or of some, mirrored by list and watch."""

    def __init__(self, api: Api, upkeep: Upkeep, namespaces: Sequence[str] = ()) -> None:
        """Nothing is asked before ``start``.

        Args:
            api: The way to the API server.
            upkeep: How it is kept.
            namespaces: Empty for all of them.
        """
        view = mirrored(api, PODS, namespaces, read_pod, upkeep)
        super().__init__(view)
        self._by_workload = ByWorkload(view)

    def pods(self) -> Mapping[WorkloadKey, Sequence[Pod]]:
        """The pods of each workload as last seen; it does not change any more.

        Raises:
            UnavailableError: The first list has not come in, or the view is too old to act on.
        """
        return self._by_workload.groups()

    def running(self, key: WorkloadKey) -> Mapping[str, Running]:
        """What the pods of a workload say of its containers; empty where it has no pods.

        Raises:
            UnavailableError: As of ``pods``.
        """
        return running(self.pods().get(key, ()))
