"""A Deployment's JSON, read into what tuning needs of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from tuner.cluster.quantity import memory_bytes
from tuner.cluster.reflector import Item
from tuner.model.workload import (
    TUNED,
    Container,
    EnvEntry,
    Kind,
    Rollout,
    Workload,
    WorkloadKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MODE_LABEL = "gc-tuner.io/mode"
ANNOTATION_PREFIX = "gc-tuner.io/"
CHANGE_CAUSE = "kubernetes.io/change-cause"


class _Json(msgspec.Struct, frozen=True, rename="camel"):
    """Base of what is read; other fields are skipped without being decoded."""


class _ManagedFields(_Json, frozen=True):
    manager: str = ""
    subresource: str = ""
    fields_v1: msgspec.Raw = msgspec.Raw(b"{}")


class _Metadata(_Json, frozen=True):
    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    managed_fields: list[_ManagedFields] = []


class _Env(_Json, frozen=True):
    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None


class _Resources(_Json, frozen=True):
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}


class _Container(_Json, frozen=True):
    name: str
    env: list[_Env] = []
    resources: _Resources = _Resources()


class _PodSpec(_Json, frozen=True):
    containers: list[_Container]


class _Template(_Json, frozen=True):
    spec: _PodSpec


class _Spec(_Json, frozen=True):
    template: msgspec.Raw
    replicas: int = 1
    paused: bool = False


class _Condition(_Json, frozen=True):
    type: str
    status: str
    reason: str = ""


class _Status(_Json, frozen=True):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: list[_Condition] = []


class _Deployment(_Json, frozen=True):
    metadata: _Metadata
    spec: _Spec
    status: _Status = _Status()


_DECODER = msgspec.json.Decoder(_Deployment)


def read_deployment(raw: bytes) -> Item[WorkloadKey, Workload]:
    """A Deployment as an item; without a value where it is being deleted.

    Raises:
        ValueError: A quantity cannot be read.
        msgspec.MsgspecError: It is not a Deployment.
    """
    found = _DECODER.decode(raw)
    metadata = found.metadata
    key = WorkloadKey(metadata.namespace, Kind.DEPLOYMENT, metadata.name)
    deleted = metadata.deletion_timestamp is not None
    workload = None if deleted else _workload(key, found)
    return Item(key, int(metadata.resource_version), workload)


def _workload(key: WorkloadKey, found: _Deployment) -> Workload:
    metadata = found.metadata
    template = msgspec.json.decode(found.spec.template)
    containers = msgspec.convert(template, _Template).spec.containers
    return Workload(
        key=key,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        generation=metadata.generation,
        containers=tuple(_container(each, metadata.managed_fields) for each in containers),
        rollout=_rollout(found),
        replicas=found.spec.replicas,
        ready_replicas=found.status.ready_replicas,
        template_digest=template_digest(template),
        label_mode=metadata.labels.get(MODE_LABEL),
        annotations={
            name.removeprefix(ANNOTATION_PREFIX): text
            for name, text in metadata.annotations.items()
            if name.startswith(ANNOTATION_PREFIX)
        },
        change_cause=metadata.annotations.get(CHANGE_CAUSE),
    )


def _container(found: _Container, managed: Iterable[_ManagedFields]) -> Container:
    tuned = [each for each in found.env if each.name in TUNED]
    count = Counter(each.name for each in tuned)
    return Container(
        name=found.name,
        memory_limit_bytes=_memory(found.resources.limits),
        memory_request_bytes=_memory(found.resources.requests),
        env={
            each.name: EnvEntry(
                # An empty literal is left out of the JSON.
                value=None if each.value_from is not None else each.value or "",
                count=count[each.name],
                owners=_owners(found.name, each.name, managed),
            )
            for each in tuned  # where a name is listed twice, the last one wins
        },
    )


def _memory(resources: Mapping[str, str]) -> int | None:
    """Bytes; None where nothing, or zero, is set, which both mean: not restricted."""
    text = resources.get("memory")
    return None if text is None else memory_bytes(text) or None


def _owners(container: str, name: str, managed: Iterable[_ManagedFields]) -> tuple[str, ...]:
    """Field managers whose managed fields hold an env entry, whole or in part."""
    quoted = name.encode()
    return tuple(
        sorted(
            {
                each.manager
                for each in managed
                # Cheap to rule out: most managers have never heard of the name.
                if not each.subresource
                and quoted in bytes(each.fields_v1)
                and _holds(msgspec.json.decode(each.fields_v1), container, name)
            }
        )
    )


def _holds(fields: Any, container: str, name: str) -> bool:  # noqa: ANN401 - JSON of any shape
    """Whether a tree of fieldsV1 reaches an env entry."""
    for step in ("f:spec", "f:template", "f:spec", "f:containers"):
        fields = fields.get(step, {})
    return any(
        _named(entry, name)
        for key, below in fields.items()
        if _named(key, container)
        for entry in below.get("f:env", {})
    )


def _named(key: str, name: str) -> bool:
    """Whether a key of fieldsV1 stands for the list element of that name."""
    if not key.startswith("k:"):
        return False
    found: object = msgspec.json.decode(key.removeprefix("k:"))
    return found == {"name": name}


def _rollout(found: _Deployment) -> Rollout:
    """Where the pods stand: what ``kubectl rollout status`` goes by."""
    spec, status = found.spec, found.status
    if spec.paused:
        return Rollout.PAUSED
    if status.observed_generation < found.metadata.generation:
        return Rollout.IN_PROGRESS
    if any(
        each.type == "Progressing"
        and each.status == "False"
        and each.reason == "ProgressDeadlineExceeded"
        for each in status.conditions
    ):
        return Rollout.FAILING
    arrived = (
        status.updated_replicas >= spec.replicas
        and status.replicas <= status.updated_replicas
        and status.available_replicas >= status.updated_replicas
    )
    return Rollout.COMPLETE if arrived else Rollout.IN_PROGRESS


def template_digest(template: Mapping[str, Any]) -> str:
    """Digest of a pod template without the tuned env entries of its containers."""
    spec: Mapping[str, Any] = template["spec"]
    rest = {**template, "spec": {**spec, "containers": list(_untuned(spec["containers"]))}}
    return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest()


def _untuned(containers: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for container in containers:
        env = [each for each in container.get("env") or () if each["name"] not in TUNED]
        rest = {name: value for name, value in container.items() if name != "env"}
        yield {**rest, "env": env} if env else rest
