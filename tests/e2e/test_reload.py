"""gc-tuner in a pod, from its own image, whose mounted configuration changes while it runs."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.testbed.operator import ACCOUNT, QUICK, grant
from tests.e2e.testbed.processes import wait_for

if TYPE_CHECKING:
    from tests.e2e.testbed.cluster import Cluster

_POD = "gc-tuner"
_PORT = 8080


@dataclass(frozen=True)
class Installed:
    """One gc-tuner as a pod, for one namespace."""

    cluster: Cluster
    namespace: str

    def configure(self, text: str) -> None:
        """Change the ConfigMap that is mounted."""
        metadata = {"name": _POD, "namespace": self.namespace}
        given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        self.cluster.apply([{**given, "data": {"config.yaml": text}}])

    def pod(self) -> dict[str, Any]:
        return self.cluster.get("pod", _POD, "--namespace", self.namespace)

    def metrics(self) -> str:
        address = self.pod()["status"]["podIP"]
        with urllib.request.urlopen(f"http://{address}:{_PORT}/metrics", timeout=60) as answer:
            text: bytes = answer.read()
        return text.decode()

    def until(self, line: str) -> None:
        """Wait for a line of its metrics."""
        wait_for(lambda: f"\n{line}\n" in self.metrics(), line, interval_seconds=0.5)

    def events(self) -> dict[str, str]:
        """Notes of its Events on its own pod, by reason."""
        items = self.cluster.get("events.events.k8s.io", "--namespace", self.namespace)["items"]
        uid = self.pod()["metadata"]["uid"]
        ours = [each for each in items if each.get("regarding", {}).get("uid") == uid]
        return {
            each["reason"]: each["note"] for each in ours if each["reason"].startswith("Config")
        }

    def ready(self) -> bool:
        conditions = self.pod().get("status", {}).get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def settings(cluster: Cluster, namespace: str, **others: Any) -> str:  # noqa: ANN401 - any values
    given = {
        **QUICK,
        "prometheus": {"url": cluster.prometheus_url},
        "kubernetes": {"namespaces": [namespace]},
        **others,
    }
    return json.dumps(given)  # JSON is YAML


@pytest.fixture
def installed(cluster: Cluster, namespace: str) -> Installed:
    found = Installed(cluster, namespace)
    grant(cluster, namespace)
    found.configure(settings(cluster, namespace))
    downward = {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "POD_UID": "metadata.uid",
        "GC_TUNER_HTTP__ADDRESS": "status.podIP",  # pods of the test bed share one network
    }
    container = {
        "name": "gc-tuner",
        "image": "gc-tuner:0.1.0",
        "env": [
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in downward.items()
        ],
        "ports": [{"name": "http", "containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
        "securityContext": {"readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/gc-tuner", "readOnly": True}],
    }
    cluster.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": _POD, "namespace": namespace},
                "spec": {
                    "serviceAccountName": ACCOUNT,
                    "securityContext": {"runAsNonRoot": True},
                    "containers": [container],
                    "volumes": [{"name": "config", "configMap": {"name": _POD}}],
                },
            }
        ]
    )
    wait_for(found.ready, "gc-tuner's pod is ready", interval_seconds=0.5)
    return found


def test_a_changed_config_map_is_in_force_without_a_restart_and_a_bad_one_is_not(
    installed: Installed,
) -> None:
    cluster, namespace = installed.cluster, installed.namespace
    installed.until("gc_tuner_config_last_reload_successful 1.0")
    # A standby writes no Events.
    installed.until('gc_tuner_leader{lease="gc-tuner"} 1.0')

    installed.configure(settings(cluster, namespace, mode="off", defaultProfile="critical"))
    installed.until('gc_tuner_config_reloads_total{result="applied"} 1.0')

    installed.configure(settings(cluster, namespace, mode="auto"))
    installed.until('gc_tuner_config_reloads_total{result="invalid"} 1.0')
    installed.until("gc_tuner_config_last_reload_successful 0.0")

    installed.configure(settings(cluster, namespace, interval="2s", mode="recommend"))
    installed.until('gc_tuner_config_reloads_total{result="restart_required"} 1.0')

    installed.configure(settings(cluster, namespace, mode="off", defaultProfile="critical"))
    installed.until('gc_tuner_config_reloads_total{result="applied"} 2.0')
    installed.until("gc_tuner_config_last_reload_successful 1.0")

    wait_for(lambda: len(installed.events()) == 2, "Events on the pod", interval_seconds=0.5)
    assert "ConfigReloaded" in installed.events()
    assert "stays in force" in installed.events()["ConfigRefused"]
    (status,) = installed.pod()["status"]["containerStatuses"]
    assert status["restartCount"] == 0
