"""Deployments as the API server gives them."""

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
