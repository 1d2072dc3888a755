"""The chart with the real Helm: installed, tested, at work, upgraded, and gone without a trace.

The operator's two pods run from gc-tuner's own image, with the rights of the chart and its
admission policy. They look at one namespace, since the cluster is other tests' too.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.stage import LIGHT, ONE_STEP, OVERRIDES, SERVICE, STAYED, deployed, tenant
from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.helm import CHART, RELEASE, Helm
from tests.e2e.testbed.manifests import SampleService
from tests.e2e.testbed.operator import QUICK, merged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster

CART = "cart"
CONFIG: Mapping[str, Any] = merged(QUICK, ONE_STEP, {"guards": {"rolloutsInNamespace": 2}})
NOT_OURS = ("deployment.kubernetes.io/revision", "meta.helm.sh/")
"""Annotations that controllers and Helm write."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A release of the chart, and the services that it looks at.

    Attributes:
        helm: with the administrator's rights.
        namespace: of the operator.
        subject: a service that kubectl has applied.
        cart: one that Helm has installed, in the same namespace.
        charts: a folder for the chart of that one.
    """

    helm: Helm
    namespace: str
    subject: Tenant
    cart: SampleService
    charts: Path

    @property
    def cluster(self) -> Cluster:
        return self.subject.cluster

    def values(self, **config: Any) -> dict[str, Any]:  # noqa: ANN401 - any settings
        address = {"fieldRef": {"fieldPath": "status.podIP"}}
        return {
            "image": {"repository": "gc-tuner"},
            "replicas": 2,
            "prometheus": {"url": self.cluster.prometheus_url},
            "watchNamespaces": [self.subject.namespace],
            "admissionPolicy": {"enabled": True},
            # Pods of the test bed share one network.
            "extraEnv": [{"name": "GC_TUNER_HTTP__ADDRESS", "valueFrom": address}],
            "config": {**CONFIG, **config},
        }

    def upgrade(self, **config: Any) -> None:  # noqa: ANN401 - any settings
        """Install, or upgrade, and wait for the pods."""
        command = ("upgrade", "--install", RELEASE, str(CHART), "--namespace", self.namespace)
        self.helm.run(*command, values=self.values(**config))
        self.cluster.wait_for_rollout(self.namespace, f"deployment/{RELEASE}")

    def pods(self) -> dict[str, str]:
        """Addresses of the operator's pods, by name."""
        items = self.cluster.get(
            *("pods", "--namespace", self.namespace),
            *("--selector", f"app.kubernetes.io/name={RELEASE}"),
        )["items"]
        return {
            each["metadata"]["name"]: each["status"]["podIP"]
            for each in items
            if "deletionTimestamp" not in each["metadata"] and each["status"].get("podIP")
        }

    def leaders(self) -> list[str]:
        """The pods that say that they lead."""
        return [name for name, address in self.pods().items() if _leads(address)]

    def deploy_cart(self, **environment: str) -> None:
        """Install the service by a chart of its own, or upgrade it."""
        service = replace(self.cart, environment={**self.cart.environment, **environment})
        folder = self.charts / CART
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        (folder / "Chart.yaml").write_text(
            yaml.safe_dump({"apiVersion": "v2", "name": CART, "version": "1.0.0"})
        )
        (folder / "templates" / "all.yaml").write_text(yaml.safe_dump_all(service.manifests()))
        namespace = self.subject.namespace
        self.helm.run("upgrade", "--install", CART, str(folder), "--namespace", namespace)
        self.cluster.wait_for_rollout(namespace, self.cart.reference)

    def workload(self, name: str) -> dict[str, Any]:
        return self.cluster.get(f"deployment/{name}", "--namespace", self.subject.namespace)

    def env(self, name: str) -> dict[str, str]:
        (container,) = self.workload(name)["spec"]["template"]["spec"]["containers"]
        return {each["name"]: each.get("value", "") for each in container.get("env", [])}

    def record(self, name: str) -> dict[str, Any]:
        items = self.cluster.get("gctunings", "--namespace", self.subject.namespace)["items"]
        found: dict[str, dict[str, Any]] = {
            each["spec"]["targetRef"]["name"]: each.get("status", {}) for each in items
        }
        return found.get(name, {})

    def judged(self, name: str) -> bool:
        """Whether a change was tried and has come to stay."""
        record = self.record(name)
        return bool(record.get("history")) and "trial" not in record

    def release(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run ``gc-tuner release --all`` with the operator's own token and file."""
        data = self.cluster.get("configmap", RELEASE, "--namespace", self.namespace)["data"]
        path = folder / "config.yaml"
        path.write_text(data["config.yaml"])
        account = self.cluster.service_account_kubeconfig(self.namespace, RELEASE)
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "tuner", "release", "--all", "--yes", "--config", path],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "POD_NAMESPACE": self.namespace,
                "GC_TUNER_KUBERNETES__KUBECONFIG": str(account),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180.0,
            check=False,
        )


def _leads(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:8080/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
    except OSError:
        return False
    return f'gc_tuner_leader{{lease="{RELEASE}"}} 1.0' in text


def _as_people_made_it(workload: dict[str, Any]) -> dict[str, Any]:
    """Neither versions nor what controllers write."""
    metadata = workload["metadata"]
    annotations = {
        name: text
        for name, text in metadata.get("annotations", {}).items()
        if not name.startswith(NOT_OURS)
    }
    return {"annotations": annotations, "labels": metadata["labels"], "spec": workload["spec"]}


@pytest.fixture(scope="module")
def installation(
    cluster: Cluster, helm: Helm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    namespace = f"operator-{secrets.token_hex(2)}"
    cluster.create_namespace(namespace, {"pod-security.kubernetes.io/enforce": "restricted"})
    with deployed({"installed": tenant(cluster, "installed")}) as tenants:
        subject = tenants["installed"]
        cart = SampleService(
            name=CART,
            namespace=subject.namespace,
            environment=LIGHT,
            memory_request="256Mi",
            labels={"gc-tuner.io/mode": "auto"},
        )
        found = Installation(
            helm=replace(helm, kubeconfig=cluster.kubeconfig),
            namespace=namespace,
            subject=subject,
            cart=cart,
            charts=tmp_path_factory.mktemp("charts"),
        )
        found.deploy_cart()
        subject.add_load(f"{CART}-load", subject.rate, service=CART)
        yield found
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_from_install_to_uninstall(installation: Installation, tmp_path: Path) -> None:
    it, cluster = installation, installation.cluster
    before = {name: _as_people_made_it(it.workload(name)) for name in (SERVICE, CART)}

    # Installed: two pods, one leads; its own test says that it has all that it needs.
    it.upgrade()
    cluster.wait_for(lambda: len(it.leaders()) == 1, "one pod that leads")
    it.helm.run("test", RELEASE, "--namespace", it.namespace)

    # At work: a closed loop through the installed operator.
    cluster.wait_for(
        lambda: it.judged(SERVICE) and it.judged(CART), "the verdicts on both services"
    )
    assert {it.env(name)["GOGC"] for name in (SERVICE, CART)} == {"200"}
    verdict = it.record(SERVICE)["history"][0]["verdict"]
    assert verdict in STAYED

    # The operator upgraded: what reloads replaces no pods, anything else does; nothing is written
    # because of it.
    pods, revisions = set(it.pods()), [it.cluster.revision(it.subject.namespace, SERVICE)]
    it.upgrade(planLifetime="3m")
    assert set(it.pods()) == pods
    it.upgrade(planLifetime="3m", warmUp="4s")
    assert not set(it.pods()) & pods
    cluster.wait_for(lambda: len(it.leaders()) == 1, "one of the new pods leads")
    revisions.append(it.cluster.revision(it.subject.namespace, SERVICE))
    assert len(set(revisions)) == 1
    assert it.judged(SERVICE)

    # The service upgraded: our value survives a chart that never names it.
    it.deploy_cart(COLOUR="red")
    assert (it.env(CART)["GOGC"], it.env(CART)["COLOUR"]) == ("200", "red")
    # A chart that sets it is held, and named.
    it.deploy_cart(COLOUR="red", GOGC="150")
    assert it.env(CART)["GOGC"] == "150"
    cluster.wait_for(lambda: it.record(CART).get("reason") == "owned_by_other", "GOGC is Helm's")
    assert "helm" in it.record(CART)["message"]
    it.deploy_cart()

    # Gone: paused, released, uninstalled, the services are what they were.
    patch = json.dumps({"data": {"overrides.yaml": "paused: true"}})
    cluster.kubectl("patch", "configmap", OVERRIDES, "-n", it.namespace, "--patch", patch)
    cluster.wait_for(lambda: it.record(SERVICE).get("reason") == "paused", "the pause is obeyed")
    released = it.release(tmp_path)
    assert released.returncode == 0, released
    it.helm.run("uninstall", RELEASE, "--namespace", it.namespace, "--wait")
    for name in (SERVICE, CART):
        cluster.wait_for_rollout(it.subject.namespace, f"deployment/{name}")
        assert _as_people_made_it(it.workload(name)) == before[name]
    left = cluster.get("configmap,lease,serviceaccount,role,deployment", "-n", it.namespace)
    names = {each["metadata"]["name"] for each in left["items"]}
    assert names - {"default", "kube-root-ca.crt"} == {OVERRIDES, RELEASE}, "overrides and Lease"
