from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.testbed.node.pod import container_history
from tests.e2e.testbed.node.podstatus import (
    ContainerView,
    PodView,
    Running,
    State,
    Terminated,
    Waiting,
    pod_phase,
    pod_status,
)

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_RUNNING = Running(_NOW)
_POD: dict[str, Any] = {"metadata": {"generation": 7}, "spec": {"restartPolicy": "Always"}}


def _ended(code: int) -> Terminated:
    return Terminated(code, "Completed" if code == 0 else "Error", _NOW, _NOW, "abc")


def _container(state: State, **more: Any) -> ContainerView:  # noqa: ANN401 - fields of the view
    view = ContainerView(
        name="main",
        image="image",
        image_id="sha256:1",
        container_id="abc",
        state=state,
        last=None,
        restarts=0,
        started=isinstance(state, Running),
        ready=isinstance(state, Running),
        resources={"limits": {"memory": "64Mi"}},
        allocated={"memory": "64Mi"},
    )
    return replace(view, **more)


def _pod(*containers: ContainerView, **more: Any) -> PodView:  # noqa: ANN401 - fields of the view
    view = PodView(
        address="127.1.2.3",
        host_address="127.0.0.1",
        started_at=_NOW,
        sandbox_ready=True,
        initialized=True,
        stopping=False,
        containers=containers,
        init_containers=(),
        resize_conditions={},
    )
    return replace(view, **more)


_BACKING_OFF = _container(Waiting("CrashLoopBackOff"), last=_ended(1))


@pytest.mark.parametrize(
    ("policy", "view", "phase"),
    [
        ("Always", _pod(_container(Waiting("ContainerCreating"))), "Pending"),
        ("Always", _pod(_container(_RUNNING)), "Running"),
        ("Always", _pod(_container(_ended(0))), "Running"),
        ("Always", _pod(_BACKING_OFF), "Running"),
        ("Never", _pod(_container(_ended(0))), "Succeeded"),
        ("Never", _pod(_container(_ended(1))), "Failed"),
        ("Never", _pod(_container(_ended(1)), _container(_RUNNING)), "Running"),
        ("Never", _pod(_container(_ended(1)), _container(_ended(0))), "Failed"),
        ("OnFailure", _pod(_container(_ended(1))), "Running"),
        ("OnFailure", _pod(_container(_ended(0)), _BACKING_OFF), "Running"),
        ("OnFailure", _pod(_container(_ended(0))), "Succeeded"),
        ("Always", _pod(_container(_ended(0)), stopping=True), "Succeeded"),
        ("Always", _pod(_container(_ended(143)), stopping=True), "Failed"),
        ("Always", _pod(_container(_RUNNING), initialized=False), "Pending"),
        (
            "Never",
            _pod(
                _container(Waiting("PodInitializing")),
                initialized=False,
                init_containers=(_container(_ended(1)),),
            ),
            "Failed",
        ),
        (
            "Never",
            _pod(
                _container(_ended(0)),
                init_containers=(_container(_RUNNING, sidecar=True),),
            ),
            "Running",
        ),
    ],
)
def test_the_phase_follows_the_containers(policy: str, view: PodView, phase: str) -> None:
    assert pod_phase(policy, view) == phase


def _condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in status["conditions"] if item["type"] == kind)
    return found


def test_a_ready_pod_says_so_in_all_its_conditions() -> None:
    status = pod_status(_POD, _pod(_container(_RUNNING)), _NOW)
    assert {item["type"]: item["status"] for item in status["conditions"]} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "ContainersReady": "True",
        "Ready": "True",
        "PodScheduled": "True",
    }
    assert status["observedGeneration"] == 7
    assert status["containerStatuses"][0]["resources"] == {"limits": {"memory": "64Mi"}}
    assert status["containerStatuses"][0]["allocatedResources"] == {"memory": "64Mi"}


def test_an_unready_container_is_named() -> None:
    status = pod_status(_POD, _pod(_container(_RUNNING, ready=False)), _NOW)
    ready = _condition(status, "Ready")
    assert ready["reason"] == "ContainersNotReady"
    assert ready["message"] == "containers with unready status: [main]"


def test_a_closed_readiness_gate_keeps_the_pod_unready() -> None:
    pod = {**_POD, "spec": {"readinessGates": [{"conditionType": "example.com/warm"}]}}
    view = _pod(_container(_RUNNING))
    closed = pod_status(pod, view, _NOW)
    assert _condition(closed, "ContainersReady")["status"] == "True"
    assert _condition(closed, "Ready")["status"] == "False"
    known = {"conditions": [{"type": "example.com/warm", "status": "True"}]}
    opened = pod_status({**pod, "status": known}, view, _NOW)
    assert _condition(opened, "Ready")["status"] == "True"


def test_a_transition_time_changes_only_with_the_status() -> None:
    first = pod_status(_POD, _pod(_container(_RUNNING)), _NOW)
    known = {**_POD, "status": {"conditions": first["conditions"]}}
    later = _NOW + timedelta(minutes=1)
    same = pod_status(known, _pod(_container(_RUNNING)), later)
    assert _condition(same, "Ready") == _condition(first, "Ready")
    unready = pod_status(known, _pod(_container(_RUNNING, ready=False)), later)
    assert _condition(unready, "Ready")["lastTransitionTime"] == "2026-01-02T03:05:05Z"
    assert _condition(unready, "Initialized") == _condition(first, "Initialized")


def test_a_resize_condition_comes_and_is_taken_back() -> None:
    pending = {"PodResizePending": {"reason": "Deferred"}}
    shown = pod_status(_POD, _pod(_container(_RUNNING), resize_conditions=pending), _NOW)
    assert _condition(shown, "PodResizePending")["status"] == "True"
    known = {**_POD, "status": {"conditions": shown["conditions"]}}
    gone = pod_status(known, _pod(_container(_RUNNING)), _NOW)
    assert _condition(gone, "PodResizePending") == {"type": "PodResizePending", "$patch": "delete"}


@pytest.mark.parametrize(
    ("state", "exit_code"),
    [
        ({"running": {"startedAt": "2026-01-02T03:04:05Z"}}, 137),
        (
            {
                "terminated": {
                    "exitCode": 3,
                    "reason": "Error",
                    "startedAt": "2026-01-02T03:04:05Z",
                    "finishedAt": "2026-01-02T03:04:06Z",
                }
            },
            3,
        ),
    ],
)
def test_a_restarted_node_counts_on_from_the_status(state: dict[str, Any], exit_code: int) -> None:
    status = {"name": "main", "containerID": "process://abc", "restartCount": 4, "state": state}
    pod = {**_POD, "status": {"containerStatuses": [status]}}
    history = container_history(pod, "containerStatuses", "main")
    assert history.restarts == 5
    assert history.last is not None
    assert history.last.exit_code == exit_code


def test_a_container_that_never_ran_has_no_history() -> None:
    history = container_history(_POD, "containerStatuses", "main")
    assert (history.restarts, history.last) == (0, None)
