"""Releases against the cluster of the simulation, after the loop has tuned it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.examples import moved
from tests.scenarios.worlds import BUSY, POLICY, Stage
from tuner.errors import UnavailableError
from tuner.model.trial import Change
from tuner.model.workload import BARRIER, GOGC, GOMEMLIMIT, Rollout, Workload, WorkloadKey
from tuner.overrides.source import BookOverrides
from tuner.release import Cluster, Ended, Plan, Refusal, Terms, Waiting, plans, release_all
from tuner.simulation import Fault, Service
from tuner.simulation.cluster import SimulatedCluster
from tuner.simulation.streams import constant

CALM = Terms(POLICY, stopped=True)
SECOND = replace(BUSY, name="second")
ELSEWHERE = replace(BUSY, name="third", namespace="elsewhere")


@dataclass
class Passing:
    """Time passes in the cluster while somebody waits."""

    cluster: SimulatedCluster
    waits: int = 0
    told_to_stop_after: int = 10_000

    def now(self) -> float:
        return self.cluster.now

    def wait(self, seconds: float) -> bool:
        if seconds > 0:
            self.waits += 1
            self.cluster.advance(seconds)
        return self.waits >= self.told_to_stop_after


@dataclass
class Tuned:
    """Services that the loop has tuned, and what they were like before."""

    stage: Stage
    before: dict[WorkloadKey, Workload]
    time: Passing = field(init=False)

    def __post_init__(self) -> None:
        self.time = Passing(self.stage.cluster)

    @property
    def cluster(self) -> SimulatedCluster:
        return self.stage.cluster

    def world(self, **parts: Any) -> Cluster:  # noqa: ANN401 - in place of the simulation's
        usual = Cluster(self.cluster, self.cluster, self.cluster, BookOverrides(), self.time)
        return replace(usual, **parts)

    def plans(self) -> list[Plan]:
        found = plans(self.world(), CALM)
        assert all(isinstance(each, Plan) for each in found), found
        return [each for each in found if isinstance(each, Plan)]

    def release(self, **parts: Any) -> list[Ended]:  # noqa: ANN401 - as above
        return [each for each in self.told(**parts) if isinstance(each, Ended)]

    def told(self, **parts: Any) -> list[Ended | Waiting]:  # noqa: ANN401 - as above
        return list(release_all(self.world(**parts), CALM, self.plans(), self.time.wait))

    def env(self, key: WorkloadKey) -> dict[str, str | None]:
        entries = self.cluster.workloads()[key].containers[0].env
        return {name: entry.value for name, entry in entries.items()}


def tuned(*services: Service) -> Tuned:
    stage = Stage(*services)
    before = dict(stage.cluster.workloads())
    stage.until(lambda _: len(stage.cluster.all()) == len(before))
    stage.until(
        lambda _: all(
            each.applied is not None and each.trial is None for each in stage.cluster.all().values()
        )
    )
    return Tuned(stage, before)


@pytest.fixture
def one() -> Tuned:
    return tuned(BUSY)


def test_a_tuned_workload_is_again_what_it_was(one: Tuned) -> None:
    key = one.stage.key
    assert GOGC in one.env(key)
    (ended,) = one.release()
    assert (ended.key, ended.done) == (key, True)
    assert "GOGC" in ended.words
    now = one.cluster.workloads()[key]
    assert now.containers[0].env == one.before[key].containers[0].env
    assert now.change_cause is None
    kept = one.cluster.all()[key]
    assert (kept.applied, kept.trial, kept.barrier) == (None, None, None)
    assert kept.history
    assert plans(one.world(), CALM) == []


def test_a_gc_tuner_that_may_only_recommend_sets_nothing_again(one: Tuned) -> None:
    one.cluster.label(one.stage.key, "recommend")
    one.release()
    one.stage.run(200)
    assert one.env(one.stage.key) == {}
    assert one.cluster.all()[one.stage.key].reverted_at is None


def test_a_live_config_map_is_again_what_it_was() -> None:
    live = tuned(replace(BUSY, live=True, gomemlimit="1200MiB"))
    key = live.stage.key
    assert live.env(key)[GOGC] != "100"
    live.release()
    assert live.env(key) == {GOMEMLIMIT: "1200MiB"}


def test_workloads_of_one_namespace_take_turns_and_others_do_not_wait() -> None:
    fleet = tuned(BUSY, SECOND, ELSEWHERE)
    told = fleet.told()
    ends = [each for each in told if isinstance(each, Ended)]
    assert [each.key.name for each in ends] == ["busy", "third", "second"]
    assert all(each.done for each in ends)
    assert told[2] == Waiting(ends[2].key, "gc-tuner is rolling out busy in this namespace")
    assert fleet.cluster.workloads()[ends[0].key].rollout is Rollout.COMPLETE
    assert fleet.cluster.workloads()[ends[2].key].rollout is Rollout.IN_PROGRESS


def test_a_rollout_that_does_not_end_leaves_the_others_for_another_time() -> None:
    fleet = tuned(BUSY, SECOND)
    first, second = sorted(fleet.before)

    @dataclass
    class Stuck:
        inventory: SimulatedCluster

        def workloads(self) -> dict[WorkloadKey, Workload]:
            found = dict(self.inventory.workloads())
            if not fleet.env(first):
                found[first] = replace(found[first], rollout=Rollout.FAILING)
            return found

        def fetch(self, key: WorkloadKey) -> Workload:
            return self.inventory.fetch(key)

    done, left = fleet.release(inventory=Stuck(fleet.cluster))
    assert (done.key, done.done) == (first, True)
    assert (left.key, left.done) == (second, False)
    assert left.words == "not begun: gc-tuner is rolling out busy in this namespace"
    assert fleet.env(second)


def test_a_workload_that_cannot_be_seen_is_not_left_out_in_silence(one: Tuned) -> None:
    class Unseen:
        def workloads(self) -> dict[WorkloadKey, Workload]:
            return {}

    (found,) = plans(one.world(inventory=Unseen()), CALM)
    assert isinstance(found, Refusal)
    assert "cannot be seen" in found.why


def test_being_told_to_stop_leaves_the_rest_as_it_is() -> None:
    fleet = tuned(BUSY, SECOND)
    fleet.time.told_to_stop_after = 1
    done, left = fleet.release()
    assert done.done
    assert left == Ended(left.key, False, "not begun: told to stop")
    assert fleet.env(left.key)


def test_the_trouble_of_one_workload_stops_no_other() -> None:
    fleet = tuned(BUSY, ELSEWHERE)
    fleet.cluster.faults.append(Fault.LOST)
    lost, done = fleet.release()
    assert (lost.done, lost.words) == (False, "the write was lost on its way")
    assert done.done
    assert fleet.env(lost.key)
    assert fleet.cluster.all()[lost.key].applied is not None


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.UNANSWERED])
@pytest.mark.parametrize("of", ["write", "record"])
def test_a_release_that_was_cut_short_is_ended_by_the_next(
    one: Tuned, of: str, fault: Fault
) -> None:
    faults = one.cluster.faults if of == "write" else one.cluster.record_faults
    faults.append(fault)
    (ended,) = one.release()
    assert not ended.done
    one.cluster.advance(600)
    assert all(each.done for each in one.release())
    assert one.env(one.stage.key) == {}
    assert one.cluster.all()[one.stage.key].applied is None


def test_a_workload_that_went_took_its_values_with_it(one: Tuned) -> None:
    planned = one.plans()
    one.cluster.delete(one.stage.key)
    (ended,) = release_all(one.world(), CALM, planned, one.time.wait)
    assert isinstance(ended, Ended)
    assert ended.done
    assert "it is gone" in ended.words


def test_a_write_that_arrives_after_the_release_is_refused(one: Tuned) -> None:
    one.release()
    one.cluster.faults.append(Fault.LATE)
    one.stage.until(lambda _: bool(one.cluster.late))
    (ended,) = one.release()
    assert ended.done
    one.cluster.deliver()
    assert one.env(one.stage.key) == {}
    assert one.cluster.all()[one.stage.key].trial is None


def test_a_threshold_that_arrives_after_the_release_is_refused() -> None:
    flooded = replace(BUSY, live=True, barrier="32", requests_per_second=constant(20_000))
    stage = Stage(replace(flooded, annotations={"latency-target": "20ms"}))
    stage.cluster.faults.append(Fault.LATE)
    stage.until(lambda _: bool(stage.cluster.late))
    kept = stage.cluster.all()[stage.key]
    assert kept.barrier is not None
    assert kept.plan is None
    (ended,) = Tuned(stage, {}).release()
    assert ended.done
    stage.cluster.deliver()
    assert stage.cluster.truth(stage.key).containers[0].literal(BARRIER) == "32"


@dataclass
class Meddled:
    """Somebody changes the workload just before each of so many writes."""

    cluster: SimulatedCluster
    meddle: Callable[[], None]
    times: int

    def write(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        if self.times > 0:
            self.times -= 1
            self.meddle()
        return self.cluster.write(workload, change, cause)

    def withdraw(self, workload: Workload) -> Workload:
        return self.cluster.withdraw(workload)

    def clear_cause(self, workload: Workload) -> None:
        self.cluster.clear_cause(workload)


def test_a_conflict_is_read_again_and_planned_anew(one: Tuned) -> None:
    key = one.stage.key
    meddled = Meddled(one.cluster, lambda: one.cluster.label(key, "off"), 1)
    (ended,) = one.release(actuator=meddled)
    assert ended.done
    assert one.env(key) == {}


def test_a_workload_that_moves_under_each_attempt_is_given_up(one: Tuned) -> None:
    modes = iter(["off", "recommend", "off", "recommend"])
    meddled = Meddled(one.cluster, lambda: one.cluster.label(one.stage.key, next(modes)), 4)
    (ended,) = one.release(actuator=meddled)
    assert not ended.done
    assert meddled.times == 1
    assert one.env(one.stage.key)


def test_more_than_people_agreed_to_is_not_done(one: Tuned) -> None:
    (planned,) = one.plans()
    agreed = replace(planned, change=moved("150", None))
    (ended,) = release_all(one.world(), CALM, [agreed], one.time.wait)
    assert isinstance(ended, Ended)
    assert not ended.done
    assert "it changed since that was planned" in ended.words
    assert one.env(one.stage.key)


def test_nothing_is_begun_in_a_cluster_that_cannot_be_seen(one: Tuned) -> None:
    planned = one.plans()
    one.cluster.outage = "connection refused"
    (ended,) = release_all(one.world(), CALM, planned, one.time.wait)
    assert ended == Ended(one.stage.key, False, "not begun: connection refused")
    with pytest.raises(UnavailableError):
        plans(one.world(), CALM)
