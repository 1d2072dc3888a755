"""What happens to a change between its plan and its verdict."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.scenarios.worlds import (
    BUSY,
    LOAD,
    MIB,
    POLICY,
    UNSTEADY,
    Stage,
    hold_of,
    key_of,
    reason_of,
)
from tuner.loop import ON_ITS_WAY_SECONDS
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Verdict
from tuner.model.workload import GOGC
from tuner.simulation import Fault, Service
from tuner.simulation.streams import constant, step, total
from tuner.simulation.world import BEGINNING

ROOMY = replace(BUSY, name="roomy", memory_request_bytes=4096 * MIB, memory_limit_bytes=4096 * MIB)
DEATHS = {Fault.DEATH_BEFORE, Fault.DEATH_AFTER}
SILENCES = [Fault.LOST, Fault.UNANSWERED, *sorted(DEATHS, key=lambda each: each.value)]
"""Faults after which nobody knows whether it was written."""


def harm_above(gogc: float) -> Callable[[float], float]:
    """Costs a request .3 ms more wherever GOGC is above this."""
    return lambda value: 0.3e-3 if value > gogc else 0.0


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
@pytest.mark.parametrize("fault", SILENCES)
def test_a_write_that_failed_or_was_not_answered_ends_in_one_rollout(
    fault: Fault, restart: bool
) -> None:
    stage = Stage(BUSY)
    stage.cluster.faults.append(fault)
    stage.until(lambda stage: not stage.cluster.faults)
    if fault not in DEATHS:
        decision = stage.decision()
        assert isinstance(decision, Hold)
        assert decision.reason is Reason.CLUSTER_UNAVAILABLE
    record = stage.record()
    assert record is not None
    assert record.trial is not None
    planned = record.trial
    assert planned.phase is Phase.PLANNED
    if restart:
        stage.world.restart()

    stage.until_phase(Phase.MEASURING)
    record = stage.record()
    assert record is not None
    assert record.trial is not None
    assert record.trial.started_at == planned.started_at
    assert record.trial.change == planned.change
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.CONFIRMED]
    assert stage.writes() == 1


def test_a_plan_that_could_not_be_written_for_long_is_given_up() -> None:
    stage = Stage(BUSY)
    stage.cluster.faults.extend([Fault.LOST] * 30)
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.VOID]
    assert "too old" in stage.outcomes()[0].detail
    assert stage.writes() == 0


PIN = "pin: {gogc: 60, immediate: true}"
"""It leaves no plan for a rise standing."""


def late(service: Service) -> Stage:
    """A stage on which the first change is on its way, and nobody knows."""
    stage = Stage(service)
    stage.cluster.faults.append(Fault.LATE)
    stage.until(lambda stage: bool(stage.cluster.late))
    assert stage.phase() is Phase.PLANNED
    return stage


def given_up(stage: Stage) -> bool:
    return stage.phase() is None


def priors(stage: Stage) -> Mapping[str, str | None]:
    """What stood there before what is on record as gc-tuner's, by name."""
    record = stage.record()
    assert record is not None
    assert record.applied is not None
    return {each.name: each.prior for each in record.applied.settings}


LIVE = replace(BUSY, live=True)
on_either_channel = pytest.mark.parametrize("service", [BUSY, LIVE], ids=["env", "live"])


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
@on_either_channel
def test_a_write_that_arrives_when_its_plan_was_given_up_is_refused(
    service: Service, restart: bool
) -> None:
    stage = late(service)
    if restart:
        stage.world.restart()
    stage.order(PIN)
    stage.until(given_up)
    assert stage.writes("withdrawal") == 1
    stage.cluster.deliver()
    assert stage.gogc() is None
    stage.until(lambda stage: stage.gogc() == "60")
    assert priors(stage)[GOGC] is None


def test_a_deploy_does_not_let_a_write_to_a_config_map_through_whose_plan_it_ended() -> None:
    stage = late(LIVE)
    stage.cluster.change_template(stage.key, "second")
    stage.until(given_up)
    stage.cluster.deliver()
    assert stage.gogc() is None


@on_either_channel
def test_a_plan_is_not_given_up_before_its_write_is_withdrawn(service: Service) -> None:
    stage = late(service)
    stage.order(PIN)
    stage.cluster.withdrawal_faults.extend([*SILENCES, Fault.OVERTAKEN, Fault.OVERTAKEN])
    while stage.cluster.withdrawal_faults:
        assert not given_up(stage)
        assert stage.verdicts() == []
        stage.run(1)
    stage.until(given_up, ticks=2)
    stage.cluster.deliver()
    assert stage.gogc() is None
    assert stage.verdicts() == [Verdict.VOID]


@on_either_channel
def test_a_write_that_arrives_before_it_is_withdrawn_is_ours_and_mended(service: Service) -> None:
    stage = late(service)
    stage.order(PIN)
    stage.cluster.freeze_view()
    stage.cluster.deliver()
    stage.run(1)
    assert not given_up(stage)
    stage.cluster.thaw_view()
    assert stage.gogc() == "200"
    stage.until(lambda stage: stage.gogc() == "60")
    assert stage.writes("withdrawal") == 0
    assert priors(stage)[GOGC] is None


def test_what_is_withdrawn_stays_so_while_that_cannot_be_put_on_record() -> None:
    stage = late(BUSY)
    stage.order(PIN)
    stage.cluster.record_faults.extend([Fault.LOST] * 5)
    stage.until(given_up)
    assert not stage.cluster.record_faults
    assert stage.writes("withdrawal") == 1


def refused(stage: Stage) -> None:
    stage.order(PIN)
    stage.cluster.withdrawal_faults.extend([Fault.REFUSED] * 100)


STOPS: Mapping[str, Callable[[Stage], None]] = {
    "frozen": lambda stage: stage.order(f"freeze: true, {PIN}"),
    "recommend": lambda stage: stage.cluster.label(stage.key, "recommend"),
    "refused": refused,
}
"""After which nothing may be written, not even what withdraws a plan."""


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
@on_either_channel
def test_what_cannot_be_withdrawn_is_given_up_when_nothing_can_be_on_its_way(
    service: Service, stop: Callable[[Stage], None]
) -> None:
    stage = late(service)
    stop(stage)
    stopped_at = stage.cluster.now
    stage.run(1)
    record, truth = stage.record(), stage.cluster.truth(stage.key)
    assert record is not None
    assert record.mode == truth.label_mode
    stage.until(given_up)
    assert stage.cluster.now - stopped_at > ON_ITS_WAY_SECONDS
    assert stage.writes("withdrawal") == 0


def test_a_clock_that_is_set_back_keeps_no_plan_until_it_has_caught_up() -> None:
    stage = late(BUSY)
    refused(stage)
    stage.run(2)
    stage.world.clock_ahead_seconds = -3600.0
    stage.until(given_up, ticks=round(ON_ITS_WAY_SECONDS / POLICY.timing.interval_seconds) + 4)


def test_nothing_is_withdrawn_from_a_config_map_that_is_gone() -> None:
    stage = late(LIVE)
    stage.cluster.remove_config_map(stage.key)
    stage.until(given_up, ticks=3)
    assert stage.writes("withdrawal") == 0


@pytest.mark.parametrize("stop", [STOPS["frozen"], refused], ids=["frozen", "refused"])
def test_what_arrives_while_nothing_may_be_written_is_on_record_as_ours(
    stop: Callable[[Stage], None],
) -> None:
    stage = late(BUSY)
    stop(stage)
    stage.run(round(ON_ITS_WAY_SECONDS / POLICY.timing.interval_seconds) - 1)
    stage.cluster.late[0] = replace(stage.cluster.late[0], at=stage.cluster.now)
    stage.cluster.deliver()
    assert stage.gogc() == "200"
    stage.run(1)
    assert GOGC in priors(stage)
    stage.cluster.withdrawal_faults.clear()
    stage.order(PIN)
    stage.until(lambda stage: stage.gogc() == "60")


@on_either_channel
def test_who_was_opted_out_unseen_is_not_even_labelled(service: Service) -> None:
    stage = late(service)
    stage.cluster.freeze_view()
    stage.cluster.label(stage.key, "off")
    stage.run(5)
    assert stage.writes("withdrawal") == 0
    assert not given_up(stage)


def test_a_record_whose_answer_was_lost_is_a_record_all_the_same() -> None:
    stage = Stage(BUSY)
    stage.run(20)
    stage.cluster.record_faults.extend([Fault.UNANSWERED] * 10)
    while stage.writes() == 0:
        stage.run(1)
        record = stage.record()
        assert stage.writes() == 0 or (record is not None and record.trial is not None)
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.CONFIRMED]
    assert stage.writes() == 1


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.DEATH_BEFORE])
def test_without_a_record_nothing_is_written_to_the_workload(fault: Fault) -> None:
    stage = Stage(BUSY)
    stage.run(20)
    stage.cluster.record_faults.extend([fault] * 10)
    while stage.cluster.record_faults:
        assert stage.writes() == 0
        stage.run(1)
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.CONFIRMED]
    assert stage.writes() == 1


def test_a_controller_that_dies_after_each_record_gets_there_in_one_rollout() -> None:
    stage = Stage(BUSY)
    stage.cluster.record_faults.extend([Fault.DEATH_AFTER] * 6)
    stage.until_verdict()
    assert not stage.cluster.record_faults
    assert stage.verdicts() == [Verdict.CONFIRMED]
    assert stage.writes() == 1


def test_every_write_to_a_workload_follows_a_record_of_it() -> None:
    stage = Stage(replace(ROOMY, harm=harm_above(200)))
    stage.run(200)
    written = stage.cluster.written
    assert stage.writes() == 3
    for place, each in enumerate(written):
        if each.what == "workload":
            assert (written[place - 1].what, written[place - 1].at) == ("record", each.at)


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING])
@pytest.mark.parametrize("ticks_later", [0, 1, 5])
def test_a_restarted_controller_goes_on_without_a_write(phase: Phase, ticks_later: int) -> None:
    stage = Stage(BUSY)
    stage.until_phase(phase)
    record = stage.record()
    assert record is not None
    assert record.trial is not None
    stage.run(ticks_later)
    stage.world.restart()
    stage.until_verdict()
    (outcome,) = stage.outcomes()
    assert outcome.verdict is Verdict.CONFIRMED
    assert outcome.change == record.trial.change
    assert outcome.predicted_saving_ratio == record.trial.prediction.cpu_saving_ratio
    assert stage.writes() == 1


@pytest.mark.parametrize("every", [1, 3])
def test_a_controller_that_never_lives_long_never_writes(every: int) -> None:
    stage = Stage(BUSY)
    for _ in range(60):
        stage.world.restart()
        stage.run(every)
    assert stage.writes() == 0


@pytest.mark.parametrize(("bearable", "left"), [(100, None), (200, "200")])
def test_a_change_that_does_harm_is_taken_back_exactly_and_tried_again_ever_later(
    bearable: int, left: str | None
) -> None:
    stage = Stage(replace(ROOMY, harm=harm_above(bearable)))
    stage.until(lambda stage: Verdict.REGRESSED in stage.verdicts())
    stage.run(20)
    assert stage.gogc() == left
    record = stage.record()
    assert record is not None
    assert record.trial is None
    assert (record.applied.settings[0].value if record.applied is not None else None) == left

    stage.until(lambda stage: reason_of(stage) is Reason.QUARANTINED)
    stage.run(1600)
    assert stage.verdicts().count(Verdict.REGRESSED) >= 3, "it is tried again, now and then"
    harmful = [each for each in stage.outcomes() if each.verdict is Verdict.REGRESSED]
    tried = [each for each in stage.changes() if each.trial.reason is Reason.GC_COST]
    for earlier, later in pairwise(each.at for each in harmful):
        assert sum(earlier < each.at <= later for each in tried) == 1
    pauses = [
        min(each.at for each in tried if each.at > ended.at) - ended.at for ended in harmful[:-1]
    ]
    assert pauses[0] >= 3600
    assert all(later >= 1.9 * earlier for earlier, later in pairwise(pauses))


def test_errors_that_came_with_a_change_take_it_back() -> None:
    stage = Stage(replace(ROOMY, error_ratio=step(0.001, 0.05, at=1e9 + 400)))
    stage.until(lambda stage: Verdict.REGRESSED in stage.verdicts())
    stage.run(10)
    assert stage.gogc() is None


def test_a_closed_direction_opens_when_the_load_has_changed() -> None:
    stage = Stage(
        replace(
            ROOMY,
            runtime_metrics=False,
            cost_seconds_per_byte=0.01e-9,  # far less than an estimate can know
            requests_per_second=total(LOAD, step(0, -300, at=1e9 + 2 * 3600)),
        ),
        policy=UNSTEADY,
    )
    stage.run(470)
    assert stage.verdicts() == [Verdict.NO_EFFECT]
    assert hold_of(stage) is Reason.DIRECTION_CLOSED
    stage.until(lambda stage: hold_of(stage) is not Reason.DIRECTION_CLOSED)
    assert stage.cluster.now > 1e9 + 2 * 3600


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
@pytest.mark.parametrize("fault", list(Fault))
def test_a_rollback_whose_write_failed_is_carried_out_all_the_same(
    fault: Fault, restart: bool
) -> None:
    stage = Stage(replace(ROOMY, harm=harm_above(100)))
    stage.until_phase(Phase.MEASURING)
    stage.cluster.faults.append(fault)
    stage.until(lambda stage: not stage.cluster.faults)
    assert stage.verdicts() == [Verdict.REGRESSED]
    if restart:
        stage.world.restart()
    stage.run(10)
    assert stage.gogc() is None
    assert stage.writes() == 2


def test_a_rollback_is_not_given_up_however_long_it_cannot_be_written() -> None:
    stage = Stage(replace(ROOMY, harm=harm_above(100)))
    stage.until_phase(Phase.MEASURING)
    stage.cluster.faults.extend([Fault.LOST] * 100)
    stage.until(lambda stage: not stage.cluster.faults)
    stage.run(10)
    assert stage.gogc() is None
    assert stage.verdicts() == [Verdict.REGRESSED]


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING])
def test_another_deploy_in_the_middle_of_a_trial_voids_it(phase: Phase) -> None:
    stage = Stage(BUSY)
    stage.until_phase(phase)
    stage.cluster.change_template(key_of(BUSY), "second")
    stage.run(1)
    assert stage.verdicts() == [Verdict.VOID]
    assert stage.gogc() == "200"
    stage.run(40)
    assert stage.writes() == 1
    stage.until_verdict(2)
    assert stage.verdicts()[1] is Verdict.CONFIRMED


@pytest.mark.parametrize("factor", [0.4, 1.8])
def test_a_load_that_moved_in_the_middle_of_a_trial_gives_no_verdict(factor: float) -> None:
    moved = total(LOAD, step(0, 600 * (factor - 1), at=1e9 + 600))
    stage = Stage(replace(ROOMY, requests_per_second=moved))
    stage.until_verdict()
    (outcome,) = stage.outcomes()
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.measured_saving_ratio is None
    assert int(stage.gogc() or 0) >= 200, "what was never judged is not taken back"


def test_scrapes_that_fail_now_and_then_keep_no_change_from_its_verdict() -> None:
    stage = Stage(BUSY)
    stage.world.source.gaps = constant(0.1)
    stage.until_verdict(2)
    assert set(stage.verdicts()) == {Verdict.CONFIRMED}


def test_pods_that_are_killed_again_and_again_under_a_change_get_the_prior_value_back() -> None:
    jump = step(231e6, 400e6, at=BEGINNING + 600)  # in the middle of the first trial
    untuned = Stage(replace(BUSY, live_bytes=jump, mode="recommend"))
    untuned.run(480)
    assert untuned.cluster.oom_kills == 0

    # A limit of their own that is no backstop: above the container's.
    stage = Stage(replace(BUSY, live_bytes=jump, gomemlimit="2048MiB"))
    stage.until(lambda stage: stage.cluster.oom_kills > 0)
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.REGRESSED]
    stage.run(20)
    assert stage.gogc() is None
    killed = stage.cluster.oom_kills
    stage.run(480)
    assert stage.cluster.oom_kills == killed


def test_where_gomemlimit_is_ours_nobody_is_killed_by_the_same() -> None:
    jump = step(231e6, 400e6, at=BEGINNING + 600)
    stage = Stage(replace(BUSY, live_bytes=jump))
    stage.run(480)
    assert stage.cluster.oom_kills == 0
