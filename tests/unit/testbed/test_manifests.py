from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.testbed.manifests import (
    LIVE,
    LIVE_DIRECTORY,
    GoContainer,
    SampleService,
    horizontal_pod_autoscaler,
    live_config_map,
)


def _pod(workload: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def _env(container: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_a_stateful_set_has_the_service_that_stands_before_it() -> None:
    sample = SampleService(
        name="db",
        kind="StatefulSet",
        strategy={"rollingUpdate": {"partition": 1}},
    )
    workload, service = sample.manifests()
    assert workload["kind"] == "StatefulSet"
    assert workload["spec"]["serviceName"] == service["metadata"]["name"]
    assert workload["spec"]["updateStrategy"] == {"rollingUpdate": {"partition": 1}}
    assert sample.reference == "statefulset/db"


def test_each_container_has_a_port_and_probes_of_its_own() -> None:
    sample = SampleService(
        name="web",
        further_containers=[GoContainer(name="second", port=8090, memory_limit=None)],
        sidecars=[GoContainer(name="proxy", port=8091)],
    )
    pod = _pod(sample.manifests()[0])
    second, proxy = pod["containers"][1], pod["initContainers"][0]
    assert second["ports"] == [{"name": "second", "containerPort": 8090}]
    assert second["readinessProbe"]["httpGet"]["port"] == "second"
    assert "limits" not in second["resources"]
    assert _env(proxy)["PORT"] == "8091"
    assert proxy["restartPolicy"] == "Always"


def test_a_live_service_is_told_where_its_config_map_is() -> None:
    workload, _ = SampleService(name="web", live_config_map="web-live").manifests()
    pod = _pod(workload)
    container = pod["containers"][0]
    assert workload["metadata"]["annotations"] == {LIVE: "web-live"}
    assert _env(container)["LIVE_CONFIG_DIR"] == LIVE_DIRECTORY
    assert container["volumeMounts"][0]["mountPath"] == LIVE_DIRECTORY
    assert pod["volumes"][0]["configMap"] == {"name": "web-live", "optional": True}
    config_map = live_config_map("web-live", "default", {"BARRIER": "8"})
    assert config_map["metadata"]["labels"] == {LIVE: "true"}
    assert config_map["data"] == {"BARRIER": "8"}


@pytest.mark.parametrize(
    ("cpu_limit", "environment", "gomaxprocs"),
    [
        (None, {}, None),
        ("1", {}, {"resourceFieldRef": {"resource": "limits.cpu"}}),
        ("1", {"GOMAXPROCS": "2"}, "2"),
    ],
)
def test_gomaxprocs_follows_the_cpu_limit_unless_it_is_set(
    cpu_limit: str | None, environment: dict[str, str], gomaxprocs: object
) -> None:
    sample = SampleService(name="web", cpu_limit=cpu_limit, environment=environment)
    container = _pod(sample.manifests()[0])["containers"][0]
    assert _env(container).get("GOMAXPROCS") == gomaxprocs
    assert container["resources"].get("limits", {}).get("cpu") == cpu_limit


@pytest.mark.parametrize(
    ("container", "kind", "key"),
    [(None, "Resource", "resource"), ("app", "ContainerResource", "containerResource")],
)
def test_an_autoscaler_follows_a_pod_or_one_container(
    container: str | None, kind: str, key: str
) -> None:
    service = SampleService(name="db", kind="StatefulSet")
    autoscaler = horizontal_pod_autoscaler(
        service, resource="memory", utilization_percent=70, container=container, replicas=(2, 5)
    )
    spec = autoscaler["spec"]
    (metric,) = spec["metrics"]
    assert (spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]) == ("StatefulSet", "db")
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    assert metric["type"] == kind
    assert metric[key]["name"] == "memory"
    assert metric[key]["target"]["averageUtilization"] == 70
    assert metric[key].get("container") == container
