"""The live channel: the same loops without a restart, through a ConfigMap that pods see late."""

import itertools
from dataclasses import replace

import pytest

from tests.examples import gogc_after
from tests.scenarios.worlds import BUSY, Stage
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Verdict
from tuner.model.workload import GOGC, GOMEMLIMIT
from tuner.simulation import Service
from tuner.simulation.streams import constant, step
from tuner.simulation.world import BEGINNING

LIVE = replace(BUSY, name="live", live=True)
TICKS_PER_HOUR = 240


def processes(stage: Stage) -> set[tuple[str, float]]:
    return {(pod.name, pod.started_at) for pod in stage.cluster.pods(stage.key)}


def written(stage: Stage, *, since: float = 0.0) -> int:
    return stage.writes("live", since=since)


def hold_of(stage: Stage) -> Reason:
    decision = stage.decision()
    assert isinstance(decision, Hold), decision
    return decision.reason


def in_force(stage: Stage) -> set[float]:
    return {pod.settings.gogc for pod in stage.cluster.pods(stage.key)}


def test_a_live_service_is_tuned_to_the_same_end_and_no_pod_is_restarted() -> None:
    live, restarted = Stage(LIVE), Stage(BUSY)
    before = processes(live)
    for stage in (live, restarted):
        stage.run(2 * TICKS_PER_HOUR)
    assert processes(live) == before
    assert live.writes() == live.writes("change-cause") == 0
    assert live.gogc() == restarted.gogc()
    assert in_force(live) == {float(live.gogc() or 0)}
    assert set(live.verdicts()) == {Verdict.CONFIRMED}
    for outcome in live.outcomes():
        assert outcome.measured_saving_ratio == pytest.approx(
            outcome.predicted_saving_ratio, abs=0.06
        )
    assert live.cluster.fetch(live.key).change_cause is None


def test_without_restarts_the_end_is_reached_sooner() -> None:
    def seconds(service: Service) -> float:
        stage = Stage(service)
        stage.until(lambda stage: len(stage.outcomes()) == 2)
        return stage.world.seconds

    assert seconds(LIVE) < 0.8 * seconds(BUSY)


@pytest.mark.parametrize("delay", [0, 60, 150])
def test_the_next_step_waits_until_the_last_one_was_seen_and_judged(delay: float) -> None:
    stage = Stage(replace(LIVE, mount_delay_seconds=delay))
    values = []
    for _ in range(2 * TICKS_PER_HOUR):
        before = written(stage)
        shown = in_force(stage)
        last = stage.gogc()
        stage.run(1)
        if written(stage) > before:
            assert shown == {float(last or 100)}, "a write before the last one is in force"
            values.append(stage.gogc())
    assert values == ["200", "280"]
    assert stage.verdicts() == [Verdict.CONFIRMED] * 2


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING])
def test_a_controller_that_is_started_anew_writes_nothing_twice(phase: Phase) -> None:
    stage = Stage(LIVE)
    stage.until_phase(phase)
    stage.world.restart()
    stage.run(TICKS_PER_HOUR)
    assert [gogc_after(each.trial.change) for each in stage.changes()] == ["200", "280"]
    assert written(stage) == 2
    assert stage.verdicts() == [Verdict.CONFIRMED] * 2


def test_what_does_harm_is_taken_back_without_a_restart() -> None:
    stage = Stage(replace(LIVE, harm=lambda gogc: 0.3e-3 if gogc > 100 else 0.0))
    before = processes(stage)
    stage.until(lambda stage: Verdict.REGRESSED in stage.verdicts())
    stage.run(20)
    assert stage.gogc() is None
    assert in_force(stage) == {100}
    assert processes(stage) == before


def test_a_value_that_others_took_out_of_the_config_map_is_not_put_back_at_once() -> None:
    stage = Stage(LIVE)
    stage.until_verdict()
    taken = stage.cluster.now
    stage.cluster.set_env(stage.key, GOGC, None, owner="kubectl-edit")
    stage.run(30)
    assert hold_of(stage) is Reason.REVERTED_BY_OTHER
    assert written(stage, since=taken) == 0
    assert stage.gogc() is None


def test_a_value_that_others_put_in_place_of_ours_stays_theirs() -> None:
    stage = Stage(LIVE)
    stage.until_verdict()
    taken = stage.cluster.now
    stage.cluster.set_env(stage.key, GOGC, "150", owner="kubectl-edit")
    stage.run(TICKS_PER_HOUR)
    assert hold_of(stage) is Reason.OWNED_BY_OTHER
    assert written(stage, since=taken) == 0
    assert stage.gogc() == "150"


def test_without_its_config_map_nothing_is_written_and_the_reason_names_it() -> None:
    stage = Stage(LIVE)
    stage.run(4)
    stage.cluster.remove_config_map(stage.key)
    stage.run(TICKS_PER_HOUR)
    decision = stage.decision()
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.LIVE_CHANNEL_INVALID
    assert "live-gc" in decision.detail
    assert written(stage) == stage.writes() == 0


def test_a_deploy_in_the_middle_of_a_live_trial_ends_it() -> None:
    stage = Stage(LIVE)
    stage.until_phase(Phase.MEASURING)
    stage.cluster.change_template(stage.key, "next release")
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.VOID]
    assert stage.gogc() == "200", "nobody said that it did harm"


def test_a_live_heap_that_doubles_meets_the_limit_instead_of_the_kernel() -> None:
    doubling = replace(LIVE, live_bytes=step(200e6, 400e6, at=BEGINNING + 3600))
    stage = Stage(doubling)
    stage.run(3 * TICKS_PER_HOUR)
    assert stage.cluster.oom_kills == 0
    (container,) = stage.cluster.fetch(stage.key).containers
    assert container.literal(GOMEMLIMIT) == "919MiB"
    assert hold_of(stage) is Reason.MEMORY_SHORT


def test_steps_on_the_live_channel_are_clamped_as_any_other() -> None:
    roomy = replace(
        LIVE,
        live_bytes=constant(50e6),
        memory_limit_bytes=4 * 2**30,
        memory_request_bytes=4 * 2**30,
    )
    stage = Stage(roomy)
    stage.run(3 * TICKS_PER_HOUR)
    values = [100, *(int(gogc_after(each.trial.change) or 0) for each in stage.changes())]
    assert len(values) > 3
    assert all(before < after <= 2 * before for before, after in itertools.pairwise(values))
