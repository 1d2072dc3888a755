"""Two replicas over one namespace: one writes, and never both, whatever becomes of the leader."""

from __future__ import annotations

import contextlib
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.stage import SERVICE, deployed, tenant
from tests.e2e.testbed.audit import WRITING_VERBS
from tests.e2e.testbed.operator import ELECTION, LEASE
from tests.e2e.testbed.processes import Stopwatch, wait_for
from tests.e2e.testbed.proxy import FaultProxy, Passage
from tests.faults.catalogue import LEASE_SECONDS, TAKE_OVER_SECONDS
from tuner.cluster import ClusterAccess, LeaseObject, connect
from tuner.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tests.e2e.stage import Tenant
    from tests.e2e.testbed.audit import AuditEvent
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator
    from tests.e2e.testbed.proxy import Request

# As in production, the pace of the standby's looks included.
DURATIONS: Mapping[str, Any] = {"leaderElection": ELECTION}
# By a `Stopwatch`: what it takes by these durations, and half a second or more.
HANDS_OVER_SECONDS, LOSES_SECONDS, STOPS_SECONDS = 3.0, 5.0, 5.5
LOOKS_AFTER_RELEASE = 2
"""One that finds the Lease free, and one that was under way. Until it ends there would be eight."""
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

    def leader(self) -> tuple[Operator, Operator]:
        """The one that leads, once there is one, and the other."""
        self.cluster.wait_for(lambda: bool(self.leaders()), "a leader")
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

    def wait_noted(self) -> None:
        """Nudge, and wait until it is in the record."""
        name = self.nudge()
        self.cluster.wait_for(lambda: self.noted(name), f"{name} on record")

    def accepted(self, since: datetime | None = None) -> list[AuditEvent]:
        """What the API server took from both, Leases included, in its order."""
        users = {self.first.user, self.second.user}
        events = self.cluster.audit_events(verbs=WRITING_VERBS, since=since)
        return [each for each in events if each.user in users and each.code < 300]

    def lease_requests(
        self, verbs: Collection[str], since: datetime | None = None
    ) -> list[AuditEvent]:
        """What was asked about the Lease by anybody, in the order in which it arrived."""
        found = self.cluster.audit_events(verbs=verbs, resource="leases", since=since)
        return [each for each in found if each.namespace == self.tenant.namespace]

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
    took = wait_for(standby.leads, "the standby leading")
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
    pair.cluster.wait_for(standby.leads, "the standby leading")
    pair.wait_noted()
    until = since + FROZEN
    pair.cluster.wait_for(lambda: datetime.now(tz=UTC) > until, "30 s of frost")
    pair.nudge()
    woken = datetime.now(tz=UTC)
    leader.process.resume()
    pair.cluster.wait_for(
        lambda: any("leads no longer" in line.get("detail", "") for line in leader.log()),
        "the frozen one standing by",
    )
    pair.wait_noted()
    pair.check_writers()
    assert leader.writes(since=woken) == []
    assert standby.writes(since=woken) != []
    assert pair.leaders() == [standby]


def test_a_deleted_lease_ends_all_writes_for_a_lease_duration(pair: Pair) -> None:
    former, other = pair.leader()
    pair.wait_noted()
    asked = datetime.now(tz=UTC)
    pair.cluster.kubectl("delete", "lease", LEASE, "--namespace", pair.tenant.namespace)
    assert wait_for(lambda: not pair.leaders(), "nobody leading") < LOSES_SECONDS
    pair.nudge()
    leader, _ = pair.leader()
    pair.wait_noted()
    # From before the deletion on: a renewal that came first may have been answered after it.
    since = pair.lease_requests(WRITING_VERBS, since=asked)
    refused = next(each for each in since if each.user == former.user and each.code >= 400)
    made = next(each for each in since if each.verb == "create" and each.code < 300)
    assert made.user == leader.user
    again = [each for each in (*former.writes(), *other.writes()) if each.at > refused.at]
    assert {each.user for each in again} == {leader.user}
    assert (min(each.at for each in again) - made.at).total_seconds() >= LEASE_SECONDS


def test_a_leader_that_is_told_to_stop_hands_over(pair: Pair) -> None:
    leader, standby = pair.leader()
    pair.wait_noted()
    ending = threading.Thread(target=leader.process.stop)
    ending.start()
    took = wait_for(standby.leads, "the standby leading")
    ending.join()
    print(f"handed over after {took:.1f} s")
    assert took < HANDS_OVER_SECONDS
    written = pair.lease_requests(WRITING_VERBS)
    released = max(each.at for each in written if each.user == leader.user)
    claimed = min(each.at for each in written if each.user == standby.user and each.at > released)
    looks = [
        each
        for each in pair.lease_requests({"get"}, since=released)
        if each.user == standby.user and each.at < claimed
    ]
    assert len(looks) <= LOOKS_AFTER_RELEASE
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
        cluster.wait_for(operator.leads, "it leading")
        hangs.set()
        led.order("overrides: []\n")
        cluster.wait_for(lambda: not operator.leads(), "its renewals hanging")
        with Stopwatch() as watch:
            operator.process.stop()
            assert watch.seconds < STOPS_SECONDS


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
