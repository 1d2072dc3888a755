"""The services that the loop is tried on: deployed together, so that no test waits for its own."""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.e2e.testbed.audit import WRITING_VERBS
from tests.e2e.testbed.manifests import APP_CONTAINER, Load, SampleService, live_config_map
from tests.e2e.testbed.operator import Operator, prepare_operator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tests.e2e.testbed.cluster import Cluster

SERVICE = "web"
LOAD = "load"
LIVE_CONFIG_MAP = "web-live"
OVERRIDES = "gc-tuner-overrides"
ONE_STEP: Mapping[str, Any] = {
    "profiles": {"normal": {"gogcBounds": {"lowest": 75, "highest": 200}}},
    "trial": {"windows": 2, "requests": 50, "patience": 8, "harm": 0.99},
    "prometheus": {"metrics": {"requestDuration": "none"}},
}
"""Room for one step only, so that one trial is the whole story; and it comes to stay, however noisy
a small service is and however late its answers on a machine that is slow just then: for where
neither its verdict nor what it saves is the matter."""
CLEAR: Mapping[str, Any] = {"trial": {"windows": 2, "requests": 50, "patience": 30}}
"""Short trials, and time enough for one to see harm: a trial that runs out of patience leaves its
change in force, and the next one takes the harmed service for what it always was."""
JUDGED = frozenset({"Confirmed", "NoEffect", "Inconclusive"})
"""Verdicts of measurements after which a change is left in force."""
STAYED = JUDGED | {"Void"}
"""All verdicts that take nothing back."""

# Nearly half of its CPU for GC at GOGC=100; client_golang's default metrics.
POINTER_RICH: Mapping[str, str] = {
    "LIVE_HEAP_BYTES": "48Mi",
    "LIVE_HEAP_KIND": "pointers",
    "GARBAGE_BYTES_PER_REQUEST": "1Mi",
    "ITERATIONS_PER_REQUEST": "100000",
}
# The same in small: some hundredths of a core, so that many can run beside each other.
LIGHT: Mapping[str, str] = {
    "LIVE_HEAP_BYTES": "4Mi",
    "LIVE_HEAP_KIND": "pointers",
    "GARBAGE_BYTES_PER_REQUEST": "512Ki",
    "ITERATIONS_PER_REQUEST": "20000",
    "RUNTIME_METRICS": "all",
}
# From the first rise of GOGC on; far more than a slow machine adds.
SLOWER: Mapping[str, str] = {"LATENCY_WHEN_GOGC_ABOVE": "150:300ms"}


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """Services under load in a namespace of their own.

    Attributes:
        cluster: where it runs.
        namespace: its own.
        service: as it was deployed.
        rate: requests per second, of each service.
        neighbours: further services in the same namespace.
        objects: whatever else is deployed before the services.
    """

    cluster: Cluster
    namespace: str
    service: SampleService
    rate: int
    neighbours: Sequence[SampleService] = ()
    objects: Sequence[Mapping[str, Any]] = ()

    @property
    def services(self) -> Sequence[SampleService]:
        """All of them."""
        return (self.service, *self.neighbours)

    def deploy(self) -> None:
        """Create the namespace, the services and their load, without waiting for them.

        Raises:
            KubectlError: one was refused.
        """
        self.cluster.create_namespace(self.namespace)
        services = [each for service in self.services for each in service.manifests()]
        self.cluster.apply([*self.objects, *services])
        self.add_load(LOAD, self.rate)
        for each in self.neighbours:
            self.add_load(f"{each.name}-{LOAD}", self.rate, service=each.name)

    def add_load(self, name: str, rate: int, service: str = SERVICE) -> None:
        """Send more requests per second to a Service, until the load's Deployment is deleted.

        Raises:
            KubectlError: it was refused.
        """
        load = Load(
            name=name,
            namespace=self.namespace,
            targets_url=self.cluster.endpoints_url(self.namespace, service),
            schedule=f"constant:{rate}",
        )
        self.cluster.apply(load.manifests())

    def remove_load(self, name: str) -> None:
        """End a load.

        Raises:
            KubectlError: there is none.
        """
        self.cluster.kubectl("delete", "deployment", name, "--namespace", self.namespace)

    def wait(self) -> None:
        """Wait until all pods are ready.

        Raises:
            TimeoutError: not in time.
        """
        for each in self.services:
            self.cluster.wait_for_rollout(self.namespace, each.reference)

    def deployment(self) -> dict[str, Any]:
        """Return the service's Deployment, managed fields included."""
        return self.workload()

    def workload(self, name: str = SERVICE) -> dict[str, Any]:
        """Return a service's Deployment or StatefulSet, managed fields included."""
        resource = next(f"{each.kind.lower()}s" for each in self.services if each.name == name)
        return self.cluster.read(f"/apis/apps/v1/namespaces/{self.namespace}/{resource}/{name}")

    def env(self, name: str = SERVICE, container: str = APP_CONTAINER) -> dict[str, str]:
        """Return the env of a service's container, sidecars included; values only."""
        pod = self.workload(name)["spec"]["template"]["spec"]
        containers = [*pod["containers"], *pod.get("initContainers", [])]
        found = next(each for each in containers if each["name"] == container)
        return {each["name"]: each.get("value", "") for each in found.get("env", [])}

    def live(self) -> dict[str, str]:
        """Return the data of the live ConfigMap."""
        data: dict[str, str] = self.live_config_map().get("data", {})
        return data

    def live_config_map(self) -> dict[str, Any]:
        """Return the live ConfigMap, managed fields included."""
        return self.cluster.read(
            f"/api/v1/namespaces/{self.namespace}/configmaps/{LIVE_CONFIG_MAP}"
        )

    def pods(self, name: str = SERVICE) -> dict[str, dict[str, Any]]:
        """Return a service's pods by name, without those on their way out."""
        items = self.cluster.read(
            f"/api/v1/namespaces/{self.namespace}/pods",
            labelSelector=f"app.kubernetes.io/name={name}",
        )
        return {
            each["metadata"]["name"]: each
            for each in items["items"]
            if "deletionTimestamp" not in each["metadata"]
        }

    def starts(self, name: str = SERVICE) -> dict[str, int]:
        """Return how often containers were restarted, by the uid of their pod."""
        return {
            pod["metadata"]["uid"]: sum(
                each["restartCount"] for each in pod["status"]["containerStatuses"]
            )
            for pod in self.pods(name).values()
        }

    def by_pod(
        self, expression: str, name: str = SERVICE, container: str = APP_CONTAINER
    ) -> dict[str, float]:
        """Evaluate a query over a service's present pods.

        Args:
            expression: PromQL in which `$pods` stands for the matchers of the service's container.
            name: of the service.
            container: whose metrics.
        """
        matchers = f'namespace="{self.namespace}",container="{container}",pod=~"{name}-.*"'
        answer = self.cluster.prometheus.query(expression.replace("$pods", matchers))
        found = {dict(labels)["pod"]: value for labels, value in answer.items()}
        return {pod: found[pod] for pod in self.pods(name) if pod in found}

    def gogc_in_force(self, name: str = SERVICE, container: str = APP_CONTAINER) -> set[float]:
        """Return the GOGC that a service's present pods report, percent."""
        return set(self.by_pod("go_gc_gogc_percent{$pods}", name, container).values())

    def order(self, text: str) -> None:
        """Lay down overrides, in place of those that there are.

        Raises:
            KubectlError: it was refused.
        """
        metadata = {"name": OVERRIDES, "namespace": self.namespace}
        given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        self.cluster.apply([{**given, "data": {"overrides.yaml": text}}])

    def ordered_at(self) -> datetime:
        """Return when the API server was last asked to write the overrides.

        Whoever lays them down hears of it later, maybe after they were obeyed.
        """
        asked = self.cluster.audit_events(verbs=WRITING_VERBS, resource="configmaps")
        here = (self.namespace, OVERRIDES)
        return max(each.at for each in asked if (each.namespace, each.name) == here)

    def events(self, reason: str, name: str = SERVICE) -> list[dict[str, Any]]:
        """Return gc-tuner's Events of one reason on a workload, oldest first."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"
        items = self.cluster.read(path)["items"]
        found = [
            each
            for each in items
            if each["reason"] == reason and each.get("regarding", {}).get("name") == name
        ]
        return sorted(found, key=lambda each: str(each["eventTime"]))

    def revision(self) -> int:
        """Return how many pod templates there were, each of them a rollout."""
        return self.cluster.revision(self.namespace, SERVICE)

    def fields(self, manager: str, name: str = SERVICE) -> set[str]:
        """Return what a field manager owns of a workload's spec, as paths."""
        entries = self.workload(name)["metadata"]["managedFields"]
        trees = [each["fieldsV1"] for each in entries if each["manager"] == manager]
        return {leaf for tree in trees for leaf in _leaves(tree.get("f:spec", {}))}

    def patch(self, patch: Mapping[str, Any]) -> None:
        """Change the workload as its owner would.

        Raises:
            KubectlError: it was refused.
        """
        self.cluster.kubectl(
            *("patch", self.service.reference, "--namespace", self.namespace),
            *("--field-manager", "owner", "--patch", json.dumps(patch)),
        )

    def operator(self, **options: Any) -> Operator:  # noqa: ANN401 - passed on as they are
        """Return a gc-tuner for this namespace, not started; see `prepare_operator`."""
        return prepare_operator(self.cluster, self.namespace, **options)

    @contextlib.contextmanager
    def operated(self, **options: Any) -> Iterator[Operator]:  # noqa: ANN401 - passed on
        """Run a gc-tuner for this namespace while the context lasts."""
        operator = self.operator(**options)
        operator.process.start()
        try:
            yield operator
        finally:
            operator.process.stop()


def _leaves(fields: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the leaves of a fieldsV1 tree."""
    for key, below in fields.items():
        if key == ".":
            continue
        if below and set(below) != {"."}:
            yield from _leaves(below, f"{path}/{key}")
        else:
            yield f"{path}/{key}"


def tenant(  # noqa: PLR0913 - what a test may vary
    cluster: Cluster,
    name: str,
    environment: Mapping[str, str] = LIGHT,
    *,
    rate: int = 30,
    mode: str | None = "auto",
    memory_request: str = "256Mi",
    memory_limit: str | None = "512Mi",
    neighbours: Sequence[str] = (),
    **options: Any,  # noqa: ANN401 - passed on as they are
) -> Tenant:
    """Describe a tenant; `deploy` makes it.

    Args:
        cluster: where it will run.
        name: what its namespace's name begins with.
        environment: of the service.
        rate: requests per second.
        mode: label of the workload; None sets none.
        memory_request: of the service's container.
        memory_limit: of the service's container.
        neighbours: names of further services like the first, each under the same load.
        options: further ones of `SampleService`.
    """
    namespace = f"{name}-{secrets.token_hex(2)}"

    def service(name: str) -> SampleService:
        return SampleService(
            name=name,
            namespace=namespace,
            environment=environment,
            memory_request=memory_request,
            memory_limit=memory_limit,
            labels={} if mode is None else {"gc-tuner.io/mode": mode},
            **options,
        )

    return Tenant(
        cluster=cluster,
        namespace=namespace,
        service=service(SERVICE),
        rate=rate,
        neighbours=[service(each) for each in neighbours],
    )


def live_tenant(
    cluster: Cluster,
    name: str,
    environment: Mapping[str, str] = LIGHT,
    **options: Any,  # noqa: ANN401 - passed on
) -> Tenant:
    """Describe a tenant with a live ConfigMap that holds nothing yet; options as of `tenant`."""
    bare = tenant(cluster, name, environment, live_config_map=LIVE_CONFIG_MAP, **options)
    return replace(bare, objects=[live_config_map(LIVE_CONFIG_MAP, bare.namespace, {})])


@contextlib.contextmanager
def deployed(tenants: Mapping[str, Tenant]) -> Iterator[Mapping[str, Tenant]]:
    """Deploy tenants at once, wait for them, and take them away at the end.

    Raises:
        TimeoutError: a service did not become ready.
    """
    try:
        for each in tenants.values():
            each.deploy()
        for each in tenants.values():
            each.wait()
        yield tenants
    finally:
        for each in tenants.values():
            each.cluster.kubectl(
                "delete", "namespace", each.namespace, "--wait=false", "--ignore-not-found"
            )


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The pointer-rich service that the main job is done on, and the operator that does it.

    Attributes:
        tenant: the service.
        operator: at work on it from the beginning.
    """

    tenant: Tenant
    operator: Operator

    def changed_at(self) -> float:
        """Return when the service was first written to, seconds since the Unix epoch."""
        return self.operator.writes("deployments")[0].at.timestamp()


@contextlib.contextmanager
def tune(cluster: Cluster) -> Iterator[Tuning]:
    """Deploy the pointer-rich service, start tuning it, and take it away at the end.

    Nothing else should be busy meanwhile: beside services that come and go, CPU per request is not
    the same on both sides of a trial, whatever is changed.

    Raises:
        TimeoutError: it did not become ready.
        ProcessError: the operator did not start.
    """
    # Where a machine's host takes most of it away, more would be more than is left.
    half = {**POINTER_RICH, "LIVE_HEAP_BYTES": "24Mi"}
    busy = tenant(cluster, "busy", half, rate=80, memory_request="192Mi", memory_limit="256Mi")
    busy.deploy()
    try:
        busy.wait()
        # Nearly as long a trial, against a neighbour's noise, as the windows being short allows.
        with busy.operated(settings={"trial": {"windows": 8}}) as operator:
            yield Tuning(tenant=busy, operator=operator)
    finally:
        cluster.kubectl("delete", "namespace", busy.namespace, "--wait=false")


@contextlib.contextmanager
def set_stage(cluster: Cluster) -> Iterator[Mapping[str, Tenant]]:
    """Deploy all other tenants at once, by what they are for, and wait for them.

    Raises:
        TimeoutError: a service did not become ready.
    """
    tenants = {
        "recommended": tenant(cluster, "recommended", mode="recommend"),
        "observed": tenant(cluster, "observed"),
        "owned": tenant(cluster, "owned", {**LIGHT, "GOGC": "110"}),
        "contested": tenant(cluster, "contested"),
        "before-patch": tenant(cluster, "before-patch"),
        "after-patch": tenant(cluster, "after-patch"),
        "mid-trial": tenant(cluster, "mid-trial"),
    }
    for each in tenants.values():
        each.deploy()
    for each in tenants.values():
        each.wait()
    yield tenants


def taken_back(operator: Operator) -> bool:
    """Whether a change has done harm and its rollback is through."""
    record = operator.record(SERVICE)
    verdicts = [each["verdict"] for each in record.get("history", [])]
    return "Regressed" in verdicts and "trial" not in record
