"""One container of a pod: started, probed, restarted with back-off, stopped."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from tests.e2e.testbed.node.backoff import Backoff
from tests.e2e.testbed.node.environment import ConfigError
from tests.e2e.testbed.node.images import ImageNotFoundError
from tests.e2e.testbed.node.podstatus import ContainerView, Running, State, Terminated, Waiting
from tests.e2e.testbed.node.probes import Probe, Tally, parse_action, parse_probe, perform
from tests.e2e.testbed.node.process import LaunchPlan, Process, run_inside, start_process
from tests.e2e.testbed.node.resize import memory_limit, resizable_resources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.e2e.testbed.node.backoff import BackoffPolicy
    from tests.e2e.testbed.node.objects import JsonObject

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0
# Sooner than the period while a container has never been ready, so that a start is noticed early.
_EAGER_PERIOD_SECONDS = 0.2
_EAGER_FOR_SECONDS = 5.0
_MEMORY_EXIT_CODE = 137


class Surroundings(Protocol):
    """What a container needs from its pod."""

    address: str

    async def plan(self, container: JsonObject) -> LaunchPlan:
        """Resolve image, command, environment and mounts of a container.

        Raises:
            ConfigError: something it refers to is missing.
            ImageNotFoundError: the image is unknown.
        """

    def changed(self) -> None:
        """Note that the status of a container is another one."""

    def started(self, container: Container, process: Process) -> None:
        """Note that a process of a container runs."""

    def ended(self, container: Container, process: Process) -> None:
        """Note that a process of a container has ended."""


class Role(Enum):
    """What a container is in its pod."""

    INIT = auto()
    SIDECAR = auto()
    MAIN = auto()


@dataclass(frozen=True)
class ContainerHistory:
    """What a new node learns of a container from the status that an earlier one left."""

    restarts: int = 0
    last: Terminated | None = None


@dataclass(frozen=True)
class Terms:
    """What a container is run by: its pod's policy, and where its files and output go."""

    restart_policy: str
    backoff: BackoffPolicy
    grace_seconds: float
    surroundings: Surroundings
    directory: Path
    log: Path


class Container:
    """Runs one container until it is done or told to stop.

    By the pod's restart policy, but an init container that ended well never starts again and a
    sidecar always does. `granted` are the resources that the node has
    allocated and `in_force` those that it enforces.
    """

    def __init__(
        self, spec: JsonObject, role: Role, terms: Terms, history: ContainerHistory
    ) -> None:
        """Take what does not change; nothing starts before `run`."""
        self.spec = spec
        self.name = str(spec["name"])
        self.granted = resizable_resources(spec)
        self.in_force = self.granted
        self.process: Process | None = None
        self.out_of_memory_kills = 0
        self.role = role
        self._policy = terms.restart_policy
        self._backoff = Backoff(terms.backoff)
        self._grace_seconds = terms.grace_seconds
        self._surroundings = terms.surroundings
        self._directory = terms.directory
        self._log = terms.log
        self._state: State = Waiting("PodInitializing")
        self._last = history.last
        self._restarts = history.restarts
        self._container_id = ""
        self._started = False
        self._ready = False
        self._stopping = asyncio.Event()
        self._up = asyncio.Event()
        self._retry = asyncio.Event()
        self._plan: LaunchPlan | None = None

    @property
    def image(self) -> str:
        """The image's name as the pod gives it."""
        return str(self.spec.get("image", ""))

    @property
    def image_id(self) -> str:
        """A digest that stands for the image's content."""
        return "sha256:" + hashlib.sha256(self.image.encode()).hexdigest()

    @property
    def ready(self) -> bool:
        """Whether the container runs and its readiness probe, if any, agrees."""
        return self._ready

    @property
    def succeeded(self) -> bool:
        """Whether the container ended with exit code 0 and stays ended."""
        return isinstance(self._state, Terminated) and self._state.exit_code == 0

    @property
    def memory_limit_bytes(self) -> int | None:
        """The memory limit in force."""
        return memory_limit(self.in_force)

    def view(self) -> ContainerView:
        """Return what the pod's status says of this container."""
        return ContainerView(
            name=self.name,
            image=self.image,
            image_id=self.image_id if self._container_id else "",
            container_id=self._container_id,
            state=self._state,
            last=self._last,
            restarts=self._restarts,
            started=self._started,
            ready=self._ready,
            resources=self.in_force,
            allocated=self.granted.get("requests") or {},
            sidecar=self.role is Role.SIDECAR,
        )

    def waits_for(self, reason: str, message: str = "") -> None:
        """Show why the container has not been started yet."""
        self._enter(Waiting(reason, message))

    def sources_changed(self) -> None:
        """Try again at once if the container waits for something that was missing."""
        self._retry.set()

    async def run(self) -> None:
        """Start the container again and again, as its restart policy says."""
        while not self._stopping.is_set():
            process = await self._start()
            if process is None:
                return
            began = time.monotonic()
            await self._supervise(process)
            ended = self._record_end(process)
            if self._stopping.is_set() or not self._restarts_after(ended.exit_code):
                return
            delay = self._backoff.after_run(time.monotonic() - began)
            if delay:
                self._show_backoff(delay, ended)
                if await self._stopped_within(delay):
                    return
            self._restarts += 1

    async def until_started(self) -> None:
        """Wait until the container runs and its startup probe, if any, has passed."""
        await self._up.wait()

    async def stop(self, deadline: Deadline) -> None:
        """End the container: preStop hook, SIGTERM, and SIGKILL when the deadline has passed."""
        self._stopping.set()
        process = self.process
        if process is None or process.exited.done():
            return
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and deadline.left() > 0:
            task = asyncio.ensure_future(self._run_hook(hook))
            await deadline.wait({task, process.exited})
            task.cancel()
        process.terminate()
        await deadline.wait({process.exited})
        process.kill()
        await process.exited

    def abandon(self) -> None:
        """End the process at once, and start no other."""
        self._stopping.set()
        if self.process is not None:
            self.process.kill()

    async def restart(self) -> None:
        """End the running process, so that the container starts anew."""
        if self.process is not None:
            await _end_gently(self.process, self._grace_seconds)

    def kill_for_memory(self) -> None:
        """End the container as the kernel would when its memory limit is reached."""
        if self.process is not None:
            self.process.out_of_memory = True
            self.out_of_memory_kills += 1
            self.process.kill()

    async def _start(self) -> Process | None:
        """Start a process, waiting as long as something it needs is missing."""
        failures = 0
        while not self._stopping.is_set():
            self._retry.clear()
            try:
                self._plan = await self._surroundings.plan(self.spec)
                if self._stopping.is_set():
                    return None
                process = start_process(self._plan, self._directory, self._log)
            except ConfigError as error:
                self._enter(Waiting("CreateContainerConfigError", str(error)))
            except ImageNotFoundError as error:
                reason = "ErrImagePull" if failures == 0 else "ImagePullBackOff"
                self._enter(Waiting(reason, str(error)))
                failures += 1
            except OSError as error:
                self._enter(Waiting("CreateContainerError", str(error)))
            else:
                self._begin(process)
                return process
            await self._until_retry()
        return None

    def _begin(self, process: Process) -> None:
        self.process = process
        self._container_id = process.container_id
        self.in_force = self.granted
        if isinstance(self._state, Terminated):
            self._last = self._state
        self._started = "startupProbe" not in self.spec
        self._ready = self._started and "readinessProbe" not in self.spec
        self._surroundings.started(self, process)
        self._enter(Running(process.started_at))
        if self._started:
            self._up.set()

    async def _supervise(self, process: Process) -> None:
        """Probe the process until it ends."""
        tasks = [asyncio.create_task(self._probe(process))]
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            tasks.append(asyncio.create_task(self._run_hook(hook)))
        try:
            # Shielded: the future belongs to the process, not to whoever waits for it.
            await asyncio.shield(process.exited)
        finally:
            for task in tasks:
                task.cancel()

    def _record_end(self, process: Process) -> Terminated:
        code = process.exited.result()
        if process.out_of_memory:
            reason, code = "OOMKilled", _MEMORY_EXIT_CODE
        else:
            reason = "Completed" if code == 0 else "Error"
        ended = Terminated(
            exit_code=code,
            reason=reason,
            started_at=process.started_at,
            finished_at=datetime.now(UTC),
            container_id=process.container_id,
        )
        self.process = None
        self._started = False
        # An init container that has done its work counts as ready.
        self._ready = self.role is Role.INIT and code == 0
        self._surroundings.ended(self, process)
        self._enter(ended)
        return ended

    def _restarts_after(self, code: int) -> bool:
        if self.role is Role.SIDECAR:
            return True
        if self._policy == "Always" and self.role is Role.MAIN:
            return True
        return self._policy != "Never" and code != 0

    def _show_backoff(self, delay: float, ended: Terminated) -> None:
        self._last = ended
        message = f"back-off {delay:g}s restarting failed container={self.name}"
        self._enter(Waiting("CrashLoopBackOff", message))

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _enter(self, state: State) -> None:
        if state != self._state:
            self._state = state
        self._surroundings.changed()

    async def _until_retry(self) -> None:
        events = (self._retry, self._stopping)
        tasks = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(tasks, timeout=_RETRY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    async def _probe(self, process: Process) -> None:
        """Run the startup probe, then readiness and liveness side by side."""
        try:
            probes = {
                kind: parse_probe(self.spec[kind], self.spec)
                for kind in ("startupProbe", "readinessProbe", "livenessProbe")
                if kind in self.spec
            }
        except ValueError:
            _LOG.exception("container %s: probe", self.name)
            return
        if "startupProbe" in probes and not await self._passes_startup(
            process, probes["startupProbe"]
        ):
            return
        async with asyncio.TaskGroup() as group:
            if "readinessProbe" in probes:
                group.create_task(self._follow_readiness(process, probes["readinessProbe"]))
            if "livenessProbe" in probes:
                group.create_task(self._follow_liveness(process, probes["livenessProbe"]))

    async def _passes_startup(self, process: Process, probe: Probe) -> bool:
        tally = Tally(probe, initially=False)
        await asyncio.sleep(probe.initial_delay_seconds)
        while not process.exited.done():
            reached = tally.record(success=await self._perform(process, probe))
            if reached and tally.verdict:
                self._started = True
                self._ready = "readinessProbe" not in self.spec
                self._up.set()
                self._surroundings.changed()
                return True
            if reached:
                await self._kill_unhealthy(process, probe)
                return False
            await asyncio.sleep(probe.period_seconds)
        return False

    async def _follow_readiness(self, process: Process, probe: Probe) -> None:
        tally = Tally(probe, initially=False)
        await asyncio.sleep(probe.initial_delay_seconds)
        eager_until = time.monotonic() + _EAGER_FOR_SECONDS
        while not process.exited.done():
            tally.record(success=await self._perform(process, probe))
            if tally.verdict != self._ready:
                self._ready = tally.verdict
                self._surroundings.changed()
            eager = not tally.verdict and time.monotonic() < eager_until
            await asyncio.sleep(
                min(_EAGER_PERIOD_SECONDS, probe.period_seconds) if eager else probe.period_seconds
            )

    async def _follow_liveness(self, process: Process, probe: Probe) -> None:
        tally = Tally(probe, initially=True)
        await asyncio.sleep(probe.initial_delay_seconds)
        while not process.exited.done():
            if tally.record(success=await self._perform(process, probe)) and not tally.verdict:
                await self._kill_unhealthy(process, probe)
                return
            await asyncio.sleep(probe.period_seconds)

    async def _kill_unhealthy(self, process: Process, probe: Probe) -> None:
        if self._stopping.is_set():
            return
        own = probe.grace_seconds
        await _end_gently(process, self._grace_seconds if own is None else own)

    async def _perform(self, process: Process, probe: Probe) -> bool:
        async def run(command: Sequence[str]) -> int:
            return await self._execute(process, command)

        address = self._surroundings.address
        return await perform(probe.action, address, probe.timeout_seconds, run)

    async def _run_hook(self, hook: JsonObject) -> None:
        """Carry out a lifecycle hook; its failure is logged and does not matter further."""
        process = self.process
        if process is None:
            return
        if "sleep" in hook:
            await asyncio.sleep(float(hook["sleep"].get("seconds") or 0))
            return

        async def run(command: Sequence[str]) -> int:
            return await self._execute(process, command)

        action = parse_action(hook, self.spec)
        if not await perform(action, self._surroundings.address, 3600, run):
            _LOG.warning("container %s: lifecycle hook failed", self.name)

    async def _execute(self, process: Process, command: Sequence[str]) -> int:
        if self._plan is None:
            return 1
        return await run_inside(process, self._plan, command, self._directory, self._log)


async def _end_gently(process: Process, grace_seconds: float) -> None:
    process.terminate()
    await asyncio.wait({process.exited}, timeout=grace_seconds)
    process.kill()


class Deadline:
    """When a grace period ends; it may be brought forward while someone waits for it."""

    def __init__(self, seconds: float) -> None:
        """End in `seconds` from now."""
        self._at = time.monotonic() + seconds
        self._moved = asyncio.Event()

    def left(self) -> float:
        """Return the seconds that are left, never below zero."""
        return max(0.0, self._at - time.monotonic())

    def shorten(self, seconds: float) -> None:
        """End in `seconds` from now, if that is sooner."""
        at = time.monotonic() + seconds
        if at < self._at:
            self._at = at
            self._moved.set()

    async def wait(self, futures: set[asyncio.Future[None] | asyncio.Future[int]]) -> None:
        """Return once one of the futures is done or the time is over."""
        while self.left() > 0:
            moved = asyncio.ensure_future(self._moved.wait())
            done, _ = await asyncio.wait(
                {*futures, moved}, timeout=self.left(), return_when=asyncio.FIRST_COMPLETED
            )
            moved.cancel()
            self._moved.clear()
            if done - {moved}:
                return
