"""The cluster of processes itself: what every other end-to-end test takes for granted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.testbed.audit import WRITING_VERBS
from tests.e2e.testbed.binaries import CREDENTIALS, build
from tests.e2e.testbed.cache import BuildError
from tests.e2e.testbed.cluster import REPOSITORY, KubectlError
from tests.e2e.testbed.manifests import (
    APP_CONTAINER,
    GoContainer,
    Load,
    SampleService,
    horizontal_pod_autoscaler,
    live_config_map,
)
from tests.e2e.testbed.processes import Process, ProcessError, wait_for
from tests.e2e.testbed.prometheus import PrometheusQueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.testbed.cluster import Cluster

_LIVE_HEAP_BYTES = 32 * 2**20
_TINY = {"LIVE_HEAP_BYTES": "1Mi"}


@pytest.fixture(scope="module")
def sample(cluster: Cluster) -> Iterator[SampleService]:
    """Two ready pods of the sample service, under a light load."""
    service = SampleService(
        name="sample",
        namespace="testbed",
        environment={"LIVE_HEAP_BYTES": str(_LIVE_HEAP_BYTES)},
        memory_limit="256Mi",
    )
    load = Load(
        name="load",
        namespace=service.namespace,
        targets_url=cluster.endpoints_url(service.namespace, service.name),
        schedule="constant:20",
    )
    cluster.create_namespace(service.namespace)
    cluster.apply([*service.manifests(), *load.manifests()])
    cluster.wait_for_rollout(service.namespace, f"deployment/{service.name}")
    yield service
    cluster.kubectl("delete", "namespace", service.namespace, "--wait=false")


def _pods(cluster: Cluster, sample: SampleService) -> set[str]:
    pods = cluster.get(
        *("pods", "--namespace", sample.namespace),
        *("--selector", f"app.kubernetes.io/name={sample.name}"),
    )
    return {
        pod["metadata"]["name"]
        for pod in pods["items"]
        if "deletionTimestamp" not in pod["metadata"]
    }


def _by_pod(cluster: Cluster, expression: str) -> dict[str, float]:
    return {
        dict(labels)["pod"]: number
        for labels, number in cluster.prometheus.query(expression).items()
    }


def test_ready_pods_stand_behind_their_service(cluster: Cluster, sample: SampleService) -> None:
    deployment = cluster.get("deployment", sample.name, "--namespace", sample.namespace)
    assert deployment["status"]["readyReplicas"] == sample.replicas
    assert len(set(cluster.endpoints(sample.namespace, sample.name))) == sample.replicas


def test_prometheus_scrapes_the_pods_and_what_cadvisor_says_of_them(
    cluster: Cluster, sample: SampleService
) -> None:
    pods = _pods(cluster, sample)
    own = f'namespace="{sample.namespace}",container="{APP_CONTAINER}",pod=~"{sample.name}-.*"'
    # Discovery backs off for half a minute after the API server was away.
    wait_for(
        lambda: _by_pod(cluster, f"up{{{own}}}") == dict.fromkeys(pods, 1.0),
        f"up of {pods}",
    )
    # The first sample can be older than the live heap.
    wait_for(
        lambda: (
            {
                pod
                for pod, size in _by_pod(cluster, f"container_memory_rss{{{own}}}").items()
                if _LIVE_HEAP_BYTES < size < 256 * 2**20
            }
            == pods
        ),
        f"container_memory_rss of {pods}",
    )
    wait_for(
        lambda: (
            min(_by_pod(cluster, f"http_requests_total{{{own},code='200'}}").values(), default=0)
            > 0
        ),
        "requests answered by every pod",
    )


def test_a_changed_env_replaces_the_pods_one_by_one(
    cluster: Cluster, sample: SampleService
) -> None:
    before = _pods(cluster, sample)
    deployment = f"deployment/{sample.name}"
    cluster.kubectl("set", "env", deployment, "GOGC=250", "--namespace", sample.namespace)
    cluster.wait_for_rollout(sample.namespace, deployment)
    after = _pods(cluster, sample)
    assert len(after) == sample.replicas
    assert not before & after
    own = f'namespace="{sample.namespace}",pod=~"{sample.name}-.*"'
    wait_for(
        lambda: (
            {
                pod: number
                for pod, number in _by_pod(cluster, f"go_gc_gogc_percent{{{own}}}").items()
                if pod in after
            }
            == dict.fromkeys(after, 250.0)
        ),
        "the Go runtime of every new pod reports GOGC 250",
    )


def test_a_stateful_set_replaces_its_pods_last_first_and_keeps_their_names(
    cluster: Cluster, namespace: str
) -> None:
    service = SampleService(
        name="db", namespace=namespace, kind="StatefulSet", environment=_TINY, scraped=False
    )
    cluster.apply(service.manifests())
    cluster.wait_for_rollout(namespace, service.reference)
    before = _by_name(cluster, namespace)
    assert sorted(before) == ["db-0", "db-1"]
    cluster.kubectl("set", "env", service.reference, "GOGC=250", "--namespace", namespace)
    cluster.wait_for_rollout(namespace, service.reference)
    after = _by_name(cluster, namespace)
    assert sorted(after) == ["db-0", "db-1"]
    assert not {_uid(pod) for pod in before.values()} & {_uid(pod) for pod in after.values()}
    (ready,) = (
        condition["lastTransitionTime"]
        for condition in after["db-1"]["status"]["conditions"]
        if condition["type"] == "Ready"
    )
    assert ready <= after["db-0"]["metadata"]["creationTimestamp"]


def test_every_container_of_a_pod_has_series_of_its_own(cluster: Cluster, namespace: str) -> None:
    service = SampleService(
        name="many",
        namespace=namespace,
        replicas=1,
        environment=_TINY,
        further_containers=[GoContainer(name="second", port=8090, environment=_TINY)],
        sidecars=[GoContainer(name="sidecar", port=8091, environment=_TINY)],
    )
    cluster.apply(service.manifests())
    cluster.wait_for_rollout(namespace, service.reference)
    names = {APP_CONTAINER, "second", "sidecar"}

    def containers(metric: str) -> set[str]:
        series = cluster.prometheus.query(f'{metric}{{namespace="{namespace}",container!=""}}')
        return {dict(labels)["container"] for labels in series}

    wait_for(lambda: containers("go_gc_gogc_percent") == names, f"Go metrics of {names}")
    wait_for(lambda: containers("container_cpu_usage_seconds_total") == names, f"CPU of {names}")
    assert cluster.endpoints(namespace, "many") == [
        f"{_by_name(cluster, namespace).popitem()[1]['status']['podIP']}:8080"
    ]


def test_a_live_config_map_is_followed_without_a_restart(cluster: Cluster, namespace: str) -> None:
    service = SampleService(
        name="live",
        namespace=namespace,
        environment={**_TINY, "GOGC": "150", "BARRIER_THRESHOLD": "9"},
        live_config_map="live-settings",
    )
    cluster.apply(service.manifests())
    cluster.wait_for_rollout(namespace, service.reference)
    pods = set(_by_name(cluster, namespace))
    unlimited = float(2**63)

    def in_force(metric: str) -> set[float] | None:
        values = _by_pod(cluster, f'{metric}{{namespace="{namespace}"}}')
        return set(values.values()) if set(values) == pods else None

    def until_in_force(gogc: float, limit_bytes: float, barrier: float) -> None:
        wait_for(lambda: in_force("go_gc_gogc_percent") == {gogc}, f"GOGC {gogc}")
        wait_for(
            lambda: in_force("go_gc_gomemlimit_bytes") == {limit_bytes}, f"{limit_bytes} bytes"
        )
        wait_for(lambda: in_force("barrier_threshold") == {barrier}, f"barrier {barrier}")

    until_in_force(150, unlimited, 9)
    live = {"GOGC": "400", "GOMEMLIMIT": "128MiB", "BARRIER": "5"}
    cluster.apply([live_config_map("live-settings", namespace, live)])
    until_in_force(400, 128 * 2**20, 5)
    cluster.apply([live_config_map("live-settings", namespace, {"GOGC": "300"})])
    until_in_force(300, unlimited, 9)
    cluster.kubectl("delete", "configmap", "live-settings", "--namespace", namespace)
    until_in_force(150, unlimited, 9)
    assert set(_by_name(cluster, namespace)) == pods


def test_an_autoscaler_without_metrics_leaves_the_replicas_alone(
    cluster: Cluster, namespace: str
) -> None:
    service = SampleService(name="scaled", namespace=namespace, environment=_TINY, scraped=False)
    autoscaler = horizontal_pod_autoscaler(service, container=APP_CONTAINER)
    cluster.apply([*service.manifests(), autoscaler])
    cluster.wait_for_rollout(namespace, service.reference)
    where = ("--namespace", namespace)

    def judged() -> bool:
        status = cluster.get("hpa", "scaled", *where).get("status") or {}
        conditions = {item["type"]: item["status"] for item in status.get("conditions") or []}
        return conditions.get("ScalingActive") == "False"

    wait_for(judged, "the autoscaler's controller has found no metrics")
    assert cluster.get("deployment", "scaled", *where)["spec"]["replicas"] == service.replicas


def _by_name(cluster: Cluster, namespace: str) -> dict[str, dict[str, Any]]:
    pods = cluster.get("pods", "--namespace", namespace)
    return {pod["metadata"]["name"]: pod for pod in pods["items"]}


def _uid(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def test_the_audit_log_names_who_wrote(cluster: Cluster, namespace: str) -> None:
    began = datetime.now(UTC)
    alice = cluster.kubeconfig_for("alice", ["editors"])
    mallory = cluster.kubeconfig_for("mallory")
    where = ("--namespace", namespace)
    cluster.kubectl(
        *("create", "rolebinding", "editors", "--clusterrole=edit", "--group=editors", *where)
    )
    may = ("auth", "can-i", "create", "configmaps", *where)
    wait_for(
        lambda: cluster.kubectl(*may, kubeconfig=alice, check=False).strip() == "yes",
        "the role binding is in force",
    )
    cluster.kubectl("create", "configmap", "hers", *where, kubeconfig=alice)
    with pytest.raises(KubectlError, match="is forbidden"):
        cluster.kubectl("create", "configmap", "his", *where, kubeconfig=mallory)

    (hers,) = cluster.audit_events("alice", WRITING_VERBS, resource="configmaps", since=began)
    assert (hers.verb, hers.resource, hers.namespace, hers.code) == (
        *("create", "configmaps"),
        *(namespace, 201),
    )
    (his,) = cluster.audit_events("mallory", WRITING_VERBS, resource="configmaps", since=began)
    assert his.code == 403


def test_a_service_account_has_its_own_rights_only(cluster: Cluster, namespace: str) -> None:
    kubeconfig = cluster.service_account_kubeconfig(namespace, "default")
    name = cluster.kubectl(
        *("auth", "whoami", "--output=jsonpath={.status.userInfo.username}"), kubeconfig=kubeconfig
    )
    assert name == f"system:serviceaccount:{namespace}:default"
    with pytest.raises(KubectlError, match="is forbidden"):
        cluster.kubectl("get", "pods", kubeconfig=kubeconfig)


def test_pods_outlive_the_api_server(cluster: Cluster, sample: SampleService) -> None:
    apiserver = cluster.control_plane.apiserver
    before = cluster.endpoints(sample.namespace, sample.name)
    apiserver.kill()
    try:
        with pytest.raises(KubectlError):
            cluster.kubectl("get", "pods", "--request-timeout=2s")
        assert cluster.endpoints(sample.namespace, sample.name) == before
    finally:
        apiserver.start()
    assert len(_pods(cluster, sample)) == sample.replicas


def test_a_second_prometheus_keeps_its_samples_over_a_restart(cluster: Cluster) -> None:
    second = cluster.start_prometheus("second", scrape_interval_seconds=0.5)
    scraped = "count_over_time(up{job='cadvisor'}[1h])"
    wait_for(lambda: max(second.query(scraped).values(), default=0) >= 3, "three samples")
    second.stop()
    with pytest.raises(PrometheusQueryError):
        second.query(scraped)
    second.start()
    assert max(second.query(scraped).values()) >= 3


_PARENT = """
import sys, time
from pathlib import Path
from tests.e2e.testbed.processes import Process
child = Process(name="child", command=["sleep", "600"], log=Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""


def test_processes_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", _PARENT, str(tmp_path / "log")],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)

    def gone() -> bool:
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state == "Z"  # dead, and not yet collected by the process that inherited it

    wait_for(gone, f"end of process {child}")


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    failing = Process(
        name="failing",
        command=["sh", "-c", "echo no such flag; exit 3"],
        log=tmp_path / "log",
        ready=lambda: False,
    )
    with pytest.raises(ProcessError, match=r"code 3\n(?s:.*)no such flag"):
        failing.start()


def test_without_go_the_build_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"Install Go 1\.26 or newer"):
        build(CREDENTIALS, tmp_path / "cache")
