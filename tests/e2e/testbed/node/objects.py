"""Kubernetes objects as they travel: plain JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]


def timestamp(moment: datetime) -> str:
    """Render a `metav1.Time`: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """Render a `metav1.MicroTime`; the API refuses one without a fraction."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> datetime:
    """Read a `metav1.Time` or `metav1.MicroTime`."""
    return datetime.fromisoformat(text)


def namespace_of(item: JsonObject) -> str:
    """Return the namespace of an object, empty for a cluster-scoped one."""
    return str(item["metadata"].get("namespace", ""))


def name_of(item: JsonObject) -> str:
    """Return the name of an object."""
    return str(item["metadata"]["name"])


def uid_of(item: JsonObject) -> str:
    """Return the uid of an object."""
    return str(item["metadata"]["uid"])


def pod_containers(pod: JsonObject) -> list[JsonObject]:
    """Return the main containers of a pod, in order."""
    return list(pod["spec"].get("containers") or [])


def pod_init_containers(pod: JsonObject) -> list[JsonObject]:
    """Return the init containers of a pod, sidecars included, in order."""
    return list(pod["spec"].get("initContainers") or [])
