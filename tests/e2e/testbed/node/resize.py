"""In-place resize: what is asked, what the node can grant, and what is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.testbed.node.quantity import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from tests.e2e.testbed.node.objects import JsonObject

_RESIZABLE = ("cpu", "memory")


def resizable_resources(container: JsonObject) -> JsonObject:
    """Return the limits and requests of a container that a resize may change."""
    resources = container.get("resources") or {}
    result: JsonObject = {}
    for kind in ("limits", "requests"):
        amounts = {k: v for k, v in (resources.get(kind) or {}).items() if k in _RESIZABLE}
        if amounts:
            result[kind] = amounts
    return result


def same_resources(one: JsonObject, other: JsonObject) -> bool:
    """Compare by value: `1` and `1000m` are the same."""
    return _values(one) == _values(other)


def memory_limit(resources: JsonObject) -> int | None:
    """Return the memory limit in bytes, None if there is none."""
    limit = (resources.get("limits") or {}).get("memory")
    return None if limit is None else int(parse_quantity(limit))


def total_requests(requests: Iterable[JsonObject]) -> dict[str, Decimal]:
    """Add up requests of cpu and memory."""
    total = {resource: parse_quantity("0") for resource in _RESIZABLE}
    for amounts in requests:
        for resource in _RESIZABLE:
            total[resource] += parse_quantity(amounts.get(resource, "0"))
    return total


def refusal(
    asked: Mapping[str, Decimal], others: Mapping[str, Decimal], allocatable: Mapping[str, str]
) -> JsonObject | None:
    """Return why a pod's new requests cannot be granted, as a `PodResizePending` condition.

    `Infeasible`: more than the whole node has. `Deferred`: more than the other pods leave now.
    """
    for resource in _RESIZABLE:
        capacity = parse_quantity(allocatable[resource])
        if asked[resource] > capacity:
            message = (
                f"Node didn't have enough capacity: {resource}, requested: {asked[resource]}, "
                f"capacity: {capacity}"
            )
            return {"reason": "Infeasible", "message": message}
        if asked[resource] + others[resource] > capacity:
            message = f"Node didn't have enough resource: {resource}"
            return {"reason": "Deferred", "message": message}
    return None


def restarts_container(container: JsonObject, before: JsonObject, after: JsonObject) -> bool:
    """Tell whether a changed resource's `resizePolicy` asks for a restart."""
    policies = {
        item["resourceName"]: item["restartPolicy"] for item in container.get("resizePolicy") or []
    }
    old, new = _values(before), _values(after)
    changed = {key[1] for key in set(old) | set(new) if old.get(key) != new.get(key)}
    return any(policies.get(resource) == "RestartContainer" for resource in changed)


def _values(resources: JsonObject) -> dict[tuple[str, str], Decimal]:
    return {
        (kind, resource): parse_quantity(amount)
        for kind in ("limits", "requests")
        for resource, amount in (resources.get(kind) or {}).items()
    }
