"""Leadership with real threads and requests, on a clock that the test moves."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.contract.cluster.conftest import WEB, kubeconfig
from tests.contract.cluster.leases import LEASES, Leases
from tests.contract.cluster.server import FakeApiServer, Hang, json_reply, refused
from tests.contract.waiting import settle
from tests.e2e.testbed.processes import Stopwatch
from tests.unit.cluster.objects import deployment
from tuner.cluster import (
    Api,
    Candidate,
    ClusterAccess,
    LeaseObject,
    ShardLeadership,
    connect,
    identity,
)
from tuner.cluster.client import Request
from tuner.election import Durations
from tuner.errors import NotLeadingError
from tuner.model.shard import shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DURATIONS = Durations(lease=15.0, renew_deadline=10.0, retry=0.01)
"""By the test's clock; threads look at it a hundred times a second."""
GC_TUNER = f"{LEASES}/gc-tuner"


def until(holds: Callable[[], bool]) -> None:
    settle(holds)
    assert holds()


@dataclass
class View:
    """What has to be read anew before a term is taken up."""

    asked: int = 0
    renewed: bool = True

    def renew(self) -> None:
        self.asked += 1


@dataclass
class Replica:
    """One gc-tuner's leadership."""

    leadership: ShardLeadership
    view: View
    stop: threading.Event
    reports: list[str]

    def leads(self, namespace: str = "shop") -> bool:
        """Whether it does, as of a tick that begins now."""
        self.leadership.begin()
        return self.leadership.term(namespace) is not None

    def led(self) -> int:
        return sum(each.leads for each in self.leadership.standings)

    def end(self) -> None:
        self.stop.set()
        self.leadership.stop()


@dataclass
class Stage:
    """Replicas over the same Leases."""

    api: Api
    leases: Leases
    now: list[float] = field(default_factory=lambda: [1000.0])
    replicas: list[Replica] = field(default_factory=list)

    def replica(self, *names: str) -> Replica:
        """Start one."""
        names = names or ("gc-tuner",)
        reports: list[str] = []
        who = identity(f"pod-{len(self.replicas)}")
        candidates = [
            Candidate(
                LeaseObject(self.api, "ops", name, duration_seconds=DURATIONS.lease),
                who,
                DURATIONS,
                report=reports.append,
                complain=reports.append,
                clock=lambda: self.now[0],
            )
            for name in names
        ]
        leadership = ShardLeadership(candidates, retry_seconds=2.0)
        made = Replica(leadership, View(), threading.Event(), reports)
        self.replicas.append(made)
        leadership.start(made.stop, (made.view,))
        return made

    def pass_time(self, holds: Callable[[], bool]) -> None:
        """Let the clock go, at some ten times its speed, until something holds."""

        def held() -> bool:
            self.now[0] += 0.05
            return holds()

        settle(held)
        assert holds()

    def leader(self) -> Replica:
        """One that leads: it found a Lease that was given up."""
        self.leases.put("gc-tuner", holderIdentity="", leaseDurationSeconds=1)
        first = self.replica()
        until(first.leads)
        return first


@pytest.fixture
def stage(server: FakeApiServer, api: Api) -> Iterator[Stage]:
    made = Stage(api, Leases(server))
    for name in ("gc-tuner", "part-0", "part-1"):
        made.leases.serve(name)
    yield made
    for each in made.replicas:
        each.end()


def write(replica: Replica, namespace: str = "shop") -> None:
    with replica.leadership.writing(namespace):
        pass


def test_a_lease_that_was_given_up_is_taken_at_once(stage: Stage) -> None:
    leader = stage.leader()
    write(leader)
    assert str(stage.leases.holder("gc-tuner")).startswith("pod-0_")
    assert "leads from now on" in leader.reports[-1]


def test_whoever_makes_the_lease_waits_for_a_leader_that_nobody_knows_of(stage: Stage) -> None:
    first, made_at = stage.replica(), stage.now[0]
    until(lambda: stage.leases.holder("gc-tuner") is not None)
    assert not first.leads()
    with pytest.raises(NotLeadingError):
        write(first)
    stage.pass_time(first.leads)
    assert stage.now[0] >= made_at + 15.0


def test_the_fence_closes_by_the_clock_though_nothing_was_heard(
    stage: Stage, server: FakeApiServer
) -> None:
    leader = stage.leader()
    server.on("PUT", GC_TUNER, Hang())
    puts = len(server.asked("PUT", GC_TUNER))
    stage.now[0] += 9.0
    server.wait_asked("PUT", puts + 1, GC_TUNER)
    server.on("PUT", GC_TUNER, Hang())
    stage.now[0] += 11.0
    with pytest.raises(NotLeadingError):
        write(leader)
    assert leader.leadership.term("shop") is None


def test_a_leader_whose_lease_is_gone_stops_and_waits_like_anybody_else(stage: Stage) -> None:
    leader = stage.leader()
    stage.leases.stored.clear()
    stage.now[0] += 1.0
    until(lambda: not leader.leads())
    until(lambda: stage.leases.holder("gc-tuner") is not None)
    stage.now[0] += 9.0
    assert not leader.leads()
    until(lambda: "leads no longer" in leader.reports[-1])


def test_another_takes_over_from_one_that_is_not_heard_of(stage: Stage) -> None:
    stage.leases.put("gc-tuner", holderIdentity="crashed", leaseDurationSeconds=15)
    second = stage.replica()
    until(lambda: any("crashed holds it" in each for each in second.reports))
    stage.now[0] += 14.9
    assert not second.leads()
    stage.now[0] += 0.2
    until(second.leads)
    assert stage.leases.stored["gc-tuner"]["spec"]["leaseTransitions"] == 1


def test_a_stop_releases_the_lease_and_the_next_one_need_not_wait(stage: Stage) -> None:
    leader, next_one = stage.leader(), stage.replica()
    leader.end()
    assert leader.reports[-1].endswith("told to stop")
    assert stage.leases.stored["gc-tuner"]["spec"]["leaseDurationSeconds"] == 1
    with pytest.raises(NotLeadingError):
        write(leader)
    stage.now[0] += DURATIONS.retry
    until(next_one.leads)


def test_after_a_stop_no_tick_leads_while_the_write_in_hand_may_end(stage: Stage) -> None:
    leader = stage.leader()
    with leader.leadership.writing("shop"):
        leader.stop.set()
        assert leader.leadership.term("shop") is None
        write(leader)  # what belongs to it, such as its record
        assert stage.leases.holder("gc-tuner") != ""
    leader.end()
    assert stage.leases.holder("gc-tuner") == ""


def test_a_lease_is_not_released_under_a_write_that_does_not_end(stage: Stage) -> None:
    leader = stage.leader()
    with leader.leadership.writing("shop"):
        leader.end()
        assert stage.leases.holder("gc-tuner") != ""


def test_a_lease_that_others_may_not_rely_on_yet_is_not_released(stage: Stage) -> None:
    first = stage.replica()
    until(lambda: stage.leases.holder("gc-tuner") is not None)
    first.end()
    assert stage.leases.holder("gc-tuner") != ""


def test_a_term_is_taken_up_by_the_tick_that_begins_once_all_is_read_anew(stage: Stage) -> None:
    stage.leases.put("gc-tuner", holderIdentity="", leaseDurationSeconds=1)
    first = stage.replica()
    first.view.renewed = False
    until(lambda: first.view.asked == 1 and first.led() == 1)
    assert not first.leads()
    first.view.renewed = True
    assert first.leadership.term("shop") is None
    with pytest.raises(NotLeadingError):
        write(first)
    assert first.leads()
    write(first)


def test_shards_are_split_between_replicas_and_taken_over(stage: Stage) -> None:
    parts = ("part-0", "part-1")
    for name in parts:
        stage.leases.put(name, holderIdentity="crashed", leaseDurationSeconds=15)
    first, second = stage.replica(*parts), stage.replica(*parts)
    both = (first, second)
    until(lambda: all(len(each.reports) == 2 for each in both))
    stage.now[0] += 15.5
    stage.pass_time(lambda: first.led() + second.led() == 2)
    assert [each.led() for each in both] == [1, 1]
    assert [shard_of(name, 2) for name in ("shop", "search")] == [0, 1]
    for name in ("shop", "search"):
        assert [each.leads(name) for each in both].count(True) == 1
    first.end()
    stage.pass_time(lambda: second.led() == 2)


def test_nothing_is_sent_past_a_closed_fence(
    stage: Stage, server: FakeApiServer, tmp_path: Path
) -> None:
    replica = stage.replica()
    access = ClusterAccess(kubeconfig=kubeconfig(tmp_path / "it.json", server.url))
    api = connect(access, replica.leadership.writing)
    server.on("GET", WEB, json_reply(deployment()))
    api.ask(Request(verb="get", what="it", path=WEB))
    with pytest.raises(NotLeadingError):
        api.ask(Request(verb="patch", what="it", path=WEB, body={}))
    assert server.asked("PATCH") == []
    api.close()


def test_a_run_of_one_tick_waits_until_it_leads(stage: Stage) -> None:
    stage.leases.put("gc-tuner", holderIdentity="", leaseDurationSeconds=1)
    only = stage.replica()
    only.leadership.wait_settled(10.0)
    assert only.leads()


def test_a_run_of_one_tick_waits_no_longer_than_until_another_is_seen_to_live(
    stage: Stage,
) -> None:
    stage.leader()
    late = stage.replica()
    waiting = threading.Thread(target=late.leadership.wait_settled, args=(60.0,))
    waiting.start()
    stage.pass_time(lambda: not waiting.is_alive())
    assert not late.leads()


def test_a_run_of_one_tick_does_not_wait_for_an_api_server_that_refuses(
    stage: Stage, server: FakeApiServer
) -> None:
    server.on("GET", f"{LEASES}/other", refused(403, "Forbidden", "leases is forbidden"))
    refused_one = stage.replica("other")
    with Stopwatch() as watch:
        refused_one.leadership.wait_settled(60.0)
        assert watch.seconds < 10
    assert "leases is forbidden" in refused_one.reports[0]
