"""What kube-state-metrics would report, under its names and labels.

Pods are those of this node, as with kube-state-metrics' own `--node`; the rest is cluster-wide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.testbed.node.exposition import Family, Sample
from tests.e2e.testbed.node.objects import name_of, namespace_of, pod_containers, uid_of
from tests.e2e.testbed.node.quantity import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tests.e2e.testbed.node.objects import JsonObject

_UNITS = {"cpu": "core", "memory": "byte", "ephemeral-storage": "byte"}
_PHASES = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
_READY = ("true", "false", "unknown")


def kube_state_families(
    pods: Collection[JsonObject],
    replica_sets: Collection[JsonObject],
    deployments: Collection[JsonObject],
) -> list[Family]:
    """Return the metrics of these objects."""
    return [
        _family("kube_deployment_spec_replicas", "Number of desired pods.", _replicas(deployments)),
        _family("kube_pod_info", "Information about pod.", _pods(pods)),
        _family("kube_pod_owner", "Information about the Pod's owner.", _pod_owners(pods)),
        _family("kube_pod_status_phase", "The pods current phase.", _phases(pods)),
        _family("kube_pod_status_ready", "Is the pod ready to serve requests.", _ready(pods)),
        _family(
            "kube_pod_container_resource_limits",
            "The number of requested limit resource by a container.",
            _resources(pods, "limits"),
        ),
        _family(
            "kube_pod_container_resource_requests",
            "The number of requested request resource by a container.",
            _resources(pods, "requests"),
        ),
        Family(
            "kube_pod_container_status_restarts_total",
            "counter",
            "The number of container restarts per container.",
            list(_restarts(pods)),
        ),
        _family(
            "kube_pod_container_status_last_terminated_reason",
            "The last reason the container was in terminated state.",
            _last_reasons(pods),
        ),
        _family(
            "kube_replicaset_owner",
            "Information about the ReplicaSet's owner.",
            _replica_set_owners(replica_sets),
        ),
    ]


def _family(name: str, description: str, samples: Iterator[Sample]) -> Family:
    return Family(name, "gauge", description, list(samples))


def _pod_labels(pod: JsonObject) -> dict[str, str]:
    return {"namespace": namespace_of(pod), "pod": name_of(pod), "uid": uid_of(pod)}


def _container_labels(pod: JsonObject, container: str) -> dict[str, str]:
    return {**_pod_labels(pod), "container": container}


def _replicas(deployments: Collection[JsonObject]) -> Iterator[Sample]:
    for item in deployments:
        labels = {"namespace": namespace_of(item), "deployment": name_of(item)}
        yield Sample(labels, float(item["spec"].get("replicas", 1)))


def _pods(pods: Collection[JsonObject]) -> Iterator[Sample]:
    for pod in pods:
        status = pod.get("status") or {}
        owner = _controller(pod)
        labels = {
            **_pod_labels(pod),
            "host_ip": str(status.get("hostIP", "")),
            "pod_ip": str(status.get("podIP", "")),
            "node": str(pod["spec"].get("nodeName", "")),
            "created_by_kind": owner.get("kind", ""),
            "created_by_name": owner.get("name", ""),
            "priority_class": str(pod["spec"].get("priorityClassName", "")),
            "host_network": str(bool(pod["spec"].get("hostNetwork"))).lower(),
        }
        yield Sample(labels, 1.0)


def _pod_owners(pods: Collection[JsonObject]) -> Iterator[Sample]:
    for pod in pods:
        yield from _owners(pod, _pod_labels(pod))


def _replica_set_owners(replica_sets: Collection[JsonObject]) -> Iterator[Sample]:
    for item in replica_sets:
        yield from _owners(item, {"namespace": namespace_of(item), "replicaset": name_of(item)})


def _owners(item: JsonObject, labels: dict[str, str]) -> Iterator[Sample]:
    owners = item["metadata"].get("ownerReferences") or []
    for owner in owners:
        controls = "true" if owner.get("controller") else "false"
        owned = {"owner_kind": owner["kind"], "owner_name": owner["name"]}
        yield Sample({**labels, **owned, "owner_is_controller": controls}, 1.0)
    if not owners:
        nobody = {"owner_kind": "", "owner_name": "", "owner_is_controller": ""}
        yield Sample({**labels, **nobody}, 1.0)


def _controller(item: JsonObject) -> dict[str, str]:
    owners = item["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def _phases(pods: Collection[JsonObject]) -> Iterator[Sample]:
    for pod in pods:
        current = (pod.get("status") or {}).get("phase")
        for phase in _PHASES:
            yield Sample({**_pod_labels(pod), "phase": phase}, float(phase == current))


def _ready(pods: Collection[JsonObject]) -> Iterator[Sample]:
    for pod in pods:
        for condition in (pod.get("status") or {}).get("conditions") or []:
            if condition["type"] != "Ready":
                continue
            current = str(condition["status"]).lower()
            for value in _READY:
                yield Sample({**_pod_labels(pod), "condition": value}, float(value == current))


def _resources(pods: Collection[JsonObject], kind: str) -> Iterator[Sample]:
    for pod in pods:
        for container in pod_containers(pod):
            amounts = (container.get("resources") or {}).get(kind) or {}
            for resource, amount in amounts.items():
                labels = {
                    **_container_labels(pod, container["name"]),
                    "node": str(pod["spec"].get("nodeName", "")),
                    "resource": resource.replace("-", "_"),
                    "unit": _UNITS.get(resource, "integer"),
                }
                yield Sample(labels, float(parse_quantity(amount)))


def _statuses(pods: Collection[JsonObject]) -> Iterator[tuple[JsonObject, JsonObject]]:
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            yield pod, status


def _restarts(pods: Collection[JsonObject]) -> Iterator[Sample]:
    for pod, status in _statuses(pods):
        yield Sample(_container_labels(pod, status["name"]), float(status["restartCount"]))


def _last_reasons(pods: Collection[JsonObject]) -> Iterator[Sample]:
    for pod, status in _statuses(pods):
        ended = (status.get("lastState") or {}).get("terminated")
        if ended:
            labels = _container_labels(pod, status["name"])
            yield Sample({**labels, "reason": str(ended.get("reason", ""))}, 1.0)
