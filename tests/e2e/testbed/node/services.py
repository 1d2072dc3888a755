"""Which pods a Service leads to: what kube-proxy would know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.testbed.node.objects import namespace_of, pod_containers
from tests.e2e.testbed.node.probes import port_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.testbed.node.objects import JsonObject


def service_endpoints(
    service: JsonObject, ready_pods: Iterable[tuple[JsonObject, str]]
) -> list[str]:
    """Return `ip:port` of each pod (given with its address) that the Service selects.

    Of several ports the first counts. A pod that lacks a named target port is left out.
    """
    selector = service["spec"].get("selector") or {}
    port = service["spec"]["ports"][0]
    target = port.get("targetPort") or port["port"]
    endpoints: list[str] = []
    for pod, address in ready_pods:
        labels = pod["metadata"].get("labels") or {}
        if namespace_of(pod) != namespace_of(service) or not selector:
            continue
        if any(labels.get(key) != value for key, value in selector.items()):
            continue
        number = _pod_port(pod, target)
        if number is not None:
            endpoints.append(f"{address}:{number}")
    return sorted(endpoints)


def _pod_port(pod: JsonObject, target: int | str) -> int | None:
    for container in pod_containers(pod):
        try:
            return port_number(target, container)
        except ValueError:
            continue
    return None
