"""The node's own objects: the Node and its Lease."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.api import Api, ApiError, Unreachable
from tests.e2e.testbed.node.objects import micro_timestamp, timestamp, uid_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.testbed.node.objects import JsonObject

_LOG = logging.getLogger(__name__)
_NOT_FOUND, _CONFLICT = 404, 409
_LEASE_SECONDS = 40
_RENEW_EVERY_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_VERSION = "v1.36.3"


@dataclass(frozen=True)
class NodeFacts:
    """How a node presents itself."""

    name: str
    host_address: str
    capacity: Mapping[str, str]
    port: int


def node_object(facts: NodeFacts) -> JsonObject:
    """Return the Node as it is created."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": facts.name,
            "labels": {
                "kubernetes.io/hostname": facts.name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": {},
    }


def node_status(facts: NodeFacts, now: datetime, ready_since: datetime) -> JsonObject:
    """Return the Node's status."""
    pressures = (
        ("MemoryPressure", "KubeletHasSufficientMemory"),
        ("DiskPressure", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "KubeletHasSufficientPID"),
    )
    conditions = [(kind, "False", reason) for kind, reason in pressures]
    conditions.append(("Ready", "True", "KubeletReady"))
    return {
        "capacity": dict(facts.capacity),
        "allocatable": dict(facts.capacity),
        "addresses": [
            {"type": "InternalIP", "address": facts.host_address},
            {"type": "Hostname", "address": facts.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.port}},
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": reason,
                "lastHeartbeatTime": timestamp(now),
                "lastTransitionTime": timestamp(ready_since),
            }
            for kind, status, reason in conditions
        ],
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": "",
            "containerRuntimeVersion": "process://1",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": _VERSION,
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": f"processes (pid {os.getpid()})",
            "systemUUID": "",
        },
    }


class Registration:
    """Keeps the Node and its Lease alive; `registered` is set once both are there."""

    def __init__(self, api: Api, facts: NodeFacts) -> None:
        """Take the way to the API and the facts; nothing is sent before `run`."""
        self.registered = asyncio.Event()
        self._api = api
        self._facts = facts
        self._began = datetime.now(UTC)

    async def run(self) -> None:
        """Register and renew for ever."""
        while True:
            try:
                node = await self._report()
                await self._renew(node)
            except (ApiError, *Unreachable) as error:
                _LOG.info("node not registered or renewed: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self.registered.set()
                await asyncio.sleep(_RENEW_EVERY_SECONDS)

    async def _report(self) -> JsonObject:
        path = f"/api/v1/nodes/{self._facts.name}"
        status = {"status": node_status(self._facts, datetime.now(UTC), self._began)}
        try:
            return await self._api.patch(f"{path}/status", status)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
        await self._api.create("/api/v1/nodes", node_object(self._facts))
        return await self._api.patch(f"{path}/status", status)

    async def _renew(self, node: JsonObject) -> None:
        collection = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        name = self._facts.name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": micro_timestamp(datetime.now(UTC)),
        }
        try:
            await self._api.patch(f"{collection}/{name}", {"spec": spec})
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid_of(node)}
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "ownerReferences": [owner]},
                "spec": spec,
            }
            await self._api.create(collection, lease)
