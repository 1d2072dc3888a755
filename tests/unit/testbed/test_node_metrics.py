from __future__ import annotations

from typing import Any

from tests.e2e.testbed.node.cadvisor import ContainerUsage, cadvisor_families
from tests.e2e.testbed.node.exposition import Family, Sample, render
from tests.e2e.testbed.node.kube_state import kube_state_families

_USAGE = ContainerUsage(
    namespace="shop",
    pod="web-1",
    pod_uid="u1",
    quality="Burstable",
    container="app",
    container_id="c1",
    image="testbed/service",
    resident_bytes=3000,
    anonymous_bytes=2000,
    cpu_seconds=1.5,
    started_at=1.0,
    memory_limit_bytes=4000,
    cpu_limit_cores=0.5,
    out_of_memory_kills=1,
)
_POD: dict[str, Any] = {
    "metadata": {
        "namespace": "shop",
        "name": "web-1",
        "uid": "u1",
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": True}],
    },
    "spec": {
        "nodeName": "node-1",
        "containers": [{"name": "app", "resources": {"limits": {"cpu": "500m", "memory": "1Ki"}}}],
    },
    "status": {
        "phase": "Running",
        "podIP": "127.1.0.1",
        "hostIP": "127.0.0.1",
        "containerStatuses": [
            {
                "name": "app",
                "restartCount": 2,
                "lastState": {"terminated": {"reason": "OOMKilled"}},
            }
        ],
    },
}


def _lines(families: list[Family], name: str) -> list[str]:
    return [line for line in render(families).splitlines() if line.startswith(f"{name}{{")]


def test_labels_are_escaped_and_times_are_milliseconds() -> None:
    samples = [Sample({"a": 'x"y\\z\n'}, 1.5, 2.0), Sample({}, 3.0)]
    assert render([Family("m", "gauge", "Help.", samples)]).splitlines() == [
        "# HELP m Help.",
        "# TYPE m gauge",
        'm{a="x\\"y\\\\z\\n"} 1.5 2000',
        "m{} 3.0",
    ]


def test_a_container_is_labelled_as_by_cadvisor() -> None:
    assert _lines(cadvisor_families([_USAGE], 5.0), "container_spec_memory_limit_bytes") == [
        (
            'container_spec_memory_limit_bytes{container="app",'
            'id="/kubepods/burstable/podu1/c1",image="testbed/service",name="c1",'
            'namespace="shop",pod="web-1"} 4000.0 5000'
        )
    ]


def test_the_working_set_holds_mapped_files_and_rss_does_not() -> None:
    families = cadvisor_families([_USAGE], 5.0)
    (_, working_set) = _lines(families, "container_memory_working_set_bytes")
    (_, resident) = _lines(families, "container_memory_rss")
    assert working_set.endswith(" 3000.0 5000")
    assert resident.endswith(" 2000.0 5000")


def test_a_pod_as_a_whole_has_a_series_without_a_container_name() -> None:
    other = ContainerUsage(**{**vars(_USAGE), "container": "sidecar", "container_id": "c2"})
    families = cadvisor_families([_USAGE, other], 5.0)
    whole, *_ = _lines(families, "container_cpu_usage_seconds_total")
    assert 'container="",id="/kubepods/burstable/podu1",image="",name=""' in whole
    assert whole.endswith(" 3.0 5000")


def test_no_limit_is_zero_bytes_and_no_quota() -> None:
    free = ContainerUsage(**{**vars(_USAGE), "memory_limit_bytes": None, "cpu_limit_cores": None})
    families = cadvisor_families([free], 5.0)
    assert _lines(families, "container_spec_memory_limit_bytes")[0].endswith(" 0.0 5000")
    assert _lines(families, "container_spec_cpu_quota") == []


def test_objects_are_reported_as_by_kube_state_metrics() -> None:
    owner = [{"kind": "Deployment", "name": "web", "controller": True}]
    replica_set = {"metadata": {"namespace": "shop", "name": "web-5d", "ownerReferences": owner}}
    deployment = {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"replicas": 3}}
    families = kube_state_families([_POD], [replica_set], [deployment])
    of_pod = 'namespace="shop",pod="web-1",uid="u1"'
    of_container = f'{of_pod},container="app"'
    assert _lines(families, "kube_pod_owner") == [
        (
            f'kube_pod_owner{{{of_pod},owner_kind="ReplicaSet",owner_name="web",'
            'owner_is_controller="true"} 1.0'
        )
    ]
    assert _lines(families, "kube_pod_container_resource_limits") == [
        (
            f'kube_pod_container_resource_limits{{{of_container},node="node-1",resource="cpu",'
            'unit="core"} 0.5'
        ),
        (
            f'kube_pod_container_resource_limits{{{of_container},node="node-1",resource="memory",'
            'unit="byte"} 1024.0'
        ),
    ]
    assert _lines(families, "kube_pod_container_status_restarts_total") == [
        f"kube_pod_container_status_restarts_total{{{of_container}}} 2.0"
    ]
    assert _lines(families, "kube_pod_container_status_last_terminated_reason") == [
        f'kube_pod_container_status_last_terminated_reason{{{of_container},reason="OOMKilled"}} 1.0'
    ]
    assert _lines(families, "kube_replicaset_owner") == [
        (
            'kube_replicaset_owner{namespace="shop",replicaset="web-5d",owner_kind="Deployment",'
            'owner_name="web",owner_is_controller="true"} 1.0'
        )
    ]
    assert _lines(families, "kube_deployment_spec_replicas") == [
        'kube_deployment_spec_replicas{namespace="shop",deployment="web"} 3.0'
    ]


def test_a_pod_without_an_owner_is_reported_with_empty_owner_labels() -> None:
    pod = {**_POD, "metadata": {"namespace": "shop", "name": "bare", "uid": "u2"}}
    assert (
        'owner_kind="",owner_name="",owner_is_controller=""'
        in (_lines(kube_state_families([pod], [], []), "kube_pod_owner")[0])
    )
