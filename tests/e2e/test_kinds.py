"""Workloads of every make: which are tuned, what of them, and which are left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stage import (
    CLEAR,
    LIGHT,
    ONE_STEP,
    SERVICE,
    SLOWER,
    STAYED,
    deployed,
    taken_back,
    tenant,
)
from tests.e2e.testbed.manifests import APP_CONTAINER, GoContainer, horizontal_pod_autoscaler
from tests.e2e.testbed.operator import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster

BRISK: Mapping[str, Any] = {"trial": {"windows": 2, "requests": 50, "patience": 4}}
MIB = 2**20
HELPER, SIDECAR = "helper", "proxy"
OWN_LIMIT = "40MiB"
BUSIEST = "web-0"
EXTRA_LOAD = "extra-load"
# The heap grows by less than 1 MB/s: with GOGC=off it takes minutes to fill its container.
SLOW: Mapping[str, str] = {
    **LIGHT,
    "GOGC": "off",
    "GARBAGE_BYTES_PER_REQUEST": "64Ki",
}


def _second(name: str, port: int) -> GoContainer:
    return GoContainer(name=name, port=port, environment={"LIVE_HEAP_BYTES": "1Mi"})


def _with_autoscaler(described: Tenant, **options: Any) -> Tenant:  # noqa: ANN401 - passed on
    autoscaler = horizontal_pod_autoscaler(described.service, replicas=(2, 4), **options)
    return replace(described, objects=[autoscaler])


def _uneven(described: Tenant) -> Tenant:
    """A Service in front of one pod of the StatefulSet, for a load that the other does not get."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": BUSIEST, "namespace": described.namespace},
        "spec": {
            "selector": {"statefulset.kubernetes.io/pod-name": BUSIEST},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }
    return replace(described, objects=[service])


@pytest.fixture(scope="module")
def tenants(cluster: Cluster) -> Iterator[Mapping[str, Tenant]]:
    stage = {
        "stateful": _uneven(tenant(cluster, "stateful", rate=20, kind="StatefulSet")),
        "harmed": tenant(cluster, "harmed", {**LIGHT, **SLOWER}, rate=20, kind="StatefulSet"),
        "several": tenant(
            cluster,
            "several",
            rate=20,
            further_containers=[_second(HELPER, 9090)],
            sidecars=[_second(SIDECAR, 9091)],
        ),
        "off": tenant(cluster, "off", SLOW, rate=8, memory_request="128Mi", memory_limit="160Mi"),
        "limited": tenant(cluster, "limited", {**LIGHT, "GOMEMLIMIT": OWN_LIMIT}, rate=20),
        "unlimited": tenant(cluster, "unlimited", rate=20, mode="recommend"),
        "in-process": tenant(cluster, "in-process", {**LIGHT, "SET_GC_PERCENT": "300"}, rate=20),
        "scaled-by-cpu": _with_autoscaler(
            tenant(cluster, "scaled-by-cpu", rate=20, memory_limit=None), resource="cpu"
        ),
        "scaled-by-memory": _with_autoscaler(
            tenant(
                cluster,
                "scaled-by-memory",
                {**LIGHT, "LIVE_HEAP_BYTES": "8Mi"},
                rate=20,
                memory_request="64Mi",
                memory_limit=None,
            ),
            resource="memory",
            utilization_percent=50,
        ),
    }
    with deployed(stage) as running:
        yield running


def test_gogc_off_stays_off_and_gets_a_memory_limit_behind_it(
    tenants: Mapping[str, Tenant],
) -> None:
    off = tenants["off"]
    cluster = off.cluster
    with off.operated(settings=BRISK) as operator:
        cluster.wait_for(lambda: "GOMEMLIMIT" in off.env(), "GOMEMLIMIT")
        assert off.env()["GOGC"] == "off"
        # Only a collection shows that the limit works, and without GOGC it takes a full heap.
        off.add_load("surge", 300)
        cluster.wait_for(lambda: operator.reason(SERVICE) == "gogc_off", "Hold(gogc_off)")
        assert "GOMEMLIMIT alone bounds the heap" in operator.record(SERVICE)["message"]
        off.remove_load("surge")
        assert off.env()["GOGC"] == "off"
        assert set(off.starts().values()) == {0}
        names = {each["name"] for each in operator.record(SERVICE)["applied"]["settings"]}
        assert names == {"GOMEMLIMIT"}


def test_a_stateful_set_of_unequal_pods_is_judged_by_all_of_them_and_gets_one_value(
    tenants: Mapping[str, Tenant],
) -> None:
    stateful = tenants["stateful"]
    cluster = stateful.cluster
    stateful.add_load(EXTRA_LOAD, 60, service=BUSIEST)
    with stateful.operated(settings=ONE_STEP) as operator:
        cluster.wait_for(lambda: "history" in operator.record(SERVICE), "a verdict")
        record = operator.record(SERVICE)
        assert record["history"][0]["verdict"] in STAYED
        observed, window = record["observed"], QUICK["rateWindow"]
        at = datetime.fromisoformat(observed["at"]).timestamp()
        rates = stateful.by_pod(
            f'sum by(pod)(rate(http_requests_total{{$pods,code="200"}}[{window}] @ {at:.3f}))'
        )
        assert set(rates) == {"web-0", "web-1"}
        assert rates["web-0"] > 2 * rates["web-1"], "the pods are unequal"
        assert observed["requestsPerSecond"] > 1.1 * rates["web-0"]
        stateful.cluster.wait_for(
            lambda: stateful.by_pod("go_gc_gogc_percent{$pods}") == {"web-0": 200, "web-1": 200},
            "GOGC 200 in force in both pods",
        )
        assert operator.writes("deployments") == []
        assert {event.name for event in operator.writes("statefulsets")} == {SERVICE}


def test_a_stateful_set_that_a_change_has_harmed_gets_back_what_stood_there(
    tenants: Mapping[str, Tenant],
) -> None:
    harmed = tenants["harmed"]
    before = harmed.env()
    with harmed.operated(settings=CLEAR) as operator:
        harmed.cluster.wait_for(lambda: taken_back(operator), "the rollback rolled out")
        assert "latency" in operator.record(SERVICE)["history"][0]["detail"]
        assert harmed.env() == before
        harmed.cluster.wait_for(
            lambda: harmed.by_pod("go_gc_gogc_percent{$pods}") == {"web-0": 100.0, "web-1": 100.0},
            "GOGC 100 in force in both pods",
        )


def test_of_two_go_containers_the_one_that_is_named_is_tuned_and_no_other_touched(
    tenants: Mapping[str, Tenant],
) -> None:
    several = tenants["several"]
    cluster = several.cluster
    others = {name: several.env(container=name) for name in (HELPER, SIDECAR)}
    with several.operated(settings=BRISK) as operator:
        cluster.wait_for(
            lambda: operator.reason(SERVICE) == "container_unclear", "Hold(container_unclear)"
        )
        message = operator.record(SERVICE)["message"]
        assert APP_CONTAINER in message
        assert HELPER in message
        assert SIDECAR not in message
        assert operator.writes("deployments") == []

        several.patch({"metadata": {"annotations": {"gc-tuner.io/container": APP_CONTAINER}}})
        cluster.wait_for(lambda: several.gogc_in_force() == {200.0}, "GOGC 200 in force")
        for name, env in others.items():
            assert several.env(container=name) == env
        several.cluster.wait_for(
            lambda: all(several.gogc_in_force(container=name) == {100.0} for name in others),
            "GOGC 100 in force in the other containers",
        )


def test_a_memory_limit_of_the_owners_stays_and_bounds_what_is_asked_for(
    tenants: Mapping[str, Tenant],
) -> None:
    limited, unlimited = tenants["limited"], tenants["unlimited"]
    cluster = limited.cluster
    with limited.operated(settings=BRISK) as operator:
        cluster.wait_for(lambda: "GOGC" in limited.env(), "GOGC")
        record = operator.record(SERVICE)
        assert limited.env()["GOMEMLIMIT"] == OWN_LIMIT
        (setting,) = record["trial"]["change"]["settings"]
        assert setting["name"] == "GOGC"
    live = record["observed"]["liveBytes"]
    most = 100 * (40 * MIB - live) / live
    assert record["recommended"]["gogc"] < most
    with unlimited.operated(settings=BRISK) as operator:
        cluster.wait_for(
            lambda: operator.record(SERVICE).get("recommended", {}).get("gogc", 0) > most,
            f"GOGC over {most:.0f} recommended where there is no such limit",
        )


def test_a_service_that_sets_gogc_itself_is_left_alone(tenants: Mapping[str, Tenant]) -> None:
    in_process = tenants["in-process"]
    with in_process.operated(settings=BRISK) as operator:
        in_process.cluster.wait_for(
            lambda: operator.reason(SERVICE) == "in_process_tuner", "Hold(in_process_tuner)"
        )
        assert "GOGC 300" in operator.record(SERVICE)["message"]
        assert operator.writes("deployments") == []


def test_an_autoscaler_by_cpu_is_no_obstacle(tenants: Mapping[str, Tenant]) -> None:
    scaled = tenants["scaled-by-cpu"]
    with scaled.operated(settings=BRISK):
        scaled.cluster.wait_for(lambda: scaled.env().get("GOGC") == "200", "GOGC")
    assert "GOMEMLIMIT" not in scaled.env(), "there is no memory limit to stand behind"


def test_an_autoscaler_by_memory_bounds_the_heap_and_is_named(
    tenants: Mapping[str, Tenant],
) -> None:
    scaled = tenants["scaled-by-memory"]
    with scaled.operated(settings=BRISK) as operator:
        scaled.cluster.wait_for(
            lambda: operator.reason(SERVICE) == "memory_bound", "Hold(memory_bound)"
        )
        assert "autoscaler's memory target of 32 MiB" in operator.record(SERVICE)["message"]
        assert operator.writes("deployments") == []
