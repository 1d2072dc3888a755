"""The cluster of processes itself: what every other end-to-end test takes for granted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.testbed.audit import WRITING_VERBS
from tests.e2e.testbed.binaries import CREDENTIALS, BuildError, build
from tests.e2e.testbed.cluster import REPOSITORY, KubectlError
from tests.e2e.testbed.manifests import APP_CONTAINER, Load, SampleService
from tests.e2e.testbed.processes import Process, ProcessError, wait_for
from tests.e2e.testbed.prometheus import PrometheusQueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.testbed.cluster import Cluster

_LIVE_HEAP_BYTES = 32 * 2**20


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
    wait_for(
        lambda: _by_pod(cluster, f"up{{{own}}}") == dict.fromkeys(pods, 1.0),
        90,  # discovery backs off for half a minute after the API server was away
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
        10,
        f"container_memory_rss of {pods}",
    )
    wait_for(
        lambda: (
            min(_by_pod(cluster, f"http_requests_total{{{own},code='200'}}").values(), default=0)
            > 0
        ),
        10,
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
        20,
        "the Go runtime of every new pod reports GOGC 250",
    )


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
        10,
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
    wait_for(lambda: max(second.query(scraped).values(), default=0) >= 3, 20, "three samples")
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

    wait_for(gone, 5, f"end of process {child}")


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
