"""A workload's JSON, read into what tuning needs of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tuner.cluster.managed import ManagedFields, owners
from tuner.cluster.quantity import memory_bytes
from tuner.cluster.reflector import Item
from tuner.cluster.rollout import (
    DeploymentSpec,
    DeploymentStatus,
    StatefulSetSpec,
    StatefulSetStatus,
)
from tuner.control.tier import barrier_env
from tuner.model.workload import (
    BARRIER,
    GOGC,
    GOMEMLIMIT,
    Container,
    EnvEntry,
    Kind,
    Rollout,
    Workload,
    WorkloadKey,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

MODE_LABEL = "gc-tuner.io/mode"
ANNOTATION_PREFIX = "gc-tuner.io/"
CHANGE_CAUSE = "kubernetes.io/change-cause"
WITHDRAWN = "gc-tuner.io/withdrawn"
"""Label that stands for a moment, for its object to get another version."""


class _Json(msgspec.Struct, frozen=True, rename="camel"):
    """Base of what is read; other fields are skipped without being decoded."""


class _Metadata(_Json, frozen=True):
    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int = 0
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    managed_fields: list[ManagedFields] = []


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


class _Deployment(_Json, frozen=True):
    metadata: _Metadata
    spec: DeploymentSpec
    status: DeploymentStatus = DeploymentStatus()

    @property
    def rollout(self) -> Rollout:
        return self.status.rollout(self.metadata.generation, self.spec)


class _StatefulSet(_Json, frozen=True):
    metadata: _Metadata
    spec: StatefulSetSpec
    status: StatefulSetStatus = StatefulSetStatus()

    @property
    def rollout(self) -> Rollout:
        return self.status.rollout(self.metadata.generation, self.spec)


_Decoder = msgspec.json.Decoder[_Deployment] | msgspec.json.Decoder[_StatefulSet]
_DECODERS: Mapping[Kind, _Decoder] = {
    Kind.DEPLOYMENT: msgspec.json.Decoder(_Deployment),
    Kind.STATEFUL_SET: msgspec.json.Decoder(_StatefulSet),
}
_TEMPLATE = msgspec.json.Decoder(_Template)
_ANY = msgspec.json.Decoder()


def read_workload(kind: Kind, raw: bytes) -> Item[WorkloadKey, Workload]:
    """An object of a workload kind as an item; without a value where it is being deleted.

    Args:
        kind: What it is: the items of a list do not say.
        raw: Its JSON.

    Raises:
        ValueError: A quantity or a surge cannot be read.
        msgspec.MsgspecError: It is not of that kind.
    """
    found = _DECODERS[kind].decode(raw)
    metadata = found.metadata
    key = WorkloadKey(metadata.namespace, kind, metadata.name)
    deleted = metadata.deletion_timestamp is not None
    workload = None if deleted else _workload(key, found)
    return Item(key, int(metadata.resource_version), workload)


def tuned_names(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """The tuned settings of a workload by the names that their env entries have.

    The barrier threshold has one only where the annotation ``gc-tuner.io/barrier-env`` gives it
    one, which is a valid env name and not one of Go's own two.

    Args:
        annotations: The ``gc-tuner.io/`` annotations, without that prefix.
    """
    names = {GOGC: GOGC, GOMEMLIMIT: GOMEMLIMIT}
    barrier = barrier_env(annotations)
    return names if barrier is None else {**names, barrier: BARRIER}


def _workload(key: WorkloadKey, found: _Deployment | _StatefulSet) -> Workload:
    metadata = found.metadata
    annotations = {
        name.removeprefix(ANNOTATION_PREFIX): text
        for name, text in metadata.annotations.items()
        if name.startswith(ANNOTATION_PREFIX)
    }
    names = tuned_names(annotations)
    containers = _TEMPLATE.decode(found.spec.template).spec.containers
    return Workload(
        key=key,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        generation=metadata.generation,
        containers=tuple(_container(each, names, metadata.managed_fields) for each in containers),
        rollout=found.rollout,
        replicas=found.spec.replicas,
        ready_replicas=found.status.ready_replicas,
        template_digest=template_digest(_ANY.decode(found.spec.template), names),
        label_mode=metadata.labels.get(MODE_LABEL),
        annotations=annotations,
        change_cause=metadata.annotations.get(CHANGE_CAUSE),
        surges=found.spec.surges,
    )


def _container(
    found: _Container, names: Mapping[str, str], managed: Iterable[ManagedFields]
) -> Container:
    tuned = [each for each in found.env if each.name in names]
    count = Counter(each.name for each in tuned)
    return Container(
        name=found.name,
        memory_limit_bytes=_memory(found.resources.limits),
        memory_request_bytes=_memory(found.resources.requests),
        env={
            names[each.name]: EnvEntry(
                # An empty literal is left out of the JSON.
                value=None if each.value_from is not None else each.value or "",
                count=count[each.name],
                owners=owners(managed, each.name, partial(_holds, found.name, each.name)),
            )
            for each in tuned  # where a name is listed twice, the last one wins
        },
    )


def _memory(resources: Mapping[str, str]) -> int | None:
    """Bytes; None where nothing, or zero, is set, which both mean: not restricted."""
    text = resources.get("memory")
    return None if text is None else memory_bytes(text) or None


def _holds(container: str, name: str, fields: Any) -> bool:  # noqa: ANN401 - JSON of any shape
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
    found: object = _ANY.decode(key.removeprefix("k:"))
    return found == {"name": name}


def template_digest(template: Mapping[str, Any], names: Collection[str]) -> str:
    """Digest of a pod template without the tuned env entries of its containers.

    Args:
        template: The pod template's JSON.
        names: Names of the tuned env entries.
    """
    spec: Mapping[str, Any] = template["spec"]
    rest = {
        **template,
        "spec": {**spec, "containers": list(_untuned(spec["containers"], names))},
    }
    return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest()


def _untuned(
    containers: Iterable[Mapping[str, Any]], names: Collection[str]
) -> Iterator[Mapping[str, Any]]:
    for container in containers:
        env = [each for each in container.get("env") or () if each["name"] not in names]
        rest = {name: value for name, value in container.items() if name != "env"}
        yield {**rest, "env": env} if env else rest
