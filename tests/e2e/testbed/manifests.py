"""Manifests of the sample service and the load generator, as objects for `Cluster.apply`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

APP_CONTAINER = "app"
SERVICE_PORT = 8080
LOAD_PORT = 8081
MODE_LABEL = "gc-tuner.io/mode"
NAME_LABEL = "app.kubernetes.io/name"


@dataclass(frozen=True, kw_only=True)
class SampleService:
    """A Deployment of the sample Go service and the Service in front of it.

    Attributes:
        name: of both objects, and of the pods' `app.kubernetes.io/name`.
        namespace: of both objects.
        replicas: number of pods.
        environment: settings of the program (`services/README.md`), and GOGC or GOMEMLIMIT.
        cpu_request: Kubernetes quantity.
        memory_request: Kubernetes quantity.
        memory_limit: Kubernetes quantity; None sets no limit.
        labels: of the Deployment's own metadata, such as `gc-tuner.io/mode`.
        annotations: of the Deployment's own metadata.
        pod_annotations: of the pod template.
        scraped: whether Prometheus is asked to scrape the pods.
        strategy: the Deployment's strategy; empty leaves Kubernetes' default.
    """

    name: str
    namespace: str = "default"
    replicas: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    cpu_request: str = "20m"
    memory_request: str = "64Mi"
    memory_limit: str | None = "512Mi"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    scraped: bool = True
    strategy: Mapping[str, Any] = field(default_factory=dict)

    def manifests(self) -> list[dict[str, Any]]:
        """Return the Deployment and the Service."""
        resources: dict[str, Any] = {
            "requests": {"cpu": self.cpu_request, "memory": self.memory_request}
        }
        if self.memory_limit is not None:
            resources["limits"] = {"memory": self.memory_limit}
        container = _container("testbed/service", SERVICE_PORT, self.environment, resources)
        deployment = _deployment(self.name, self.namespace, self.replicas, container)
        deployment["metadata"]["labels"].update(self.labels)
        deployment["metadata"]["annotations"] = dict(self.annotations)
        if self.strategy:
            deployment["spec"]["strategy"] = dict(self.strategy)
        deployment["spec"]["template"]["metadata"]["annotations"] = {
            **(_scrape_annotations(SERVICE_PORT) if self.scraped else {}),
            **self.pod_annotations,
        }
        return [deployment, _service(self.name, self.namespace, SERVICE_PORT)]


@dataclass(frozen=True, kw_only=True)
class Load:
    """A Deployment of the load generator, which is never tuned: it is the measuring instrument.

    Attributes:
        name: of the Deployment.
        namespace: of the Deployment.
        targets_url: where the list of targets can be had, `Cluster.endpoints_url`.
        schedule: what to send when (`services/README.md`), such as `constant:50`.
        environment: further settings of the program.
    """

    name: str
    namespace: str = "default"
    targets_url: str
    schedule: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def manifests(self) -> list[dict[str, Any]]:
        """Return the Deployment."""
        environment = {
            "TARGETS_URL": self.targets_url,
            "SCHEDULE": self.schedule,
            "WAIT_FOR_TARGETS": "2m",
            **self.environment,
        }
        resources = {"requests": {"cpu": "20m", "memory": "32Mi"}}
        container = _container("testbed/loadgen", LOAD_PORT, environment, resources)
        deployment = _deployment(self.name, self.namespace, 1, container)
        deployment["metadata"]["labels"][MODE_LABEL] = "off"
        # Two generators at once would be twice the load.
        deployment["spec"]["strategy"] = {"type": "Recreate"}
        deployment["spec"]["template"]["metadata"]["annotations"] = _scrape_annotations(LOAD_PORT)
        return [deployment]


def _container(
    image: str, port: int, environment: Mapping[str, str], resources: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "name": APP_CONTAINER,
        "image": image,
        "imagePullPolicy": "Never",
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "PORT", "value": str(port)},
            *({"name": name, "value": value} for name, value in environment.items()),
        ],
        "ports": [{"name": "http", "containerPort": port}],
        "resources": dict(resources),
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "http"},
            "periodSeconds": 1,
            "failureThreshold": 2,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "http"},
            "initialDelaySeconds": 5,
            "timeoutSeconds": 5,
        },
    }


def _deployment(
    name: str, namespace: str, replicas: int, container: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {NAME_LABEL: name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {NAME_LABEL: name}},
            "template": {
                "metadata": {"labels": {NAME_LABEL: name}},
                "spec": {"terminationGracePeriodSeconds": 20, "containers": [dict(container)]},
            },
        },
    }


def _service(name: str, namespace: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {NAME_LABEL: name},
            "ports": [{"name": "http", "port": port, "targetPort": "http"}],
        },
    }


def _scrape_annotations(port: int) -> dict[str, str]:
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
