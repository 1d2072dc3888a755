"""Two replicas over one namespace: one writes, and never both, whatever becomes of the leader."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stage import SERVICE, deployed, tenant
from tests.e2e.testbed.audit import WRITING_VERBS
from tests.e2e.testbed.operator import LEASE
from tests.e2e.testbed.proxy import FaultProxy, Passage
from tuner.cluster import ClusterAccess, LeaseObject, connect
from tuner.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.audit import AuditEvent
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator
    from tests.e2e.testbed.proxy import Request

# As in production, unlike everything else here.
DURATIONS: Mapping[str, Any] = {
    "leaderElection": {"leaseDuration": "15s", "renewDeadline": "10s", "retryPeriod": "2s"}
}
LEASE_SECONDS, RETRY_SECONDS = 15.0, 2.0
TAKE_OVER_SECONDS = 18.0
FROZEN = timedelta(seconds=30)
FIRST, SECOND = "gc-tuner", "gc-tuner-b"


@dataclass(frozen=True)
class Pair:
    """Two replicas at work on one tenant."""

    tenant: Tenant
    first: Operator
    second: Operator
    _orders: Iterator[int] = field(default_factory=itertools.count)

    @property
    def cluster(self) -> Cluster:
        return self.tenant.cluster

    def leaders(self) -> list[Operator]:
        return [each for each in (self.first, self.second) if each.leads()]

    def leader(self, timeout_seconds: float = 40.0) -> tuple[Operator, Operator]:
        """The one that leads, once there is one, and the other."""
        self.cluster.wait_for(lambda: bool(self.leaders()), timeout_seconds, "a leader")
        (leading,) = self.leaders()
        return leading, self.second if leading is self.first else self.first

    def nudge(self) -> str:
        """Give whoever leads something to write at once: the record notes when it saw an order."""
        name = f"order-{next(self._orders)}"
        self.tenant.order(
            "overrides:\n"
            f"  - name: {name}\n"
            f'    match: {{namespace: "*", name: {SERVICE}}}\n'
            "    freeze: true\n"
            "    reason: something to write down\n"
            "    expires: for 2h\n"
        )
        return name

    def noted(self, name: str) -> bool:
        sightings = self.first.record(SERVICE).get("sightings", [])
        return name in {each["entry"].partition(":")[0] for each in sightings}

    def wait_noted(self, timeout_seconds: float = 20.0) -> None:
        """Nudge, and wait until it is in the record."""
        name = self.nudge()
        self.cluster.wait_for(lambda: self.noted(name), timeout_seconds, f"{name} on record")

    def accepted(self, since: datetime | None = None) -> list[AuditEvent]:
        """What the API server took from both, Leases included, in its order."""
        users = {self.first.user, self.second.user}
        events = self.cluster.audit_events(verbs=WRITING_VERBS, since=since)
        return [each for each in events if each.user in users and each.code < 300]

    def check_writers(self) -> None:
        """Every write is of the one who last got or renewed the Lease."""
        holder = ""
        for each in self.accepted():
            if each.resource == "leases":
                holder = each.user
            else:
                assert each.user == holder, f"{each} while {holder} held the Lease"


@pytest.fixture(scope="module")
def led(cluster: Cluster) -> Iterator[Tenant]:
    with deployed({"led": tenant(cluster, "led", rate=5)}) as running:
        yield running["led"]


@pytest.fixture
def pair(led: Tenant) -> Iterator[Pair]:
    with (
        led.operated(settings=DURATIONS, account=FIRST) as first,
        led.operated(settings=DURATIONS, account=SECOND) as second,
    ):
        made = Pair(led, first, second)
        yield made
        first.process.resume()
        second.process.resume()


def test_a_killed_leader_is_replaced_and_a_standby_wrote_nothing(pair: Pair) -> None:
    leader, standby = pair.leader()
    pair.wait_noted()
    assert standby.ready()
    assert standby.writes() == []
    leader.process.kill()
    killed = time.monotonic()
    pair.cluster.wait_for(standby.leads, 2 * TAKE_OVER_SECONDS, "the standby leading")
    took = time.monotonic() - killed
    print(f"taken over after {took:.1f} s")
    assert took < TAKE_OVER_SECONDS
    pair.wait_noted()
    pair.check_writers()


def test_a_leader_that_was_frozen_finds_itself_fenced(pair: Pair) -> None:
    leader, standby = pair.leader()
    pair.wait_noted()
    since = datetime.now(tz=UTC)
    leader.process.pause()
    # What it will want to write as soon as it wakes up.
    pair.nudge()
    pair.cluster.wait_for(standby.leads, 2 * TAKE_OVER_SECONDS, "the standby leading")
    pair.wait_noted()
    until = since + FROZEN
    pair.cluster.wait_for(lambda: datetime.now(tz=UTC) > until, 60, "30 s of frost")
    pair.nudge()
    woken = datetime.now(tz=UTC)
    leader.process.resume()
    pair.cluster.wait_for(
        lambda: any("leads no longer" in line.get("detail", "") for line in leader.log()),
        20,
        "the frozen one standing by",
    )
    pair.wait_noted()
    pair.check_writers()
    assert leader.writes(since=woken) == []
    assert standby.writes(since=woken) != []
    assert pair.leaders() == [standby]


def test_a_deleted_lease_ends_all_writes_for_a_lease_duration(pair: Pair) -> None:
    pair.leader()
    pair.wait_noted()
    pair.cluster.kubectl("delete", "lease", LEASE, "--namespace", pair.tenant.namespace)
    deleted = datetime.now(tz=UTC)
    pair.cluster.wait_for(lambda: not pair.leaders(), 5, "nobody leading")
    pair.nudge()
    leader, standby = pair.leader()
    pair.wait_noted()
    made = next(each for each in pair.accepted(since=deleted) if each.verb == "create")
    assert made.resource == "leases"
    assert made.user == leader.user
    quiet = deleted + timedelta(seconds=2 * RETRY_SECONDS)
    again = min(each.at for each in leader.writes(since=quiet))
    assert (again - made.at).total_seconds() >= LEASE_SECONDS
    assert standby.writes(since=quiet) == []


def test_a_leader_that_is_told_to_stop_hands_over(pair: Pair) -> None:
    leader, standby = pair.leader()
    pair.wait_noted()
    told = time.monotonic()
    ending = threading.Thread(target=leader.process.stop)
    ending.start()
    pair.cluster.wait_for(standby.leads, 20, "the standby leading")
    took = time.monotonic() - told
    ending.join()
    print(f"handed over after {took:.1f} s")
    assert took < 3.0
    pair.wait_noted()
    pair.check_writers()


def test_told_to_stop_it_ends_within_5_s_though_the_api_server_hangs(led: Tenant) -> None:
    cluster, hangs, over = led.cluster, threading.Event(), threading.Event()

    def hang(_request: Request) -> Passage:
        if hangs.is_set():
            over.wait(60)
            return Passage.LOSE_REQUEST
        return Passage.FORWARD

    with (
        FaultProxy(cluster.api_url, cluster.control_plane.authority.certificate) as proxy,
        contextlib.ExitStack() as stack,
    ):
        proxy.ask(hang)
        stack.callback(over.set)
        operator = stack.enter_context(led.operated(settings=DURATIONS, api_url=proxy.url))
        cluster.wait_for(operator.leads, 40, "it leading")
        hangs.set()
        led.order("overrides: []\n")
        cluster.wait_for(lambda: not operator.leads(), 20, "its renewals hanging")
        told = time.monotonic()
        operator.process.stop()
        assert time.monotonic() - told < 5.5


def test_a_lease_that_was_deleted_is_not_brought_back_by_its_holder(
    cluster: Cluster, namespace: str
) -> None:
    api = connect(ClusterAccess(kubeconfig=cluster.control_plane.admin_kubeconfig))
    with contextlib.closing(api):
        lease = LeaseObject(api, namespace, LEASE, duration_seconds=15.0)
        held = lease.claim(lease.claim(None, "a", 5.0), "a", 5.0)
        cluster.kubectl("delete", "lease", LEASE, "--namespace", namespace)
        with pytest.raises(ConflictError):
            lease.claim(held, "a", 5.0)
        assert lease.read(5.0) is None
