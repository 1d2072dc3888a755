"""All lanes on one cluster: deployed and operated together, so that none waits for another."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.stage import deployed
from tests.e2e.testbed.operator import grant
from tests.e2e.testbed.proxy import FaultProxy
from tests.faults.account import MountedAccount
from tests.faults.catalogue import Place
from tests.faults.lane import AuditLog, Lane, Replica, services, settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator

_PAIR = ("gc-tuner", "gc-tuner-b")


@dataclass(frozen=True)
class Scene:
    """What faults are inflicted on.

    Attributes:
        lanes: by what they are for.
        kill_lanes: on which leaders are killed again and again.
    """

    lanes: Mapping[Place, Lane]
    kill_lanes: Sequence[Lane]


@contextlib.contextmanager
def set_scene(
    cluster: Cluster, places: Collection[Place], *, kill_lanes: int = 0, number: int = 2
) -> Iterator[Scene]:
    """Deploy the services and start the replicas of some lanes, and end them.

    Args:
        cluster: where.
        places: which of them; that of faults in what all share needs none of its own.
        kill_lanes: how many on which leaders are killed.
        number: of services on each lane but those for kills, which have one.

    Raises:
        TimeoutError: a service did not become ready.
        ProcessError: a replica did not start.
    """
    own = [each for each in Place if each in places and each is not Place.ALL]
    tenants = {each.name.lower(): services(cluster, each.name.lower(), number) for each in own}
    numbers = range(1, kill_lanes + 1)
    tenants |= {f"kills {each}": services(cluster, f"kills-{each}", 1) for each in numbers}
    if Place.OBJECTS in own:
        tenants["doomed"] = services(cluster, "doomed", 1)
    with deployed(tenants), contextlib.ExitStack() as stack:
        builder = _Builder(cluster, AuditLog(cluster.audit_log), stack, tenants)
        lanes: dict[Place, Lane] = {each: builder.lane(each) for each in own}
        killed = [builder.plain(f"kills {each}") for each in numbers]
        processes = [
            operator.process for lane in (*lanes.values(), *killed) for operator in lane.operators
        ]
        for process in processes:
            stack.callback(process.kill)
            process.start(wait=False)
        for process in processes:
            process.wait_ready()
        yield Scene(lanes, killed)


@dataclass(frozen=True)
class _Builder:
    cluster: Cluster
    audit: AuditLog
    stack: contextlib.ExitStack
    tenants: Mapping[str, Tenant]

    def lane(self, place: Place) -> Lane:
        """Make the lane of a place; nothing of it runs yet."""
        name = place.name.lower()
        match place:
            case Place.API:
                return self._made(name, [self._behind_api(name, each) for each in _PAIR])
            case Place.PROMETHEUS:
                return self._made(name, [self._behind_prometheus(name, each) for each in _PAIR])
            case Place.POD:
                return self._made(name, [self._as_pod(name, each) for each in _PAIR])
            case _:
                return self._with_a_doomed_namespace(name)

    def plain(self, name: str) -> Lane:
        """Make a lane with nothing in between."""
        return self._made(name, [Replica(self._operator(name, each)) for each in _PAIR])

    def _operator(self, name: str, account: str, **options: Any) -> Operator:  # noqa: ANN401
        """As of `prepare_operator`; it sees the services of its own namespace alone."""
        tenant = self.tenants[name]
        return tenant.operator(settings=settings([tenant]), account=account, **options)

    def _made(self, name: str, replicas: Sequence[Replica], beside: Sequence[Tenant] = ()) -> Lane:
        return Lane(name, self.tenants[name], replicas, self.audit, beside)

    def _behind_api(self, name: str, account: str) -> Replica:
        authority = self.cluster.control_plane.authority.certificate
        proxy = self.stack.enter_context(FaultProxy(self.cluster.api_url, authority))
        return Replica(self._operator(name, account, api_url=proxy.url), api=proxy)

    def _behind_prometheus(self, name: str, account: str) -> Replica:
        proxy = self.stack.enter_context(FaultProxy(self.cluster.prometheus_url))
        operator = self._operator(name, account, prometheus_url=proxy.url)
        return Replica(operator, prometheus=proxy)

    def _as_pod(self, name: str, account: str) -> Replica:
        tenant = self.tenants[name]
        in_pod = settings([tenant], kubeconfig=None)
        operator = tenant.operator(settings=in_pod, account=account)
        folder = operator.config.parent / "account"
        mounted = MountedAccount(self.cluster, tenant.namespace, account, folder)
        mounted.rotate()
        return Replica(mounted.worn_by(operator), account=mounted)

    def _with_a_doomed_namespace(self, name: str) -> Lane:
        tenant, doomed = self.tenants[name], self.tenants["doomed"]
        both = settings([tenant, doomed])
        replicas = [Replica(tenant.operator(settings=both, account=each)) for each in _PAIR]
        for each in _PAIR:
            # Rights in a namespace go with it; those of the chart's ClusterRole do not.
            grant(self.cluster, tenant.namespace, each, everywhere=True)
        return self._made(name, replicas, [doomed])
