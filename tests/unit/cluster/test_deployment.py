from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.unit.cluster.objects import deployment, managed
from tuner.cluster.deployment import read_deployment
from tuner.model.workload import Container, EnvEntry, Kind, Rollout, Workload, WorkloadKey


def read(raw: dict[str, Any]) -> Workload:
    workload = read_deployment(json.dumps(raw).encode()).value
    assert workload is not None
    return workload


def gogc(*entries: dict[str, Any], **metadata: Any) -> EnvEntry | None:  # noqa: ANN401 - JSON
    container = read(deployment(env=list(entries), metadata=metadata)).container("app")
    assert container is not None
    return container.env.get("GOGC")


def test_all_that_tuning_needs_is_read() -> None:
    raw = deployment(
        version=77,
        env=[{"name": "A", "value": "b"}, {"name": "GOMEMLIMIT", "value": "700MiB"}],
        resources={"limits": {"memory": "1Gi", "cpu": "2"}, "requests": {"memory": "512Mi"}},
        metadata={
            "labels": {"gc-tuner.io/mode": "auto", "app": "web"},
            "annotations": {
                "gc-tuner.io/profile": "critical",
                "kubernetes.io/change-cause": "release 7",
                "other": "x",
            },
        },
        status={"readyReplicas": 1},
    )
    workload = read(raw)
    assert workload.key == WorkloadKey("shop", Kind.DEPLOYMENT, "web")
    assert (workload.uid, workload.resource_version, workload.generation) == ("uid-web", "77", 3)
    assert workload.containers == (
        Container("app", 1 << 30, 512 << 20, {"GOMEMLIMIT": EnvEntry("700MiB")}),
        Container("side"),
    )
    assert (workload.replicas, workload.ready_replicas) == (2, 1)
    assert workload.label_mode == "auto"
    assert workload.annotations == {"profile": "critical"}
    assert workload.change_cause == "release 7"


def test_the_item_has_the_objects_version() -> None:
    item = read_deployment(json.dumps(deployment(version=77)).encode())
    assert (item.key.name, item.version) == ("web", 77)


@pytest.mark.parametrize("container", [{}, {"limits": {"cpu": "1"}}, {"limits": {"memory": "0"}}])
def test_no_limit_is_none(container: dict[str, Any]) -> None:
    assert read(deployment(resources=container)).containers[0].memory_limit_bytes is None


def test_env_entries_are_told_apart() -> None:
    reference = {"name": "GOGC", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}
    assert gogc() is None
    assert gogc({"name": "GOGC", "value": "50"}) == EnvEntry("50")
    assert gogc({"name": "GOGC"}) == EnvEntry("")
    assert gogc(reference) == EnvEntry(None)
    twice = ({"name": "GOGC", "value": "50"}, {"name": "GOGC", "value": "80"})
    assert gogc(*twice) == EnvEntry("80", count=2)


def test_owners_are_the_managers_that_hold_the_entry() -> None:
    fields = [
        managed("kubectl", "app", "A"),
        managed("helm", "app", "A", "GOGC"),
        managed("gc-tuner", "app", "GOGC"),
        managed("elsewhere", "side", "GOGC"),
        managed("kubelet", "app", "GOGC", subresource="status"),
        {"manager": "odd", "fieldsV1": {"f:metadata": {"f:annotations": {"f:GOGC": {}}}}},
        {"manager": "empty"},
    ]
    entry = gogc({"name": "GOGC", "value": "50"}, managedFields=fields)
    assert entry == EnvEntry("50", owners=("gc-tuner", "helm"))


@pytest.mark.parametrize(
    ("rollout", "metadata", "spec", "status"),
    [
        (Rollout.COMPLETE, {}, {}, {}),
        (Rollout.COMPLETE, {}, {"replicas": 0}, {"replicas": 0, "updatedReplicas": 0}),
        (Rollout.IN_PROGRESS, {"generation": 4}, {}, {}),
        (Rollout.IN_PROGRESS, {}, {}, {"updatedReplicas": 1}),
        (Rollout.IN_PROGRESS, {}, {}, {"replicas": 3}),
        (Rollout.IN_PROGRESS, {}, {}, {"availableReplicas": 1}),
        (Rollout.PAUSED, {}, {"paused": True}, {}),
        (Rollout.PAUSED, {"generation": 4}, {"paused": True}, {}),
    ],
)
def test_where_a_rollout_stands(
    rollout: Rollout, metadata: dict[str, Any], spec: dict[str, Any], status: dict[str, Any]
) -> None:
    assert read(deployment(metadata=metadata, spec=spec, status=status)).rollout is rollout


STUCK = {
    "updatedReplicas": 1,
    "conditions": [
        {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
    ],
}


def test_past_its_deadline_a_rollout_is_failing() -> None:
    assert read(deployment(status=STUCK)).rollout is Rollout.FAILING


def test_a_new_rollout_is_not_failing_because_the_last_one_did() -> None:
    assert read(deployment(status=STUCK, metadata={"generation": 4})).rollout is Rollout.IN_PROGRESS


def test_a_deployment_without_status_is_on_its_way() -> None:
    raw = deployment()
    del raw["status"]
    assert read(raw).rollout is Rollout.IN_PROGRESS


def test_the_digest_does_not_move_with_the_tuned_names() -> None:
    other = {"name": "A", "value": "b"}
    tuned = [{"name": "GOGC", "value": "200"}, {"name": "GOMEMLIMIT", "value": "1MiB"}]
    assert read(deployment(env=tuned)).template_digest == read(deployment()).template_digest
    assert (
        read(deployment(env=[*tuned, other])).template_digest
        == read(deployment(env=[other])).template_digest
    )


@pytest.mark.parametrize(
    "changed",
    [
        deployment(env=[{"name": "A", "value": "b"}]),
        deployment(resources={"limits": {"memory": "1Gi"}}),
        deployment("api"),
    ],
)
def test_the_digest_moves_with_the_rest_of_the_template(changed: dict[str, Any]) -> None:
    assert read(changed).template_digest != read(deployment()).template_digest


def test_the_digest_does_not_move_with_the_order_of_keys() -> None:
    raw = deployment(env=[{"name": "A", "value": "b"}])
    turned = json.loads(json.dumps(raw), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert read(turned).template_digest == read(raw).template_digest


@pytest.mark.parametrize(
    "raw",
    [
        deployment(resources={"limits": {"memory": "NaN"}}),
        deployment(metadata={"resourceVersion": None}),
        {"kind": "Status"},
    ],
)
def test_what_is_no_deployment_is_an_error(raw: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        read_deployment(json.dumps(raw).encode())
