from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.unit.cluster.objects import deployment, managed, stateful_set
from tuner.cluster.workload import read_workload
from tuner.model.workload import Container, EnvEntry, Kind, Rollout, Workload, WorkloadKey


def read(raw: dict[str, Any]) -> Workload:
    workload = read_workload(Kind(raw["kind"]), json.dumps(raw).encode()).value
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
    item = read_workload(Kind.DEPLOYMENT, json.dumps(deployment(version=77)).encode())
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


@pytest.mark.parametrize(
    ("rollout", "metadata", "spec", "status"),
    [
        (Rollout.COMPLETE, {}, {}, {}),
        (
            Rollout.COMPLETE,
            {},
            {"replicas": 0},
            {"replicas": 0, "updatedReplicas": 0, "readyReplicas": 0},
        ),
        (Rollout.COMPLETE, {}, {"updateStrategy": {"type": "RollingUpdate"}}, {}),
        (Rollout.IN_PROGRESS, {"generation": 4}, {}, {}),
        (Rollout.IN_PROGRESS, {}, {}, {"updateRevision": "db-2"}),
        (Rollout.IN_PROGRESS, {}, {}, {"updatedReplicas": 1}),
        (Rollout.IN_PROGRESS, {}, {}, {"readyReplicas": 1}),
        (Rollout.IN_PROGRESS, {}, {}, {"replicas": 3}),
        (Rollout.PAUSED, {}, {"updateStrategy": {"type": "OnDelete"}}, {}),
        (Rollout.PAUSED, {}, {"updateStrategy": {"rollingUpdate": {"partition": 1}}}, {}),
    ],
)
def test_where_the_rollout_of_a_stateful_set_stands(
    rollout: Rollout, metadata: dict[str, Any], spec: dict[str, Any], status: dict[str, Any]
) -> None:
    assert read(stateful_set(metadata=metadata, spec=spec, status=status)).rollout is rollout


def test_a_stateful_set_that_is_stuck_is_not_failing_because_it_has_no_deadline() -> None:
    assert read(stateful_set(status=STUCK)).rollout is Rollout.IN_PROGRESS


def test_a_stateful_set_without_status_is_on_its_way() -> None:
    raw = stateful_set()
    del raw["status"]
    assert read(raw).rollout is Rollout.IN_PROGRESS


def test_all_that_tuning_needs_of_a_stateful_set_is_read() -> None:
    workload = read(
        stateful_set(
            version=77,
            env=[{"name": "GOGC", "value": "200"}],
            metadata={
                "labels": {"gc-tuner.io/mode": "auto"},
                "managedFields": [managed("gc-tuner", "app", "GOGC")],
            },
            status={"readyReplicas": 1},
        )
    )
    assert workload.key == WorkloadKey("shop", Kind.STATEFUL_SET, "db")
    assert (workload.uid, workload.resource_version, workload.generation) == ("uid-db", "77", 3)
    assert workload.containers[0].env == {"GOGC": EnvEntry("200", owners=("gc-tuner",))}
    assert (workload.replicas, workload.ready_replicas) == (2, 1)
    assert workload.label_mode == "auto"


def rolling(surge: int | str) -> dict[str, Any]:
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge}}}


@pytest.mark.parametrize(
    ("surges", "spec"),
    [
        (True, {}),
        (True, rolling("25%")),
        (True, rolling("1%")),
        (True, rolling(1)),
        (False, rolling(0)),
        (False, rolling("0%")),
        (False, {**rolling("25%"), "replicas": 0}),
        (False, {"strategy": {"type": "Recreate"}}),
    ],
)
def test_a_rollout_surges_where_at_least_one_pod_may_come_first(
    surges: bool, spec: dict[str, Any]
) -> None:
    assert read(deployment(spec=spec)).surges is surges


def test_a_stateful_set_never_surges() -> None:
    assert not read(stateful_set()).surges


def queue(name: str, *env: dict[str, Any], **metadata: Any) -> Workload:  # noqa: ANN401 - JSON
    """A Deployment whose annotation ``barrier-env`` says a name."""
    annotations = {"gc-tuner.io/barrier-env": name}
    return read(deployment(env=list(env), metadata={"annotations": annotations, **metadata}))


def test_the_entry_that_the_annotation_names_is_the_barrier() -> None:
    owned = [managed("gc-tuner", "app", "MAX_IN_FLIGHT")]
    found = queue("MAX_IN_FLIGHT", {"name": "MAX_IN_FLIGHT", "value": "64"}, managedFields=owned)
    assert found.containers[0].env == {"BARRIER": EnvEntry("64", owners=("gc-tuner",))}


def test_without_the_annotation_no_entry_is_the_barrier() -> None:
    raw = deployment(env=[{"name": "BARRIER", "value": "64"}])
    assert read(raw).containers[0].env == {}


@pytest.mark.parametrize("name", ["", "1ST", "A B", "A=B", "GOGC", "GOMEMLIMIT", "A\n"])
def test_a_name_that_no_entry_can_have_leaves_the_barrier_out(name: str) -> None:
    found = queue(name, {"name": name, "value": "64"}, {"name": "BARRIER", "value": "64"})
    assert "BARRIER" not in found.containers[0].env


def test_the_digest_does_not_move_with_the_barrier() -> None:
    one, two = ({"name": "MAX_IN_FLIGHT", "value": value} for value in ("64", "80"))
    digest = queue("MAX_IN_FLIGHT").template_digest
    assert digest == queue("MAX_IN_FLIGHT", one).template_digest
    assert digest == queue("MAX_IN_FLIGHT", two).template_digest
    assert digest != queue("OTHER", one).template_digest


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
        deployment(spec={"strategy": {"rollingUpdate": {"maxSurge": "a quarter"}}}),
        {"kind": "Status"},
    ],
)
def test_what_is_no_deployment_is_an_error(raw: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        read_workload(Kind.DEPLOYMENT, json.dumps(raw).encode())
