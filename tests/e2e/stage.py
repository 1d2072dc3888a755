"""The services that the loop is tried on: deployed together, so that no test waits for its own."""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.testbed.manifests import APP_CONTAINER, Load, SampleService
from tests.e2e.testbed.operator import Operator, prepare_operator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.testbed.cluster import Cluster

SERVICE = "web"
LOAD = "load"

# Under half a core in all at GOGC=100, nearly half of it for GC; client_golang's default metrics.
POINTER_RICH: Mapping[str, str] = {
    "LIVE_HEAP_BYTES": "48Mi",
    "LIVE_HEAP_KIND": "pointers",
    "GARBAGE_BYTES_PER_REQUEST": "1Mi",
    "ITERATIONS_PER_REQUEST": "100000",
}
# The same in small: some hundredths of a core, so that many can run beside each other.
LIGHT: Mapping[str, str] = {
    "LIVE_HEAP_BYTES": "8Mi",
    "LIVE_HEAP_KIND": "pointers",
    "GARBAGE_BYTES_PER_REQUEST": "512Ki",
    "ITERATIONS_PER_REQUEST": "20000",
    "RUNTIME_METRICS": "all",
}


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One service under load in a namespace of its own.

    Attributes:
        cluster: where it runs.
        namespace: its own.
        service: as it was deployed.
        rate: requests per second.
    """

    cluster: Cluster
    namespace: str
    service: SampleService
    rate: int

    def deploy(self) -> None:
        """Create the namespace, the service and the load, without waiting for them.

        Raises:
            KubectlError: one was refused.
        """
        self.cluster.create_namespace(self.namespace)
        load = Load(
            name=LOAD,
            namespace=self.namespace,
            targets_url=self.cluster.endpoints_url(self.namespace, self.service.name),
            schedule=f"constant:{self.rate}",
        )
        self.cluster.apply([*self.service.manifests(), *load.manifests()])

    def wait(self) -> None:
        """Wait until all pods are ready.

        Raises:
            TimeoutError: not in time.
        """
        self.cluster.wait_for_rollout(self.namespace, f"deployment/{SERVICE}", timeout_seconds=120)

    def deployment(self) -> dict[str, Any]:
        """Return the service's Deployment, managed fields included."""
        return self.cluster.get(
            "deployment", SERVICE, "--namespace", self.namespace, "--show-managed-fields"
        )

    def env(self) -> dict[str, str]:
        """Return the env of the service's container, values only."""
        containers = self.deployment()["spec"]["template"]["spec"]["containers"]
        container = next(each for each in containers if each["name"] == APP_CONTAINER)
        return {each["name"]: each.get("value", "") for each in container["env"]}

    def revision(self) -> int:
        """Return how many pod templates there were, each of them a rollout."""
        annotations = self.deployment()["metadata"]["annotations"]
        return int(annotations["deployment.kubernetes.io/revision"])

    def patch(self, patch: Mapping[str, Any]) -> None:
        """Change the Deployment as its owner would.

        Raises:
            KubectlError: it was refused.
        """
        self.cluster.kubectl(
            *("patch", "deployment", SERVICE, "--namespace", self.namespace),
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


def tenant(  # noqa: PLR0913 - what a test may vary
    cluster: Cluster,
    name: str,
    environment: Mapping[str, str] = LIGHT,
    *,
    rate: int = 60,
    mode: str | None = "auto",
    memory_request: str = "256Mi",
    memory_limit: str | None = "512Mi",
) -> Tenant:
    """Describe a tenant; `deploy` makes it."""
    namespace = f"{name}-{secrets.token_hex(2)}"
    return Tenant(
        cluster=cluster,
        namespace=namespace,
        service=SampleService(
            name=SERVICE,
            namespace=namespace,
            environment=environment,
            memory_request=memory_request,
            memory_limit=memory_limit,
            labels={} if mode is None else {"gc-tuner.io/mode": mode},
        ),
        rate=rate,
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
    busy = tenant(
        cluster, "busy", POINTER_RICH, rate=240, memory_request="384Mi", memory_limit="512Mi"
    )
    busy.deploy()
    try:
        busy.wait()
        with busy.operated(settings={"trial": {"windows": 4}}) as operator:
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
