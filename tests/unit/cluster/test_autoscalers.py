from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.unit.cluster.objects import deployment
from tuner.cluster.autoscalers import (
    Autoscalers,
    Horizontal,
    Vertical,
    read_horizontal,
    read_vertical,
)
from tuner.model.workload import Autoscaling, Container, Kind, Rollout, Workload, WorkloadKey

WEB = WorkloadKey("shop", Kind.DEPLOYMENT, "web")
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
WORKLOAD = Workload(
    key=WEB,
    uid="uid-web",
    resource_version="1",
    generation=1,
    containers=(Container("app"), Container("side")),
    rollout=Rollout.COMPLETE,
    replicas=2,
    ready_replicas=2,
    template_digest="d",
)


def metadata() -> dict[str, Any]:
    return {"name": "grow", "namespace": "shop", "resourceVersion": "10"}


def hpa(*metrics: dict[str, Any], target: dict[str, str] | None = None) -> dict[str, Any]:
    """A HorizontalPodAutoscaler of the Deployment ``shop/web``."""
    return {
        "metadata": metadata(),
        "spec": {
            "scaleTargetRef": {**TARGET, **(target or {})},
            "maxReplicas": 9,
            "metrics": metrics,
        },
    }


def metric(name: str, kind: str = "Resource", **target: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    field = kind[0].lower() + kind[1:]
    return {"type": kind, field: {"name": name, "target": {"type": "Utilization", **target}}}


def vpa(
    *policies: dict[str, Any], mode: str | None = None, target: dict[str, str] | None = None
) -> dict[str, Any]:
    """A VerticalPodAutoscaler of the Deployment ``shop/web``."""
    spec: dict[str, Any] = {"targetRef": {**TARGET, **(target or {})}}
    if mode is not None:
        spec["updatePolicy"] = {"updateMode": mode}
    if policies:
        spec["resourcePolicy"] = {"containerPolicies": policies}
    return {"metadata": metadata(), "spec": spec}


def horizontal(raw: dict[str, Any]) -> Horizontal | None:
    return read_horizontal(json.dumps(raw).encode()).value


def vertical(raw: dict[str, Any]) -> Vertical | None:
    return read_vertical(json.dumps(raw).encode()).value


def test_a_memory_target_is_a_share_of_the_request() -> None:
    raw = hpa(metric("cpu", averageUtilization=60), metric("memory", averageUtilization=75))
    assert horizontal(raw) == Horizontal(WEB, 0.75)


def test_a_target_of_one_container_counts_and_the_lowest_wins() -> None:
    of_container = metric("memory", "ContainerResource", averageUtilization=70)
    of_pod = metric("memory", averageUtilization=80)
    assert horizontal(hpa(of_pod, of_container)) == Horizontal(WEB, 0.7)


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        [metric("cpu", averageUtilization=60)],
        [metric("memory", averageValue="500Mi")],
        [{"type": "Pods", "pods": {"metric": {"name": "memory"}, "target": {}}}],
    ],
)
def test_without_a_memory_target_it_is_not_seen(metrics: list[dict[str, Any]]) -> None:
    assert horizontal(hpa(*metrics)) is None


def test_an_autoscaler_of_a_stateful_set_is_seen() -> None:
    target = {"kind": "StatefulSet", "name": "db"}
    key = WorkloadKey("shop", Kind.STATEFUL_SET, "db")
    scales = horizontal(hpa(metric("memory", averageUtilization=50), target=target))
    assert scales == Horizontal(key, 0.5)
    assert vertical(vpa(target=target)) == Vertical(key, "grow", {})


@pytest.mark.parametrize(
    "target",
    [{"kind": "ReplicaSet"}, {"apiVersion": "argoproj.io/v1alpha1"}, {"kind": "DaemonSet"}],
)
def test_an_autoscaler_of_anything_else_is_not_seen(target: dict[str, str]) -> None:
    assert horizontal(hpa(metric("memory", averageUtilization=75), target=target)) is None
    assert vertical(vpa(target=target)) is None


@pytest.mark.parametrize("mode", [None, "Auto", "Initial", "Recreate", "InPlaceOrRecreate"])
def test_a_vertical_autoscaler_that_sets_what_it_recommends_is_seen(mode: str | None) -> None:
    assert vertical(vpa(mode=mode)) == Vertical(WEB, "grow", {})


def test_a_vertical_autoscaler_that_only_recommends_is_not_seen() -> None:
    assert vertical(vpa(mode="Off")) is None


def test_a_vertical_autoscaler_without_a_target_is_not_seen() -> None:
    assert vertical({"metadata": metadata(), "spec": {}}) is None


@pytest.mark.parametrize(
    ("policies", "sets"),
    [
        ([], True),
        ([{"containerName": "*"}], True),
        ([{"containerName": "*", "controlledResources": ["cpu", "memory"]}], True),
        ([{"containerName": "*", "controlledResources": ["cpu"]}], False),
        ([{"containerName": "*", "mode": "Off"}], False),
        ([{"containerName": "app", "controlledResources": ["cpu"]}], True),
        (
            [
                {"containerName": "app", "controlledResources": ["cpu"]},
                {"containerName": "side", "mode": "Off"},
            ],
            False,
        ),
        (
            [
                {"containerName": "*", "mode": "Off"},
                {"containerName": "app", "controlledResources": ["memory"]},
            ],
            True,
        ),
        (
            [
                {"containerName": "*", "controlledResources": ["cpu"]},
                {"containerName": "gone", "controlledResources": ["memory"]},
            ],
            False,
        ),
    ],
)
def test_memory_is_set_where_the_policy_of_some_container_says_so(
    policies: list[dict[str, Any]], *, sets: bool
) -> None:
    found = vertical(vpa(*policies))
    assert found is not None
    assert found.sets_memory(["app", "side"]) is sets


def test_a_workload_has_the_lowest_target_and_the_autoscaler_that_sets_its_memory() -> None:
    of_cpu = Vertical(WEB, "a-cpu", {"*": False})
    seen = Autoscalers(
        {WEB: [Horizontal(WEB, 0.8), Horizontal(WEB, 0.7)]},
        {WEB: [of_cpu, Vertical(WEB, "grow", {})]},
    )
    assert seen.of(WORKLOAD) == Autoscaling(memory_request_target=0.7, vertical="grow")


def test_a_workload_without_autoscalers_has_none() -> None:
    seen = Autoscalers({WEB: [Horizontal(WEB, 0.8)]}, {WEB: [Vertical(WEB, "grow", {})]})
    other = replace(WORKLOAD, key=WorkloadKey("shop", Kind.DEPLOYMENT, "other"))
    assert seen.of(other) == Autoscaling()


@pytest.mark.parametrize(
    "raw",
    [hpa(metric("memory", averageUtilization=0)), deployment(spec={"scaleTargetRef": "web"})],
)
def test_what_is_no_horizontal_autoscaler_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        horizontal(raw)


def test_what_is_no_vertical_autoscaler_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        vertical({"metadata": metadata(), "spec": {"targetRef": "web"}})
