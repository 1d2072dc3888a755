"""Deployments, StatefulSets and ConfigMaps as the API server gives them."""

from __future__ import annotations

import json
from typing import Any


def deployment(  # noqa: PLR0913 - what tests vary
    name: str = "web",
    *,
    namespace: str = "shop",
    version: int = 10,
    uid: str | None = None,
    env: list[dict[str, Any]] | None = None,
    resources: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A rolled-out Deployment of two pods with the containers ``app`` and ``side``."""
    app: dict[str, Any] = {
        "name": "app",
        "image": "shop",
        **({"env": env} if env is not None else {}),
    }
    app["resources"] = resources or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "generation": 3,
            **(metadata or {}),
        },
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [app, {"name": "side", "image": "side"}]},
            },
            **(spec or {}),
        },
        "status": {
            "observedGeneration": 3,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "conditions": [
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
            ],
            **(status or {}),
        },
    }


def stateful_set(
    name: str = "db",
    *,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 - of deployment()
) -> dict[str, Any]:
    """A rolled-out StatefulSet of two pods with the containers ``app`` and ``side``."""
    revision = f"{name}-1"
    found = deployment(
        name,
        spec={
            "serviceName": name,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            **(spec or {}),
        },
        status={
            "conditions": [],
            "currentRevision": revision,
            "updateRevision": revision,
            **(status or {}),
        },
        **options,
    )
    return {**found, "kind": "StatefulSet"}


def config_map(
    name: str = "web-gc",
    *,
    namespace: str = "shop",
    version: int = 10,
    data: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A ConfigMap that may be written."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "labels": {"gc-tuner.io/live": "true"} if labels is None else labels,
            **(metadata or {}),
        },
        # Without any keys the field is left out.
        **({"data": data} if data else {}),
    }


def managed(manager: str, container: str, *names: str, subresource: str = "") -> dict[str, Any]:
    """An entry of managedFields that owns env names of a container."""
    env: dict[str, Any] = {
        key("name", name): {".": {}, "f:name": {}, "f:value": {}} for name in names
    }
    containers = {key("name", container): {".": {}, "f:env": env, "f:name": {}}}
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:spec": {"f:template": {"f:spec": {"f:containers": containers}}, "f:replicas": {}}
        },
        **({"subresource": subresource} if subresource else {}),
    }


def key(name: str, value: str) -> str:
    """A list element's key in fieldsV1."""
    return "k:" + json.dumps({name: value}, separators=(",", ":"))
