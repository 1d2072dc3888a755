"""Where a fault happens: a few tuned services of their own, and the replicas that tune them."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.e2e.stage import SERVICE, tenant
from tests.e2e.testbed.audit import AuditEvent, AuditTail
from tests.e2e.testbed.operator import ELECTION, LEASE, PROBE_SECONDS
from tests.e2e.testbed.processes import wait_for
from tests.faults.judge import Change, Judgement, judge, planned
from tuner.model.workload import GOGC

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator
    from tests.e2e.testbed.proxy import FaultProxy
    from tests.faults.account import MountedAccount

INTERVAL_SECONDS = 3.0
RATE_WINDOW_SECONDS = 8.0
# Seconds where production has minutes, with its ratios; leader election is as in production.
_SETTINGS: Mapping[str, Any] = {
    "interval": "3s",
    "rateWindow": "8s",
    "warmUp": "4s",
    "staleAfter": "8s",
    "trial": {"windows": 2, "requests": 50, "settleCycles": 2, "patience": 6},
    "guards": {"rolloutsInNamespace": 2},
    "leaderElection": ELECTION,
}
_PROMETHEUS: Mapping[str, Any] = {"timeout": "2s"}
_KUBERNETES: Mapping[str, Any] = {"timeout": "2s", "staleAfter": "30s"}
PINS = (80, 120)
"""Each order pins a service to the one that it is not at: there is always something to write."""
_RATE = 12
_POLL_SECONDS = 0.2
_LAST_TICK = "gc_tuner_last_tick_timestamp_seconds "


class AuditLog:
    """The API server's audit log so far, read once for all lanes: the writes, bodies included."""

    def __init__(self, path: Path) -> None:
        """Begin at the beginning of the log."""
        self._tail = AuditTail(path)
        self._lock = threading.Lock()
        self._events: defaultdict[str, list[AuditEvent]] = defaultdict(list)

    def events(self, namespaces: Collection[str]) -> Sequence[AuditEvent]:
        """Return every write of a workload, a record or a Lease in some namespaces."""
        with self._lock:
            for each in self._tail.read():
                if each.sent is not None or each.answered is not None:
                    self._events[each.namespace].append(each)
            return [each for namespace in namespaces for each in self._events[namespace]]


@dataclass(frozen=True)
class Replica:
    """One gc-tuner, and what stands between it and the world.

    Attributes:
        operator: its process.
        api: before the API server; None: nothing.
        prometheus: before Prometheus; None: nothing.
        account: what it knows its service account by, where that is as in a pod.
    """

    operator: Operator
    api: FaultProxy | None = None
    prometheus: FaultProxy | None = None
    account: MountedAccount | None = None


@dataclass(frozen=True)
class Order:
    """A pin that was laid down for a service: something to write.

    Attributes:
        service: its name.
        gogc: percent.
        at: when.
    """

    service: str
    gogc: int
    at: datetime


@dataclass
class Lane:
    """Services in a namespace of their own, tuned by replicas of their own.

    Attributes:
        name: for people.
        tenant: the services.
        replicas: two or more.
        audit: the log.
        beside: further tenants of the same replicas; no orders are given for them.
    """

    name: str
    tenant: Tenant
    replicas: Sequence[Replica]
    audit: AuditLog
    beside: Sequence[Tenant] = ()
    _pins: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _turns: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        """Take the services in turn: one's trial ends while others have theirs."""
        self._turns = itertools.cycle([each.name for each in self.tenant.services])

    @property
    def cluster(self) -> Cluster:
        """Where it is."""
        return self.tenant.cluster

    @property
    def operators(self) -> list[Operator]:
        """Of all replicas."""
        return [each.operator for each in self.replicas]

    def leaderless(self) -> bool:
        """Whether nobody says that it leads."""
        return not any(each.leads() for each in self.operators)

    def leader(self) -> Replica:
        """The one that leads, once there is one.

        Raises:
            TimeoutError: nobody does.
        """
        return self.other_leader(())

    def other_leader(self, than: Sequence[Replica]) -> Replica:
        """The first one that leads, of all but some.

        Raises:
            TimeoutError: nobody does.
        """
        found: list[Replica] = []

        def leads() -> bool:
            others = [each for each in self.replicas if each not in than]
            found.extend(each for each in others if each.operator.leads())
            return bool(found)

        self.wait(leads, "a leader")
        return found[0]

    def wait(self, predicate: Callable[[], bool], what: str) -> None:
        """See `processes.wait_for`.

        Raises:
            TimeoutError: it did not come true in time.
        """
        words = f"{what}, on lane {self.name}"
        wait_for(predicate, words, interval_seconds=_POLL_SECONDS)

    def order_all(self) -> None:
        """Give every service its first pin."""
        for each in self.tenant.services:
            self._pins[each.name] = PINS[0]
        self.lay_down()

    def order(self, service: str | None = None) -> Order:
        """Give whoever leads something to write: pin a service to another value.

        Args:
            service: which; by default the one whose turn it is.
        """
        name = service or next(self._turns)
        now = self._pins.get(name, PINS[1])
        self._pins[name] = PINS[0] if now == PINS[1] else PINS[1]
        at = datetime.now(tz=UTC)  # it may be obeyed before kubectl has come back
        self.lay_down()
        return Order(name, self._pins[name], at)

    def lay_down(self) -> None:
        """Write the overrides as they are now to be."""
        number = next(self._numbers)
        entries = [
            f"  - name: order-{number}-{name}\n"
            f"    match: {{namespace: {self.tenant.namespace}, name: {name}}}\n"
            f"    pin: {{gogc: {gogc}, immediate: true}}\n"
            "    reason: something to write\n"
            for name, gogc in self._pins.items()
        ]
        self.tenant.order("overrides:\n" + "".join(entries))

    def wait_ready(self) -> None:
        """Wait until all replicas have seen the cluster.

        Raises:
            TimeoutError: one does not.
        """
        self.wait(lambda: all(each.ready() for each in self.operators), "all replicas ready")

    def wait_calm(self) -> None:
        """Wait until somebody leads, others stand by, and the next service is at its pin.

        After the API server was away, the cluster's own controllers take two minutes to go on.

        Raises:
            TimeoutError: it does not come to that.
        """
        self.wait_ready()
        self.leader()
        name = next(self._turns)
        self._turns = itertools.chain([name], self._turns)

        def at_pin() -> bool:
            found = self.operators[0].record(name)
            return found.get("reason") == "at_pin" and "trial" not in found

        words = f"{name} of lane {self.name} at its pin"
        wait_for(at_pin, words, interval_seconds=2.0)

    def decided(self, since: float) -> bool:
        """Whether a leader has ended a tick on figures that began since, seconds of the epoch."""
        return any(_decides(each.operator, since) for each in self.replicas)

    def judgement(self) -> Judgement:
        """Hold all that was written so far against what it had to be."""
        namespaces = [each.namespace for each in (self.tenant, *self.beside)]
        users = {each.user for each in self.operators}
        return judge(self.audit.events(namespaces), users)

    def written(self, order: Order) -> Change | None:
        """The write that an order led to, once there is one."""
        wanted = (GOGC, str(order.gogc))
        for each in self.judgement().changes:
            wrote = {(name, after) for (_, name), (_, after) in each.moves.items()}
            if each.name == order.service and each.at >= order.at and wanted in wrote:
                return each
        return None

    def planned(self, order: Order) -> bool:
        """Whether the record says that what was ordered is about to be written."""
        moves = planned(self.operators[0].record(order.service).get("trial", {}))
        return any(
            (name, after) == (GOGC, str(order.gogc)) for (_, name), (_, after) in moves.items()
        )

    def revive(self) -> None:
        """Start replicas that do not run, as their Deployment would."""
        for each in self.operators:
            each.process.start(wait=False)

    def unseen(self) -> list[str]:
        """Services whose settings are not those that the log ends with: it has not seen a write."""
        judged = self.judgement().changes
        found = []
        for service in self.tenant.services:
            last = {
                name: after
                for each in judged
                if (each.namespace, each.name) == (service.namespace, service.name)
                for (_, name), (_, after) in each.moves.items()
            }
            env = self.tenant.env(service.name)
            found += [
                f"{service.name}: {name}={env.get(name)}, last written {after}"
                for name, after in last.items()
                if env.get(name) != after
            ]
        return found


def _decides(operator: Operator, since: float) -> bool:
    try:
        lines = operator.get("/metrics", PROBE_SECONDS).splitlines()
    except OSError:
        return False
    at = next((float(each.split()[-1]) for each in lines if each.startswith(_LAST_TICK)), 0.0)
    leads = f'gc_tuner_leader{{lease="{LEASE}"}} 1.0' in lines
    return leads and at >= since and "gc_tuner_source_up 1.0" in lines


def settings(tenants: Sequence[Tenant], **kubernetes: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """Return the settings of a replica that looks after some tenants and sees no others.

    Args:
        tenants: its own.
        kubernetes: further settings of that section.
    """
    namespaces = [each.namespace for each in tenants]
    selector = f'namespace=~"{"|".join(namespaces)}"'
    return {
        **_SETTINGS,
        "prometheus": {**_PROMETHEUS, "selector": selector},
        "kubernetes": {**_KUBERNETES, "namespaces": namespaces, **kubernetes},
    }


def services(cluster: Cluster, name: str, number: int) -> Tenant:
    """Describe a lane's services.

    Args:
        cluster: where.
        name: what the namespace's name begins with.
        number: of services.
    """
    neighbours = [f"{SERVICE}-{each}" for each in range(2, number + 1)]
    return tenant(cluster, name, rate=_RATE, neighbours=neighbours)
