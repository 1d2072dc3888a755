"""The downward API: a pod's own fields and resources, as env values and files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.objects import name_of, namespace_of, uid_of
from tests.e2e.testbed.node.quantity import divide_up, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.testbed.node.objects import JsonObject

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


@dataclass(frozen=True)
class PodFacts:
    """What the node knows about a pod and the pod's object does not say (yet)."""

    address: str
    host_address: str
    node_name: str
    allocatable: Mapping[str, str]


def field_value(pod: JsonObject, path: str, facts: PodFacts) -> str:
    """Return what a `fieldRef` names.

    Raises:
        ValueError: the path is not one that the downward API knows.
    """
    metadata = pod["metadata"]
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
    if path in {"metadata.labels", "metadata.annotations"}:
        pairs = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f'{key}="{_escape(value)}"' for key, value in sorted(pairs.items()))
    values = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "spec.nodeName": facts.node_name,
        "spec.serviceAccountName": str(pod["spec"].get("serviceAccountName", "")),
        "status.hostIP": facts.host_address,
        "status.hostIPs": facts.host_address,
        "status.podIP": facts.address,
        "status.podIPs": facts.address,
    }
    if path not in values:
        message = f"unsupported fieldPath: {path}"
        raise ValueError(message)
    return values[path]


def resource_value(container: JsonObject, reference: JsonObject, facts: PodFacts) -> str:
    """Return what a `resourceFieldRef` names, in units of its divisor, rounded up.

    A limit that is not set is the node's allocatable amount; a request that is not set is the
    limit, or else zero.

    Raises:
        ValueError: the resource is not one that the downward API knows.
    """
    kind, _, resource = str(reference["resource"]).partition(".")
    if kind not in {"limits", "requests"} or resource not in facts.allocatable:
        message = f"unsupported container resource: {reference['resource']}"
        raise ValueError(message)
    resources = container.get("resources") or {}
    limit = (resources.get("limits") or {}).get(resource)
    request = (resources.get("requests") or {}).get(resource)
    if kind == "limits":
        amount = limit if limit is not None else facts.allocatable[resource]
    else:
        amount = request if request is not None else limit or "0"
    divisor = parse_quantity(reference.get("divisor") or "1")
    return str(divide_up(parse_quantity(amount), divisor or parse_quantity("1")))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
