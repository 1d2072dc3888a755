"""What a pod's status says, from what its containers do: pure, no clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tests.e2e.testbed.node.objects import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tests.e2e.testbed.node.objects import JsonObject


@dataclass(frozen=True)
class Waiting:
    """A container that does not run (yet, or until its back-off is over)."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Running:
    """A container that runs."""

    started_at: datetime


@dataclass(frozen=True)
class Terminated:
    """A run of a container that ended."""

    exit_code: int
    reason: str
    started_at: datetime
    finished_at: datetime
    container_id: str


State: TypeAlias = Waiting | Running | Terminated


@dataclass(frozen=True)
class ContainerView:
    """A container as its status shows it.

    `started` is what the startup probe says, `resources` what is in force, `allocated` the
    requests that the node has granted. `sidecar` is an init container that keeps running.
    """

    name: str
    image: str
    image_id: str
    container_id: str
    state: State
    last: Terminated | None
    restarts: int
    started: bool
    ready: bool
    resources: JsonObject
    allocated: JsonObject
    sidecar: bool = False


@dataclass(frozen=True)
class PodView:
    """A pod as its status shows it.

    `initialized`: all init containers are through. `stopping`: the pod is being deleted.
    """

    address: str
    host_address: str
    started_at: datetime
    sandbox_ready: bool
    initialized: bool
    stopping: bool
    containers: Sequence[ContainerView]
    init_containers: Sequence[ContainerView]
    resize_conditions: Mapping[str, JsonObject]


_OWN_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "ContainersReady",
    "Ready",
    "PodScheduled",
)
RESIZE_CONDITIONS = ("PodResizePending", "PodResizeInProgress")


def pod_phase(restart_policy: str, view: PodView) -> str:
    """Return the phase, by the kubelet's rules.

    A pod is over (`Succeeded`, `Failed`) only when no sidecar runs any more either.
    """
    phase = _phase_by_containers(restart_policy, view)
    sidecar_runs = any(isinstance(item.state, Running) for item in view.init_containers)
    return "Running" if phase in {"Succeeded", "Failed"} and sidecar_runs else phase


def _phase_by_containers(restart_policy: str, view: PodView) -> str:
    broken = any(_failed(item) for item in view.init_containers if not item.sidecar)
    if broken and restart_policy == "Never":
        return "Failed"
    if not view.initialized and not view.stopping:
        return "Pending"
    states = [item.state for item in view.containers]
    if any(isinstance(state, Running) for state in states):
        return "Running"
    waiting = [item for item in view.containers if isinstance(item.state, Waiting)]
    if not view.stopping:
        if any(item.last is None for item in waiting):
            return "Pending"
        if waiting or restart_policy == "Always":
            return "Running"
    return _phase_at_end(restart_policy, view)


def _phase_at_end(restart_policy: str, view: PodView) -> str:
    runs = [
        item.state if isinstance(item.state, Terminated) else item.last for item in view.containers
    ]
    if all(run is not None and run.exit_code == 0 for run in runs):
        return "Succeeded"
    # Between the end of a run and the next one of a container that starts again after a failure.
    starts_again = restart_policy == "OnFailure" and not view.stopping
    return "Running" if starts_again else "Failed"


def pod_status(pod: JsonObject, view: PodView, now: datetime) -> JsonObject:
    """Return the status to be patched into a pod; transition times are kept where they hold."""
    phase = pod_phase(str(pod["spec"].get("restartPolicy", "Always")), view)
    known = {item["type"]: item for item in (pod.get("status") or {}).get("conditions") or []}
    generation = int(pod["metadata"].get("generation") or 0)
    conditions = [
        _with_transition(condition, known, now, generation)
        for condition in _conditions(pod, view, phase, known)
    ]
    conditions.extend(
        {"type": kind, "$patch": "delete"}
        for kind in RESIZE_CONDITIONS
        if kind in known and kind not in view.resize_conditions
    )
    status: JsonObject = {
        "phase": phase,
        "observedGeneration": generation,
        "conditions": conditions,
        "hostIP": view.host_address,
        "hostIPs": _only({"ip": view.host_address}),
        "podIP": view.address,
        "podIPs": _only({"ip": view.address}),
        "startTime": timestamp(view.started_at),
        "containerStatuses": [container_status(item) for item in view.containers],
    }
    if view.init_containers:
        status["initContainerStatuses"] = [container_status(item) for item in view.init_containers]
    return status


def container_status(view: ContainerView) -> JsonObject:
    """Return one entry of `containerStatuses`."""
    status: JsonObject = {
        "name": view.name,
        "image": view.image,
        "imageID": view.image_id,
        "state": _state(view.state),
        "lastState": {} if view.last is None else _state(view.last),
        "ready": view.ready,
        "started": view.started,
        "restartCount": view.restarts,
    }
    if view.container_id:
        status["containerID"] = runtime_id(view.container_id)
        status["resources"] = view.resources
        if view.allocated:
            status["allocatedResources"] = view.allocated
    return status


def runtime_id(container_id: str) -> str:
    """Return a container's id as the status names it."""
    return f"process://{container_id}"


def _only(item: JsonObject) -> list[JsonObject]:
    """Make a patch put this item in place of all others, where it would be added to them."""
    return [{"$patch": "replace"}, item]


def _conditions(
    pod: JsonObject, view: PodView, phase: str, known: Mapping[str, JsonObject]
) -> list[JsonObject]:
    finished = phase in {"Succeeded", "Failed"}
    unready = [item.name for item in view.containers if not item.ready]
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    closed = [gate for gate in gates if known.get(gate, {}).get("status") != "True"]
    initialized = view.initialized or phase == "Succeeded"
    incomplete = {
        "reason": "PodCompleted" if phase == "Succeeded" else "ContainersNotReady",
        "message": f"containers with unready status: [{' '.join(unready)}]",
    }
    if phase == "Failed":
        incomplete = {"reason": "PodFailed"}
    elif phase == "Succeeded":
        incomplete = {"reason": "PodCompleted"}
    containers_ready = not unready and not finished
    ready = containers_ready and not closed
    if not containers_ready:
        why = incomplete
    else:
        why = {"reason": "ReadinessGatesNotReady", "message": f"not true: {', '.join(closed)}"}
    not_initialized = {"reason": "ContainersNotInitialized"}
    facts: dict[str, tuple[bool, JsonObject]] = {
        "PodReadyToStartContainers": (view.sandbox_ready, {}),
        "Initialized": (initialized, {} if initialized else not_initialized),
        "ContainersReady": (containers_ready, {} if containers_ready else incomplete),
        "Ready": (ready, {} if ready else why),
        "PodScheduled": (True, {}),
    }
    own = [
        {"type": kind, "status": "True" if facts[kind][0] else "False", **facts[kind][1]}
        for kind in _OWN_CONDITIONS
    ]
    resize = [
        {"type": kind, "status": "True", **detail}
        for kind, detail in view.resize_conditions.items()
    ]
    return own + resize


def _with_transition(
    condition: JsonObject, known: Mapping[str, JsonObject], now: datetime, generation: int
) -> JsonObject:
    before = known.get(condition["type"], {})
    same = before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if same else None
    complete = {
        "reason": None,
        "message": None,
        **condition,
        "lastTransitionTime": since or timestamp(now),
    }
    if condition["type"] != "PodScheduled":
        complete["observedGeneration"] = generation
    return complete


def _failed(view: ContainerView) -> bool:
    return isinstance(view.state, Terminated) and view.state.exit_code != 0


def _state(state: State) -> JsonObject:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        case Running(started_at):
            return {"running": {"startedAt": timestamp(started_at)}}
        case Terminated():
            return {
                "terminated": {
                    "exitCode": state.exit_code,
                    "reason": state.reason,
                    "startedAt": timestamp(state.started_at),
                    "finishedAt": timestamp(state.finished_at),
                    "containerID": runtime_id(state.container_id),
                }
            }
