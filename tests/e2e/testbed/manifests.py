"""Manifests of the sample service and the load generator, as objects for `Cluster.apply`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

APP_CONTAINER = "app"
SERVICE_PORT = 8080
LOAD_PORT = 8081
MODE_LABEL = "gc-tuner.io/mode"
LIVE = "gc-tuner.io/live"
"""Annotation of a workload: its live ConfigMap's name. Label of a ConfigMap: it may be written."""
NAME_LABEL = "app.kubernetes.io/name"
LIVE_DIRECTORY = "/etc/gc-tuner/live"

_SERVICE_IMAGE = "testbed/service"


@dataclass(frozen=True, kw_only=True)
class GoContainer:
    """A sample Go service beside the one of `SampleService`, in the same pods.

    Attributes:
        name: of the container and of its port.
        port: its own: all containers of a pod share one address.
        environment: settings of the program (`services/README.md`), and GOGC or GOMEMLIMIT.
        cpu_request: Kubernetes quantity.
        memory_request: Kubernetes quantity.
        memory_limit: Kubernetes quantity; None sets no limit.
    """

    name: str
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    cpu_request: str = "20m"
    memory_request: str = "64Mi"
    memory_limit: str | None = "256Mi"

    def manifest(self) -> dict[str, Any]:
        """Return the container."""
        resources = _resources(self.cpu_request, self.memory_request, None, self.memory_limit)
        port = {"name": self.name, "containerPort": self.port}
        return _container(self.name, _SERVICE_IMAGE, port, self.environment, resources)


@dataclass(frozen=True, kw_only=True)
class SampleService:
    """A workload of the sample Go service and the Service in front of it.

    Attributes:
        name: of both objects, and of the pods' `app.kubernetes.io/name`.
        namespace: of both objects.
        kind: of the workload.
        replicas: number of pods.
        environment: settings of the program (`services/README.md`), and GOGC or GOMEMLIMIT.
        cpu_request: Kubernetes quantity.
        cpu_limit: Kubernetes quantity; None sets no limit. It is not enforced, but GOMAXPROCS
            follows it (rounded up) unless the environment sets it, as the Go runtime would do.
        memory_request: Kubernetes quantity.
        memory_limit: Kubernetes quantity; None sets no limit.
        labels: of the workload's own metadata, such as `gc-tuner.io/mode`.
        annotations: of the workload's own metadata.
        pod_annotations: of the pod template.
        scraped: whether Prometheus is asked to scrape the pods, all their containers.
        strategy: the Deployment's strategy or the StatefulSet's update strategy; empty leaves
            Kubernetes' default.
        live_config_map: name of the ConfigMap whose files the service follows (`live_config_map`
            makes it); the pods start without it, too. None mounts nothing.
        further_containers: beside the service.
        sidecars: init containers that keep running.
    """

    name: str
    namespace: str = "default"
    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    replicas: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    cpu_request: str = "20m"
    cpu_limit: str | None = None
    memory_request: str = "64Mi"
    memory_limit: str | None = "512Mi"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    scraped: bool = True
    strategy: Mapping[str, Any] = field(default_factory=dict)
    live_config_map: str | None = None
    further_containers: Sequence[GoContainer] = ()
    sidecars: Sequence[GoContainer] = ()

    @property
    def reference(self) -> str:
        """The workload as kubectl and `Cluster.wait_for_rollout` name it: `deployment/web`."""
        return f"{self.kind.lower()}/{self.name}"

    def manifests(self) -> list[dict[str, Any]]:
        """Return the workload and the Service."""
        containers = [self._app(), *(each.manifest() for each in self.further_containers)]
        workload = _workload(self.kind, self.name, self.namespace, self.replicas, containers)
        workload["metadata"]["labels"].update(self.labels)
        workload["metadata"]["annotations"] = dict(self.annotations)
        if self.strategy:
            field_name = "strategy" if self.kind == "Deployment" else "updateStrategy"
            workload["spec"][field_name] = dict(self.strategy)
        template = workload["spec"]["template"]
        template["metadata"]["annotations"] = {
            **(_scrape_annotations() if self.scraped else {}),
            **self.pod_annotations,
        }
        if self.sidecars:
            template["spec"]["initContainers"] = [
                {**each.manifest(), "restartPolicy": "Always"} for each in self.sidecars
            ]
        if self.live_config_map is not None:
            workload["metadata"]["annotations"].setdefault(LIVE, self.live_config_map)
            # Optional, so that a test may create the ConfigMap later, or remove it.
            source = {"name": self.live_config_map, "optional": True}
            template["spec"]["volumes"] = [{"name": "live", "configMap": source}]
        return [workload, _service(self.name, self.namespace, SERVICE_PORT)]

    def _app(self) -> dict[str, Any]:
        environment = dict(self.environment)
        if self.live_config_map is not None:
            environment.setdefault("LIVE_CONFIG_DIR", LIVE_DIRECTORY)
        container = _container(
            APP_CONTAINER,
            _SERVICE_IMAGE,
            {"name": "http", "containerPort": SERVICE_PORT},
            environment,
            _resources(self.cpu_request, self.memory_request, self.cpu_limit, self.memory_limit),
        )
        if self.cpu_limit is not None and "GOMAXPROCS" not in environment:
            limit = {"resourceFieldRef": {"resource": "limits.cpu"}}
            container["env"].append({"name": "GOMAXPROCS", "valueFrom": limit})
        if self.live_config_map is not None:
            container["volumeMounts"] = [
                {"name": "live", "mountPath": LIVE_DIRECTORY, "readOnly": True}
            ]
        return container


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
        port = {"name": "http", "containerPort": LOAD_PORT}
        container = _container(APP_CONTAINER, "testbed/loadgen", port, environment, resources)
        deployment = _workload("Deployment", self.name, self.namespace, 1, [container])
        deployment["metadata"]["labels"][MODE_LABEL] = "off"
        # Two generators at once would be twice the load.
        deployment["spec"]["strategy"] = {"type": "Recreate"}
        deployment["spec"]["template"]["metadata"]["annotations"] = _scrape_annotations()
        return [deployment]


def live_config_map(name: str, namespace: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return a ConfigMap that gc-tuner may write; keys are `GOGC`, `GOMEMLIMIT`, `BARRIER`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {LIVE: "true"}},
        "data": dict(values),
    }


def horizontal_pod_autoscaler(
    service: SampleService,
    *,
    resource: Literal["cpu", "memory"] = "cpu",
    utilization_percent: int = 80,
    container: str | None = None,
    replicas: tuple[int, int] = (1, 10),
) -> dict[str, Any]:
    """Return a HorizontalPodAutoscaler of a service, of the same name.

    There is no metrics API: its controller keeps the replicas within their bounds and scales
    nothing.

    Args:
        service: what it scales.
        resource: whose utilization it would follow.
        utilization_percent: its target, in percent of the request.
        container: whose utilization; None is that of the whole pod.
        replicas: at least and at most.
    """
    what: dict[str, Any] = {
        "name": resource,
        "target": {"type": "Utilization", "averageUtilization": utilization_percent},
    }
    if container is None:
        metric = {"type": "Resource", "resource": what}
    else:
        what["container"] = container
        metric = {"type": "ContainerResource", "containerResource": what}
    least, most = replicas
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": service.name, "namespace": service.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": service.kind, "name": service.name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [metric],
        },
    }


def _resources(
    cpu_request: str, memory_request: str, cpu_limit: str | None, memory_limit: str | None
) -> dict[str, Any]:
    limits = {
        name: amount
        for name, amount in (("cpu", cpu_limit), ("memory", memory_limit))
        if amount is not None
    }
    return {
        "requests": {"cpu": cpu_request, "memory": memory_request},
        **({"limits": limits} if limits else {}),
    }


def _container(
    name: str,
    image: str,
    port: Mapping[str, Any],
    environment: Mapping[str, str],
    resources: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "PORT", "value": str(port["containerPort"])},
            *({"name": key, "value": value} for key, value in environment.items()),
        ],
        "ports": [dict(port)],
        "resources": dict(resources),
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": port["name"]},
            "periodSeconds": 1,
            "failureThreshold": 2,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": port["name"]},
            "initialDelaySeconds": 5,
            "timeoutSeconds": 5,
        },
    }


def _workload(
    kind: str, name: str, namespace: str, replicas: int, containers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    pod = {
        "terminationGracePeriodSeconds": 20,
        "containers": [dict(container) for container in containers],
    }
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": {NAME_LABEL: name}},
        "template": {"metadata": {"labels": {NAME_LABEL: name}}, "spec": pod},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {NAME_LABEL: name}},
        "spec": spec,
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


def _scrape_annotations() -> dict[str, str]:
    # Without a port every declared one is scraped, of each container its own.
    return {"prometheus.io/scrape": "true"}
