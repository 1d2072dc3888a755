"""One pod on this node, from the moment it is bound until its object is gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.api import ApiError, Unreachable
from tests.e2e.testbed.node.container import Container, ContainerHistory, Deadline, Role, Terms
from tests.e2e.testbed.node.environment import (
    ConfigError,
    environment_references,
    resolve_environment,
)
from tests.e2e.testbed.node.expansion import expand
from tests.e2e.testbed.node.fields import PodFacts
from tests.e2e.testbed.node.images import load_image, user_of
from tests.e2e.testbed.node.lookup import Lookup
from tests.e2e.testbed.node.objects import (
    JsonObject,
    name_of,
    namespace_of,
    parse_timestamp,
    pod_containers,
    pod_init_containers,
    uid_of,
)
from tests.e2e.testbed.node.podstatus import PodView, Terminated, pod_status
from tests.e2e.testbed.node.podvolumes import PodVolumes
from tests.e2e.testbed.node.process import LaunchPlan
from tests.e2e.testbed.node.resize import (
    refusal,
    resizable_resources,
    restarts_container,
    same_resources,
    total_requests,
)
from tests.e2e.testbed.node.staging import resize_seconds, staged_refusal

if TYPE_CHECKING:
    from tests.e2e.testbed.node.context import NodeContext
    from tests.e2e.testbed.node.process import Process

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 0.5
_NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 404, 409, 422
_FORCED_GRACE_SECONDS = 1.0
_DEFAULT_GRACE_SECONDS = 30.0
_DEFERRED_RECHECK_SECONDS = 2.0


class PodWorker:
    """Carries out one pod; `run` returns when nothing of it is left on this node."""

    def __init__(self, pod: JsonObject, node: NodeContext, address: str) -> None:
        """Take the pod's object as it is now; nothing is started before `run`."""
        self.pod = pod
        self.uid = uid_of(pod)
        self.address = address
        self._node = node
        self._directory = node.state / "pods" / self.uid
        self._facts = PodFacts(address, node.host_address, node.name, node.allocatable)
        self._began = datetime.now(UTC)
        start = (pod.get("status") or {}).get("startTime")
        if start:
            self._began = parse_timestamp(start)
        self._policy = str(pod["spec"].get("restartPolicy", "Always"))
        self._initialized = False
        self._sandbox_ready = False
        self._stop_requested = asyncio.Event()
        self._deadline: Deadline | None = None
        self._exists = True
        self._dirty = asyncio.Event()
        self._sent: JsonObject | None = None
        self._conditions: list[JsonObject] = (pod.get("status") or {}).get("conditions") or []
        self._resize_conditions: dict[str, JsonObject] = {}
        self._resizing: asyncio.Task[None] | None = None
        self._lookup = Lookup(node, namespace_of(pod))
        self._volumes = PodVolumes(
            pod, node, self._lookup, self._facts, self._directory / "volumes"
        )
        self._init_containers = [
            self._make_container(spec, init_role(spec), "initContainerStatuses")
            for spec in pod_init_containers(pod)
        ]
        self._containers = [
            self._make_container(spec, Role.MAIN, "containerStatuses")
            for spec in pod_containers(pod)
        ]

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers, init containers first."""
        return (*self._init_containers, *self._containers)

    @property
    def ready(self) -> bool:
        """Whether a Service sends traffic here: ready and not being deleted."""
        return not self._stop_requested.is_set() and any(
            condition["type"] == "Ready" and condition.get("status") == "True"
            for condition in self._conditions
        )

    @property
    def label(self) -> str:
        """Namespace and name, for the log."""
        return f"{namespace_of(self.pod)}/{name_of(self.pod)}"

    def granted_requests(self) -> list[JsonObject]:
        """Return the requests that count against the node, container by container."""
        return [container.granted.get("requests") or {} for container in self._containers]

    def update(self, pod: JsonObject) -> None:
        """Take a newer version of the pod's object."""
        before = self.pod
        self.pod = self._volumes.pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            grace = pod["metadata"].get("deletionGracePeriodSeconds")
            self._request_stop(self._grace_seconds if grace is None else float(grace))
            return
        if any(
            not same_resources(resizable_resources(spec), container.granted)
            for spec, container in zip(pod_containers(pod), self._containers, strict=False)
        ):
            self._begin_resize()
        elif self._resize_conditions and self._resizing is None:
            self._resize_conditions = {}
            self.changed()
        if before["metadata"].get("generation") != pod["metadata"].get("generation"):
            self.changed()
        if before["metadata"] != pod["metadata"]:
            self._volumes.refresh_later()

    def vanished(self) -> None:
        """Take note that the pod's object is gone."""
        self._exists = False
        self._request_stop(_FORCED_GRACE_SECONDS)

    def source_changed(self, kind: str, name: str) -> None:
        """Take note that a ConfigMap or Secret of the namespace has changed."""
        for container in self.containers:
            container.sources_changed()
        references = self._volumes.references()
        names = references.config_maps if kind == "ConfigMap" else references.secrets
        if name in names:
            self._volumes.refresh_later()

    def kill(self) -> None:
        """End all processes at once, for the node's own end."""
        for container in self.containers:
            container.abandon()

    async def run(self) -> None:
        """Run the pod to its end."""
        tasks = [
            asyncio.create_task(self._publish()),
            asyncio.create_task(self._volumes.renew_tokens()),
        ]
        if self.pod["metadata"].get("deletionTimestamp"):
            self.update(self.pod)
        finished = (self.pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
        try:
            if not finished:
                await self._live()
                self._sandbox_ready = False
                self.changed()
            await self._stop_requested.wait()
            for task in tasks:
                task.cancel()
            await self._remove_object(publish=not finished)
        finally:
            for task in tasks:
                task.cancel()
            if self._resizing is not None:
                self._resizing.cancel()
            self._volumes.close()
            self.kill()
            shutil.rmtree(self._directory, ignore_errors=True)

    # Surroundings of the containers

    async def plan(self, container: JsonObject) -> LaunchPlan:
        """Resolve image, command, environment and mounts of a container."""
        image = load_image(self._node.images, str(container.get("image", "")))
        sources = await self._lookup.fresh(environment_references(container))
        base = {
            "PATH": self._node.path,
            "HOME": str(self._directory),
            "HOSTNAME": name_of(self.pod),
            "LANG": "C.UTF-8",
            **image.env,
            "POD_IP": self.address,
            "KUBERNETES_SERVICE_HOST": self._node.cluster_host,
            "KUBERNETES_SERVICE_PORT": self._node.cluster_port,
            "KUBERNETES_SERVICE_PORT_HTTPS": self._node.cluster_port,
        }
        variables = resolve_environment(container, self.pod, sources, self._facts, base)
        command = [expand(item, variables) for item in container.get("command") or []]
        arguments = [expand(item, variables) for item in container.get("args") or []]
        if not command:
            command, arguments = [*image.command], arguments or [*image.arguments]
        security = {
            **(self.pod["spec"].get("securityContext") or {}),
            **(container.get("securityContext") or {}),
        }
        return LaunchPlan(
            argv=[*command, *arguments],
            env=variables,
            working_directory=(
                container.get("workingDir") or image.working_directory or str(self._directory)
            ),
            mounts=[*image.mounts, *self._volumes.mounts(container, variables)],
            read_only_root=bool(security.get("readOnlyRootFilesystem")),
            user=user_of(image, security),
        )

    def changed(self) -> None:
        """Note that the status is another one and must be published."""
        self._dirty.set()

    def started(self, container: Container, process: Process) -> None:
        """Log the start of a process."""
        _LOG.info("%s/%s: process %d started", self.label, container.name, process.pid)

    def ended(self, container: Container, process: Process) -> None:
        """Log the end of a process."""
        _LOG.info(
            "%s/%s: process %d ended with %d",
            self.label,
            container.name,
            process.pid,
            process.exited.result(),
        )

    # Life

    async def _live(self) -> None:
        """Run the containers until they are done or the pod is to stop."""
        life = asyncio.create_task(self._run_containers())
        stop = asyncio.create_task(self._stop_requested.wait())
        await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if life.done():
            life.result()
            return
        deadline = self._deadline or Deadline(_FORCED_GRACE_SECONDS)
        await asyncio.gather(*(container.stop(deadline) for container in self._containers))
        await asyncio.gather(*(container.stop(deadline) for container in self._init_containers))
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life

    async def _run_containers(self) -> None:
        await self._set_up_volumes()
        self._sandbox_ready = True
        self.changed()
        sidecars: list[asyncio.Task[None]] = []
        try:
            for container in self._init_containers:
                task = asyncio.create_task(container.run())
                if container.role is Role.SIDECAR:
                    sidecars.append(task)
                    await container.until_started()
                    continue
                try:
                    await task
                finally:
                    task.cancel()
                if not container.succeeded:
                    return
            self._initialized = True
            for container in self._containers:
                container.waits_for("ContainerCreating")
            async with asyncio.TaskGroup() as group:
                for container in self._containers:
                    group.create_task(container.run())
        finally:
            if not self._stop_requested.is_set():
                deadline = Deadline(self._grace_seconds)
                for container in self._init_containers:
                    await container.stop(deadline)
            for task in sidecars:
                await asyncio.wait({task}, timeout=1)
                task.cancel()

    @property
    def _grace_seconds(self) -> float:
        grace = self.pod["spec"].get("terminationGracePeriodSeconds")
        return _DEFAULT_GRACE_SECONDS if grace is None else float(grace)

    def _request_stop(self, grace_seconds: float) -> None:
        if self._deadline is None:
            self._deadline = Deadline(grace_seconds)
            self._stop_requested.set()
            for container in self.containers:
                container.sources_changed()
        else:
            self._deadline.shorten(grace_seconds)

    def _make_container(self, spec: JsonObject, role: Role, section: str) -> Container:
        name = str(spec["name"])
        log = f"{namespace_of(self.pod)}_{name_of(self.pod)}_{name}.log"
        terms = Terms(
            restart_policy=self._policy,
            backoff=self._node.backoff,
            grace_seconds=self._grace_seconds,
            surroundings=self,
            directory=self._directory / "containers" / name,
            log=self._node.state / "logs" / log,
        )
        return Container(spec, role, terms, container_history(self.pod, section, name))

    async def _set_up_volumes(self) -> None:
        """Fill all volumes, however long what they need is missing."""
        while True:
            try:
                await self._volumes.fill()
            except (ConfigError, ApiError, *Unreachable) as error:
                _LOG.warning("%s: volumes: %s", self.label, error)
                for container in self._init_containers or self._containers:
                    container.waits_for("ContainerCreating", str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    # Resize

    def _begin_resize(self) -> None:
        if self._resizing is not None:
            self._resizing.cancel()
        self._resizing = asyncio.create_task(self._resize())

    async def _resize(self) -> None:
        """Grant and enact the resources that the pod's spec asks for."""
        try:
            await self._grant_and_enact()
        except ConfigError as error:
            self._show_resize({"PodResizePending": {"reason": "Infeasible", "message": str(error)}})
        finally:
            # Unless a newer resize has taken this one's place.
            if self._resizing is asyncio.current_task():
                self._resizing = None

    async def _grant_and_enact(self) -> None:
        seconds = resize_seconds(self.pod, self._node.resize_seconds)
        asked = [resizable_resources(spec) for spec in pod_containers(self.pod)]
        generation = self.pod["metadata"].get("generation")
        requests = total_requests(item.get("requests") or {} for item in asked)
        while True:
            others = self._node.granted_to_others(self.uid)
            refused = staged_refusal(self.pod) or refusal(requests, others, self._node.allocatable)
            if refused is None:
                break
            self._show_resize({"PodResizePending": {**refused, "observedGeneration": generation}})
            if refused["reason"] == "Infeasible":
                return
            await asyncio.sleep(_DEFERRED_RECHECK_SECONDS)
        for container, resources in zip(self._containers, asked, strict=True):
            container.granted = resources
        self._show_resize({"PodResizeInProgress": {"observedGeneration": generation}})
        await asyncio.sleep(seconds)
        while problems := [text for item in self._containers if (text := self._above(item))]:
            detail = {"reason": "Error", "message": "; ".join(problems)}
            self._show_resize({"PodResizeInProgress": detail})
            await asyncio.sleep(1)
        for container in self._containers:
            before, after = container.in_force, container.granted
            if same_resources(before, after):
                continue
            if restarts_container(container.spec, before, after):
                await container.restart()
            container.in_force = after
        self._show_resize({})

    def _above(self, container: Container) -> str | None:
        """Return why a lower memory limit cannot be put in force yet."""
        process = container.process
        if process is None or restarts_container(
            container.spec, container.in_force, container.granted
        ):
            return None
        limits = container.granted.get("limits") or {}
        if "memory" not in limits:
            return None
        used = process.memory().anonymous_bytes
        wanted = total_requests([limits])["memory"]
        if used <= wanted:
            return None
        return (
            f"attempting to set memory limit ({wanted}) below current usage ({used}) "
            f"of container {container.name}"
        )

    def _show_resize(self, conditions: dict[str, JsonObject]) -> None:
        self._resize_conditions = conditions
        self.changed()

    # Status

    def _status(self) -> JsonObject:
        view = PodView(
            address=self.address,
            host_address=self._node.host_address,
            started_at=self._began,
            sandbox_ready=self._sandbox_ready,
            initialized=self._initialized,
            stopping=self._stop_requested.is_set() and not self._sandbox_ready,
            containers=[container.view() for container in self._containers],
            init_containers=[container.view() for container in self._init_containers],
            resize_conditions=self._resize_conditions,
        )
        # Own conditions as last sent: the watch may lag behind, and they carry transition times.
        current = (self.pod.get("status") or {}).get("conditions") or []
        merged = {item["type"]: item for item in current} | {
            item["type"]: item for item in self._conditions
        }
        pod = {**self.pod, "status": {"conditions": list(merged.values())}}
        return pod_status(pod, view, datetime.now(UTC))

    async def _publish(self) -> None:
        """Send the status whenever it changes; several changes in one go are one request."""
        self.changed()
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            if not await self._send_status():
                await asyncio.sleep(_RETRY_SECONDS)
                self._dirty.set()

    async def _send_status(self) -> bool:
        """Patch the status if it differs from what was sent last; False means try again."""
        status = self._status()
        if status == self._sent or not self._exists:
            return True
        try:
            answer = await self._node.api.patch(
                f"{self._path}/status", {"metadata": {"uid": self.uid}, "status": status}
            )
        except ApiError as error:
            if error.status in {_NOT_FOUND, _CONFLICT}:
                _LOG.info("%s: status not wanted any more: %s", self.label, error)
                return True
            _LOG.warning("%s: status refused: %s", self.label, error)
            return error.status == _UNPROCESSABLE
        except Unreachable as error:
            _LOG.info("%s: status not sent: %r", self.label, error)
            return False
        self._sent = {**status, "conditions": _without_deletions(status["conditions"])}
        self._conditions = answer["status"].get("conditions") or []
        return True

    async def _remove_object(self, *, publish: bool) -> None:
        """Tell the API that nothing of the pod is left, so that its object can go."""
        published = not publish
        while self._exists:
            try:
                published = published or await self._send_status()
                if published:
                    await self._node.api.delete(
                        self._path, {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
                    )
                    return
            except ApiError as error:
                if error.status in {_NOT_FOUND, _CONFLICT}:
                    return
                _LOG.warning("%s: not deleted: %s", self.label, error)
            except Unreachable as error:
                _LOG.info("%s: not deleted: %r", self.label, error)
            await asyncio.sleep(_RETRY_SECONDS)

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{namespace_of(self.pod)}/pods/{name_of(self.pod)}"


def init_role(spec: JsonObject) -> Role:
    """Tell a sidecar from an init container that ends."""
    return Role.SIDECAR if spec.get("restartPolicy") == "Always" else Role.INIT


def container_history(pod: JsonObject, section: str, name: str) -> ContainerHistory:
    """Return what an earlier node's status says of a container; its process has ended since."""
    for status in (pod.get("status") or {}).get(section) or []:
        if status["name"] != name or not status.get("containerID"):
            continue
        state = status.get("state") or {}
        run = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
        if "running" in state:
            run = {
                "exitCode": 137,
                "reason": "Error",
                "startedAt": state["running"]["startedAt"],
                "containerID": status["containerID"],
            }
        if run is None:
            continue
        began = parse_timestamp(run["startedAt"])
        ended = parse_timestamp(run["finishedAt"]) if run.get("finishedAt") else datetime.now(UTC)
        return ContainerHistory(
            restarts=int(status.get("restartCount", 0)) + 1,
            last=Terminated(
                exit_code=int(run["exitCode"]),
                reason=str(run.get("reason", "")),
                started_at=began,
                finished_at=ended,
                container_id=re.sub("^.*://", "", str(run.get("containerID", ""))),
            ),
        )
    return ContainerHistory()


def _without_deletions(conditions: list[JsonObject]) -> list[JsonObject]:
    return [condition for condition in conditions if "$patch" not in condition]
