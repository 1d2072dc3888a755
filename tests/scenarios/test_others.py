"""Others act on the cluster too, and metrics come and go."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.scenarios.worlds import BUSY, POLICY, SHORT, Meddler, Mistaking, Stage, hold_of, key_of
from tuner.model.decision import Hold
from tuner.model.happening import SourceFound, SourceLost, WorkloadFailed
from tuner.model.reason import Reason
from tuner.model.record import AppliedSetting
from tuner.model.trial import Change, Phase, Verdict
from tuner.model.workload import GOGC, GOMEMLIMIT, Workload, WorkloadKey
from tuner.simulation import SimulatedCluster
from tuner.simulation.streams import step, total
from tuner.simulation.world import BEGINNING

WINDOW = POLICY.timing.rate_window_seconds


def ready(stage: Stage) -> bool:
    """Whether the next tick would write."""
    decision = stage.decision()
    return isinstance(decision, Hold) and decision.detail.startswith("4 of 5 rate windows")


class Fumbling:
    """An actuator that meets a mistake of our own at one workload."""

    def __init__(self, cluster: SimulatedCluster, at: WorkloadKey) -> None:
        self._cluster = cluster
        self._at = at

    def write(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        if workload.key == self._at:
            raise ZeroDivisionError("float division by zero")
        return self._cluster.write(workload, change, cause)

    def withdraw(self, workload: Workload) -> Workload:
        return self._cluster.withdraw(workload)

    def clear_cause(self, workload: Workload) -> None:
        self._cluster.clear_cause(workload)


@pytest.mark.parametrize("minutes", [2, 10])
@pytest.mark.parametrize(
    "when",
    [
        ready,
        lambda stage: stage.phase() is Phase.ROLLING_OUT,
        lambda stage: stage.phase() is Phase.SETTLING,
        lambda stage: stage.phase() is Phase.MEASURING,
        lambda stage: bool(stage.outcomes()),
    ],
    ids=["before the change", "rolling out", "settling", "measuring", "after the verdict"],
)
def test_in_an_outage_nothing_is_written_nor_until_a_full_window_after(
    when: Callable[[Stage], bool], minutes: int
) -> None:
    stage = Stage(BUSY)
    stage.until(when)
    written, workload = len(stage.cluster.written), stage.writes()
    stage.world.source.outage = "connection refused"
    stage.run(minutes * 4)
    assert stage.writes() == workload
    assert len(stage.cluster.written) - written <= 3, "a rollout that ends is all there is to tell"
    (lost,) = stage.story.of(SourceLost)
    assert lost.cause == "unreachable"

    back = stage.cluster.now
    stage.world.source.outage = None
    stage.until(lambda stage: stage.writes() > workload)
    assert [each.at for each in stage.cluster.written if each.what == "workload"][
        -1
    ] > back + WINDOW
    (found,) = stage.story.of(SourceFound)
    assert found.outage_seconds == pytest.approx(minutes * 60, abs=15)
    stage.run(200)
    assert stage.verdicts() == [Verdict.CONFIRMED, Verdict.CONFIRMED]
    assert stage.gogc() == "400"


def test_a_gap_in_the_samples_is_not_taken_for_a_figure() -> None:
    stage = Stage(BUSY)
    stage.until(ready)
    stage.world.source.scraping = False
    for _ in range(3):
        stage.run(15)
        assert stage.writes() == 0
        assert hold_of(stage) is Reason.NO_DATA
    stage.world.source.scraping = True
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.CONFIRMED]


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.MEASURING, None])
def test_whoever_takes_our_value_away_is_left_alone(phase: Phase | None) -> None:
    stage = Stage(BUSY)
    stage.until_phase(phase) if phase else stage.until_verdict()
    taken = stage.cluster.now
    stage.cluster.set_env(key_of(BUSY), GOGC, None, owner="kubectl-rollout")
    stage.run(20)
    assert hold_of(stage) is Reason.REVERTED_BY_OTHER
    if phase is not None:
        assert stage.verdicts() == [Verdict.VOID]
    stage.run(int(POLICY.timing.revert_pause_seconds / 15) - 20)
    assert stage.writes(since=taken) == 0
    assert stage.gogc() is None


def test_a_value_that_somebody_else_put_in_place_of_ours_is_theirs() -> None:
    stage = Stage(BUSY)
    stage.until_verdict()
    taken = stage.cluster.now
    stage.cluster.set_env(key_of(BUSY), GOGC, "150", owner="kubectl-edit")
    stage.run(200)
    assert hold_of(stage) is Reason.OWNED_BY_OTHER
    assert stage.writes(since=taken) == 0
    assert stage.gogc() == "150"


def test_a_change_is_retried_on_a_workload_that_moved_and_loses_nobodys_update() -> None:
    stage = Stage(BUSY)

    def annotate(key: WorkloadKey) -> None:
        stage.cluster.annotate(key, team="shop")

    stage.meddle(Meddler(stage.cluster, annotate, times=2))
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.CONFIRMED]
    assert stage.writes() == 1
    assert stage.gogc() == "200"
    assert stage.cluster.fetch(stage.key).annotations == {"team": "shop"}


def test_a_workload_that_never_stands_still_is_not_written_to() -> None:
    stage = Stage(BUSY)

    def annotate(key: WorkloadKey) -> None:
        stage.cluster.annotate(key, team=f"{stage.cluster.now}")

    stage.meddle(Meddler(stage.cluster, annotate, times=1000))
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.VOID]
    assert hold_of(stage) is Reason.WORKLOAD_CHANGED
    assert stage.writes() == 0


@pytest.mark.parametrize("conflicts", [0, 3], ids=["written at once", "not written at first"])
def test_a_kill_is_answered_with_one_fall_whatever_came_of_the_first_attempt(
    conflicts: int,
) -> None:
    spike = total(
        step(231e6, 400e6, at=BEGINNING + 2400), step(0, 231e6 - 400e6, at=BEGINNING + 2410)
    )
    # A limit of their own that is no backstop: above the container's.
    stage = Stage(replace(BUSY, live_bytes=spike, gomemlimit="2048MiB"))
    stage.until(lambda stage: stage.cluster.oom_kills > 0)
    assert stage.gogc() == "280"

    def annotate(key: WorkloadKey) -> None:
        stage.cluster.annotate(key, team=f"{stage.cluster.now}")

    killed = stage.cluster.now
    stage.meddle(Meddler(stage.cluster, annotate, times=conflicts))
    stage.until(lambda stage: stage.writes(since=killed) > 0, ticks=20)
    assert stage.changes()[-1].trial.reason is Reason.DANGER
    stage.run(600)
    assert stage.writes(since=killed) == 1
    assert stage.gogc() == "230"


@pytest.mark.parametrize(
    ("value", "reason"), [("150", Reason.OWNED_BY_OTHER), (None, Reason.ROLLOUT_IN_PROGRESS)]
)
def test_what_others_did_just_before_the_write_counts(value: str | None, reason: Reason) -> None:
    stage = Stage(BUSY)

    def act(key: WorkloadKey) -> None:
        if value is None:
            stage.cluster.scale(key, 3)
        else:
            stage.cluster.set_env(key, GOGC, value, owner="kubectl-edit")

    stage.meddle(Meddler(stage.cluster, act, times=1))
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.VOID]
    assert hold_of(stage) is reason
    assert stage.writes() == 0
    assert stage.gogc() == value


@pytest.mark.parametrize("lagging", [False, True], ids=["seen at once", "seen late"])
@pytest.mark.parametrize("harm", [0.0, 0.3e-3], ids=["harmless", "harmful"])
def test_what_a_webhook_left_of_a_change_is_ours_and_tried(harm: float, *, lagging: bool) -> None:
    stage = Stage(replace(BUSY, harm=lambda gogc: harm if gogc > 100 else 0.0))
    stage.cluster.webhook = {GOMEMLIMIT: "800MiB"}
    stage.until(ready)
    if lagging:
        stage.cluster.freeze_view()
    stage.until(lambda stage: stage.writes() > 0)
    assert hold_of(stage) is Reason.WRITE_REFUSED
    stage.run(1)
    stage.cluster.thaw_view()
    record = stage.record()
    assert record is not None
    assert record.applied is not None
    assert record.applied.settings == (AppliedSetting(GOGC, "200", None),)
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.REGRESSED if harm else Verdict.CONFIRMED]
    stage.run(20)
    assert stage.gogc() == (None if harm else "200")


def test_two_services_of_a_namespace_are_never_rolled_out_at_once() -> None:
    services = [replace(BUSY, name=f"busy-{place}") for place in range(3)]
    stage = Stage(*services, SHORT)
    stage.run(600)
    assert stage.rollouts_at_once == 1
    containers = [each.containers[0] for each in stage.cluster.workloads().values()]
    assert [each.literal(GOGC) for each in containers[:3]] == ["400"] * 3
    assert containers[3].literal(GOMEMLIMIT) is not None, "memory safety got its turn"


def test_namespaces_do_not_wait_for_each_other() -> None:
    stage = Stage(*(replace(BUSY, namespace=name) for name in ("one", "two")))
    stage.run(60)
    assert stage.rollouts_at_once == 2
    assert stage.writes() == 2


def test_one_services_trouble_is_not_the_others() -> None:
    lame = replace(BUSY, name="lame", annotations={"profile": "gold"})
    owned = replace(BUSY, name="owned", gogc="100")
    stage = Stage(BUSY, lame, owned)
    stage.run(300)
    assert stage.gogc() == "400"
    assert stage.writes() == 2


def told_of(stage: Stage, key: WorkloadKey) -> list[float]:
    """When a mistake at a workload was told."""
    failed = stage.story.of(WorkloadFailed)
    assert all(each.error.__traceback__ is not None for each in failed)
    return [each.at for each in failed if each.key == key]


@pytest.mark.parametrize("recorded", [False, True], ids=["never seen before", "with a record"])
def test_a_mistake_of_our_own_in_looking_at_one_service_holds_that_one_alone(
    *, recorded: bool
) -> None:
    sound = replace(BUSY, namespace="two")
    stage = Stage(BUSY, sound)
    stage.run(4 if recorded else 0)
    stage.flawed = True
    stage.meddle(source=Mistaking(stage.world.source, stage.key))
    stage.run(60)
    assert hold_of(stage) is Reason.INTERNAL_ERROR
    record = stage.record()
    assert record is not None
    assert (record.reason, record.message) == (
        Reason.INTERNAL_ERROR,
        "ZeroDivisionError: float division by zero",
    )
    assert [each.workload.key for each in stage.changes()] == [key_of(sound)]
    told = told_of(stage, stage.key)
    assert len(told) == len(set(told)) > 50, "once on every tick"
    assert told_of(stage, key_of(sound)) == []


def test_a_mistake_of_our_own_in_writing_one_service_keeps_its_plan_and_the_others_going() -> None:
    sound = replace(BUSY, namespace="two")
    stage = Stage(BUSY, sound)
    stage.flawed = True
    stage.meddle(actuator=Fumbling(stage.cluster, stage.key))
    stage.until(lambda stage: bool(told_of(stage, stage.key)))
    assert hold_of(stage) is Reason.INTERNAL_ERROR
    assert stage.phase() is Phase.PLANNED, "it may have been written"
    assert [each.workload.key for each in stage.changes()] == [key_of(sound)]
    stage.meddle()
    stage.until_verdict(2)
    assert stage.verdicts() == [Verdict.CONFIRMED] * 2
    assert stage.gogc() == "200"
