"""The node: which pods it runs, and what it watches over."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.addresses import AddressPool
from tests.e2e.testbed.node.api import Api, Mirror
from tests.e2e.testbed.node.cadvisor import ContainerUsage, cadvisor_families
from tests.e2e.testbed.node.context import NodeContext
from tests.e2e.testbed.node.exposition import render
from tests.e2e.testbed.node.kube_state import kube_state_families
from tests.e2e.testbed.node.objects import name_of, namespace_of, uid_of
from tests.e2e.testbed.node.pod import PodWorker
from tests.e2e.testbed.node.procfs import read_ancestry
from tests.e2e.testbed.node.quantity import parse_quantity
from tests.e2e.testbed.node.registration import NodeFacts, Registration
from tests.e2e.testbed.node.resize import total_requests
from tests.e2e.testbed.node.server import serve
from tests.e2e.testbed.node.services import service_endpoints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal
    from pathlib import Path

    from tests.e2e.testbed.node.backoff import BackoffPolicy
    from tests.e2e.testbed.node.container import Container
    from tests.e2e.testbed.node.objects import JsonObject
    from tests.e2e.testbed.node.process import Process

_LOG = logging.getLogger(__name__)
_ANCESTRY_EVERY_SECONDS = 1.0
_MEMORY_EVERY_SECONDS = 0.2
_MEMORY_EVERY_SECONDS_NEAR_LIMIT = 0.04
_NEAR_LIMIT_RATIO = 0.8


@dataclass(frozen=True)
class NodeSettings:
    """How a node is to be run; see `__main__` for the meaning of each."""

    name: str
    host_address: str
    port: int
    capacity: Mapping[str, str]
    images: Path
    state: Path
    backoff: BackoffPolicy
    mount_refresh_seconds: float
    resize_seconds: float
    cluster_host: str
    cluster_port: str
    path: str


@dataclass
class _Assignment:
    worker: PodWorker
    task: asyncio.Task[None] | None = None


@dataclass
class Node:
    """Runs the pods that are bound to one Node object."""

    settings: NodeSettings
    api: Api
    _addresses: AddressPool = field(default_factory=AddressPool)
    _assignments: dict[str, _Assignment] = field(default_factory=dict)

    _kube_state: tuple[tuple[int, ...], str] | None = None

    def __post_init__(self) -> None:
        """Wire the parts; nothing runs yet."""
        settings = self.settings
        self._config_maps = Mirror(self.api, "/api/v1/configmaps", self._config_map_changed)
        self._secrets = Mirror(self.api, "/api/v1/secrets", self._secret_changed)
        self._services = Mirror(self.api, "/api/v1/services")
        self._deployments = Mirror(self.api, "/apis/apps/v1/deployments")
        self._replica_sets = Mirror(self.api, "/apis/apps/v1/replicasets", metadata_only=True)
        self._pods = Mirror(
            self.api,
            "/api/v1/pods",
            self._pod_changed,
            {"fieldSelector": f"spec.nodeName={settings.name}"},
        )
        self._registration = Registration(
            self.api,
            NodeFacts(settings.name, settings.host_address, settings.capacity, settings.port),
        )
        self._context = NodeContext(
            name=settings.name,
            host_address=settings.host_address,
            allocatable=settings.capacity,
            api=self.api,
            config_maps=self._config_maps,
            secrets=self._secrets,
            images=settings.images,
            state=settings.state,
            backoff=settings.backoff,
            mount_refresh_seconds=settings.mount_refresh_seconds,
            resize_seconds=settings.resize_seconds,
            granted_to_others=self._granted_to_others,
            cluster_host=settings.cluster_host,
            cluster_port=settings.cluster_port,
            path=settings.path,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then end every process of every pod."""
        (self.settings.state / "logs").mkdir(parents=True, exist_ok=True)
        runner = await serve(self, self.settings.host_address, self.settings.port)
        mirrors = (
            self._config_maps,
            self._secrets,
            self._services,
            self._deployments,
            self._replica_sets,
            self._pods,
        )
        tasks = [
            asyncio.create_task(self._registration.run()),
            asyncio.create_task(self._follow_families()),
            asyncio.create_task(self._enforce_memory_limits()),
            *(asyncio.create_task(mirror.run()) for mirror in mirrors),
        ]
        for task in tasks:
            task.add_done_callback(_log_failure)
        try:
            await stop.wait()
        finally:
            for assignment in self._assignments.values():
                assignment.worker.kill()
                if assignment.task is not None:
                    tasks.append(assignment.task)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()

    # What the endpoints show

    def healthy(self) -> bool:
        """Tell whether the node is registered and knows its pods."""
        return self._registration.registered.is_set() and self._pods.synced.is_set()

    def cadvisor(self) -> str:
        """Return the container metrics in the text format."""
        usages = [
            _usage(worker, container, process) for worker, container, process in self._running()
        ]
        return render(cadvisor_families(usages, time.time()))

    def kube_state(self) -> str:
        """Return the metrics of objects in the text format; made anew only after a change."""
        mirrors = (self._pods, self._replica_sets, self._deployments)
        revisions = tuple(mirror.revision for mirror in mirrors)
        if self._kube_state is None or self._kube_state[0] != revisions:
            objects = (mirror.by_uid.values() for mirror in mirrors)
            self._kube_state = (revisions, render(kube_state_families(*objects)))
        return self._kube_state[1]

    def endpoints(self, namespace: str, service: str) -> list[str] | None:
        """Return `ip:port` of the ready pods of a Service, None if there is no such Service."""
        item = self._services.by_name.get((namespace, service))
        if item is None:
            return None
        ready = [
            (assignment.worker.pod, assignment.worker.address)
            for assignment in self._assignments.values()
            if assignment.worker.ready
        ]
        return service_endpoints(item, ready)

    # What the watches tell

    def _pod_changed(self, pod: JsonObject, exists: bool) -> None:
        uid = uid_of(pod)
        assignment = self._assignments.get(uid)
        if not exists:
            if assignment is not None:
                assignment.worker.vanished()
                if assignment.task is None:
                    del self._assignments[uid]
            return
        if assignment is None:
            worker = PodWorker(pod, self._context, self._addresses.acquire())
            task = asyncio.create_task(self._run_pod(worker))
            self._assignments[uid] = _Assignment(worker, task)
        elif assignment.task is not None:
            assignment.worker.update(pod)

    async def _run_pod(self, worker: PodWorker) -> None:
        try:
            await worker.run()
        except Exception:  # noqa: BLE001 - one pod that cannot be run must not end the others
            _LOG.exception("%s: given up", worker.label)
        finally:
            self._addresses.release(worker.address)
        # An object that is still there, held by a finalizer, must not start the pod again.
        if worker.uid in self._pods.by_uid:
            self._assignments[worker.uid].task = None
        else:
            del self._assignments[worker.uid]

    def _config_map_changed(self, item: JsonObject, _: bool) -> None:
        self._source_changed("ConfigMap", item)

    def _secret_changed(self, item: JsonObject, _: bool) -> None:
        self._source_changed("Secret", item)

    def _source_changed(self, kind: str, item: JsonObject) -> None:
        for assignment in self._assignments.values():
            if namespace_of(assignment.worker.pod) == namespace_of(item):
                assignment.worker.source_changed(kind, name_of(item))

    # What the processes do

    def _running(self) -> Iterator[tuple[PodWorker, Container, Process]]:
        for assignment in self._assignments.values():
            for container in assignment.worker.containers:
                if container.process is not None:
                    yield assignment.worker, container, container.process

    async def _follow_families(self) -> None:
        """Keep up with the children of containers."""
        while True:
            await asyncio.sleep(_ANCESTRY_EVERY_SECONDS)
            running = list(self._running())
            if running:
                ancestry = read_ancestry()
                for _, _, process in running:
                    process.members = ancestry.members(process.pid)

    async def _enforce_memory_limits(self) -> None:
        """Kill what exceeds its limit; look more often while something is close to it.

        A kernel drops mapped files before it kills, so only anonymous memory counts.
        """
        while True:
            nearest = 0.0
            for worker, container, process in list(self._running()):
                limit = container.memory_limit_bytes
                if limit is None:
                    continue
                used = process.memory().anonymous_bytes
                nearest = max(nearest, used / limit)
                if used > limit:
                    _LOG.info("%s/%s: out of memory: %d", worker.label, container.name, used)
                    container.kill_for_memory()
            near = nearest > _NEAR_LIMIT_RATIO
            await asyncio.sleep(_MEMORY_EVERY_SECONDS_NEAR_LIMIT if near else _MEMORY_EVERY_SECONDS)

    def _granted_to_others(self, uid: str) -> dict[str, Decimal]:
        return total_requests(
            requests
            for other, assignment in self._assignments.items()
            if other != uid and assignment.task is not None
            for requests in assignment.worker.granted_requests()
        )


def _usage(worker: PodWorker, container: Container, process: Process) -> ContainerUsage:
    memory = process.memory()
    cpu_limit = (container.in_force.get("limits") or {}).get("cpu")
    return ContainerUsage(
        namespace=namespace_of(worker.pod),
        pod=name_of(worker.pod),
        pod_uid=worker.uid,
        quality=str((worker.pod.get("status") or {}).get("qosClass", "BestEffort")),
        container=container.name,
        container_id=process.container_id,
        image=container.image,
        resident_bytes=memory.resident_bytes,
        anonymous_bytes=memory.anonymous_bytes,
        cpu_seconds=process.cpu_seconds(),
        started_at=process.started_at.timestamp(),
        memory_limit_bytes=container.memory_limit_bytes,
        cpu_limit_cores=None if cpu_limit is None else float(parse_quantity(cpu_limit)),
        out_of_memory_kills=container.out_of_memory_kills,
    )


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _LOG.error("a part of the node has failed", exc_info=task.exception())
