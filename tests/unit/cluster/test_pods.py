from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tuner.cluster.pods import Pod, read_pod, running
from tuner.model.workload import Kind, Running, WorkloadKey

WEB = WorkloadKey("shop", Kind.DEPLOYMENT, "web")
MIB = 1 << 20
AT = "2026-01-01T00:00:00Z"
AT_SECONDS = 1767225600.0


def pod(
    *statuses: dict[str, Any],
    metadata: dict[str, Any] | None = None,
    owner: dict[str, Any] | None = None,
    phase: str = "Running",
    conditions: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A pod of the Deployment ``shop/web``."""
    replica_set = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9", "uid": "u"}
    return {
        "metadata": {
            "name": "web-5d9-x",
            "namespace": "shop",
            "uid": "uid-x",
            "resourceVersion": "7",
            "labels": {"app": "web", "pod-template-hash": "5d9"},
            "ownerReferences": [{**replica_set, "controller": True, **(owner or {})}],
            **(metadata or {}),
        },
        "spec": {"containers": [{"name": "app"}]},
        "status": {
            "phase": phase,
            "conditions": [
                {"type": kind, "status": status} for kind, status in (conditions or {}).items()
            ],
            "containerStatuses": list(statuses),
        },
    }


def app(memory: str | None = "512Mi", restarts: int = 0, **status: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The status of the container ``app``."""
    resources = {"resources": {"limits": {"memory": memory}}} if memory is not None else {}
    return {"name": "app", "restartCount": restarts, **resources, **status}


def terminated(reason: str, at: str | None) -> dict[str, Any]:
    return {"terminated": {"reason": reason, "exitCode": 137, "finishedAt": at}}


def read(raw: dict[str, Any]) -> Pod | None:
    return read_pod(json.dumps(raw).encode()).value


def of_app(*raws: dict[str, Any]) -> Running:
    """What some pods say of the container ``app``."""
    pods = [found for found in map(read, raws) if found is not None]
    return running(pods).get("app", Running())


def test_a_pod_of_a_replica_set_belongs_to_the_deployment_that_made_it() -> None:
    found = read(pod())
    assert found is not None
    assert found.workload == WEB


def test_a_pod_of_a_stateful_set_belongs_to_it() -> None:
    found = read(pod(owner={"kind": "StatefulSet", "name": "db"}))
    assert found is not None
    assert found.workload == WorkloadKey("shop", Kind.STATEFUL_SET, "db")


@pytest.mark.parametrize(
    "owner",
    [
        {"kind": "DaemonSet", "name": "agent"},
        {"apiVersion": "batch/v1", "kind": "Job", "name": "web-5d9"},
        {"apiVersion": "example.org/v1", "name": "web-5d9"},
        {"controller": False},
        {"name": "web"},
        {"name": "-5d9"},
        {"name": "web-777"},
    ],
)
def test_a_pod_that_anything_else_controls_belongs_to_no_workload(owner: dict[str, Any]) -> None:
    assert read(pod(owner=owner)) is None


@pytest.mark.parametrize("metadata", [{"labels": {}}, {"ownerReferences": []}])
def test_a_pod_without_hash_or_owner_belongs_to_no_workload(metadata: dict[str, Any]) -> None:
    assert read(pod(metadata=metadata)) is None


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_not_seen(phase: str) -> None:
    assert read(pod(app(), phase=phase)) is None


def test_the_item_has_the_pods_name_and_version() -> None:
    item = read_pod(json.dumps(pod()).encode())
    assert (item.key, item.version) == (("shop", "web-5d9-x"), 7)


def test_a_pod_that_was_just_made_says_nothing_of_its_containers() -> None:
    found = read({"metadata": pod()["metadata"]})
    assert found is not None
    assert running([found]) == {}


def test_the_smallest_limit_in_force_counts() -> None:
    assert of_app(pod(app("512Mi")), pod(app("400Mi")), pod(app(None))).memory_limit_bytes == (
        400 * MIB
    )


def test_a_terminating_pod_does_not_bound_memory() -> None:
    leaving = pod(app("256Mi"), metadata={"deletionTimestamp": AT})
    assert of_app(pod(app("512Mi")), leaving).memory_limit_bytes == 512 * MIB


@pytest.mark.parametrize("status", [app(None), app("0"), app(None, resources={})])
def test_no_limit_is_none(status: dict[str, Any]) -> None:
    assert of_app(pod(status)).memory_limit_bytes is None


@pytest.mark.parametrize(
    ("conditions", "resizing"),
    [
        ({"PodResizePending": "True"}, True),
        ({"PodResizeInProgress": "True"}, True),
        ({"PodResizeInProgress": "False"}, False),
        ({"Ready": "True"}, False),
    ],
)
def test_a_resize_that_is_pending_or_in_progress_is_told(
    conditions: dict[str, str], resizing: bool
) -> None:
    assert of_app(pod(app()), pod(app(), conditions=conditions)).resizing is resizing


def test_a_resize_of_a_terminating_pod_is_not_waited_for() -> None:
    leaving = pod(
        app(), metadata={"deletionTimestamp": AT}, conditions={"PodResizePending": "True"}
    )
    assert not of_app(pod(app()), leaving).resizing


def test_restarts_are_summed_over_all_pods() -> None:
    leaving = pod(app(restarts=3), metadata={"deletionTimestamp": AT})
    assert of_app(pod(app(restarts=1)), pod(app(restarts=2)), leaving).restarts == 6


def test_the_newest_oom_kill_is_told() -> None:
    earlier = app(lastState=terminated("OOMKilled", "2025-12-31T23:00:00Z"))
    latest = app(lastState=terminated("OOMKilled", AT))
    assert of_app(pod(latest), pod(earlier), pod(app())).oom_killed_at == AT_SECONDS


def test_an_oom_kill_after_which_it_was_not_started_again_counts() -> None:
    status = app(
        state=terminated("OOMKilled", AT), lastState=terminated("OOMKilled", "2025-12-31T23:00:00Z")
    )
    assert of_app(pod(status)).oom_killed_at == AT_SECONDS


def test_an_oom_kill_in_a_terminating_pod_counts() -> None:
    status = app(lastState=terminated("OOMKilled", AT))
    assert of_app(pod(status, metadata={"deletionTimestamp": AT})).oom_killed_at == AT_SECONDS


@pytest.mark.parametrize("ended", [terminated("Error", AT), terminated("OOMKilled", None)])
def test_another_end_or_one_without_a_time_is_no_oom_kill(ended: dict[str, Any]) -> None:
    assert of_app(pod(app(lastState=ended))).oom_killed_at is None


def test_pods_in_a_crash_loop_are_counted() -> None:
    crashing = app(state={"waiting": {"reason": "CrashLoopBackOff"}})
    starting = app(state={"waiting": {"reason": "ContainerCreating"}})
    leaving = pod(crashing, metadata={"deletionTimestamp": AT})
    assert of_app(pod(crashing), pod(crashing), pod(starting), leaving).crashing_pods == 2


def test_containers_are_told_apart() -> None:
    found = read(pod(app("512Mi"), {"name": "side", "restartCount": 4}))
    assert found is not None
    assert running([found]) == {
        "app": Running(memory_limit_bytes=512 * MIB),
        "side": Running(restarts=4),
    }


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (pod(app("lots")), "'lots' is not a quantity"),
        (pod(app(lastState=terminated("OOMKilled", "yesterday"))), "finishedAt"),
        (pod(app(lastState=terminated("OOMKilled", "2026-01-01T00:00:00"))), "finishedAt"),
        ({"metadata": {}}, "name"),
    ],
)
def test_a_pod_that_cannot_be_read_says_why(raw: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError), match=words):
        read_pod(json.dumps(raw).encode())
