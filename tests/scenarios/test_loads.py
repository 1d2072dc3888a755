"""The loop under loads of all shapes, in the manner of the tests of Go's own pacer.

Each scenario is a service whose load is composed of small streams, a length, and what the steady
state has to look like. What no load excuses is checked in every one of them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from tests.scenarios.worlds import BUSY, MIB, POLICY, Stage
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Verdict
from tuner.model.workload import GOGC, GOMEMLIMIT
from tuner.simulation import Service
from tuner.simulation.streams import Stream, burst, constant, noise, oscillate, ramp, step, total
from tuner.simulation.world import BEGINNING

TICKS_PER_HOUR = round(3600 / POLICY.timing.interval_seconds)
COOLDOWN_SECONDS = POLICY.profiles[POLICY.default_profile].cooldown_seconds
RESTARTS_DIFFER = 3 * 0.02
"""Three standard errors of a difference between two pods' two starts, 2 % each."""
NEAR = 0.10
"""How near to the best setting three restarts have to bring a service."""
ROOMY = replace(BUSY, memory_request_bytes=4096 * MIB, memory_limit_bytes=4096 * MIB)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A service, for how long it runs, and what has to have come of it."""

    name: str
    service: Service
    check: Callable[[Stage], None]
    hours: int = 4
    most_restarts: int = 4


def check_always(stage: Stage, most_restarts: int) -> None:
    """What no load excuses."""
    moves = [each.trial.change.of(GOGC) for each in stage.changes()]
    values = [move.after or "" for move in moves if move is not None]
    assert stage.writes() == len(moves) <= most_restarts
    assert all(re.fullmatch(r"[1-9][0-9]*", value) for value in values)
    for before, after in pairwise(["100", *values]):
        assert int(before) / 2 <= int(after) <= int(before) * 2
    for earlier, later in pairwise(stage.changes()):
        assert later.at - earlier.at >= COOLDOWN_SECONDS
    assert stage.cluster.oom_kills == 0


def check_tuned(stage: Stage) -> None:
    """Each step did what was foretold, the third came near the best, and it has rested since."""
    assert stage.outcomes()
    for outcome in stage.outcomes():
        assert outcome.verdict in {Verdict.CONFIRMED, Verdict.NO_EFFECT, Verdict.INCONCLUSIVE}
        if outcome.measured_saving_ratio is None:
            assert outcome.verdict is Verdict.INCONCLUSIVE
            assert "less than the noise can show" in outcome.detail
            continue
        assert outcome.measured_saving_ratio == pytest.approx(
            outcome.predicted_saving_ratio, abs=RESTARTS_DIFFER
        )
    assert all(each.predicted_saving_ratio < NEAR for each in stage.outcomes()[3:])
    assert stage.writes(since=stage.cluster.now - 3600) == 0
    profile = POLICY.profiles[POLICY.default_profile]
    best = stage.cluster.services()[stage.key].work_seconds_per_request / (
        1 - profile.gc_share_target
    )
    assert stage.cpu_per_request() < (1 + NEAR) * best


def check_left_alone(stage: Stage) -> None:
    assert stage.writes() == 0


def check_held_by_the_backstop(stage: Stage) -> None:
    """A GOGC that no longer fits is left: behind a GOMEMLIMIT it decides nothing."""
    assert stage.writes(since=stage.cluster.now - 5 * 3600) == 0
    decision = stage.decision()
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.MEMORY_SHORT
    limit = stage.cluster.services()[stage.key].memory_limit_bytes
    assert limit is not None
    assert all(pod.resident_bytes() < limit for pod in stage.cluster.pods(stage.key))


def at_hour(hour: float) -> float:
    return BEGINNING + 3600 * hour


def under(load: Stream, service: Service = ROOMY) -> Service:
    return replace(service, requests_per_second=load)


SCENARIOS = (
    Scenario("Steady", under(constant(600)), check_tuned),
    Scenario("ManyPods", replace(under(constant(3000)), replicas=10), check_tuned),
    Scenario("Jitter", under(total(constant(600), noise(90, hold=30, seed=7))), check_tuned),
    Scenario("Oscillating", under(total(constant(600), oscillate(100, period=1800))), check_tuned),
    Scenario(
        "Daily", under(total(constant(600), oscillate(300, period=6 * 3600))), check_tuned, 12
    ),
    Scenario("Bursts", under(total(constant(500), burst(200, length=60, every=600))), check_tuned),
    Scenario("Growing", under(ramp(400, 800, start=at_hour(0), end=at_hour(4))), check_tuned, 5),
    Scenario("StepAtRest", under(step(450, 600, at=at_hour(3.5))), check_tuned, 5),
    Scenario("FallAtRest", under(step(600, 300, at=at_hour(3))), check_tuned, 5),
    Scenario("Trickle", under(constant(2)), check_left_alone),
    Scenario(
        "LiveHeapGrowsIntoTheLimit",
        replace(BUSY, live_bytes=ramp(231e6, 340e6, start=at_hour(2), end=at_hour(6))),
        check_held_by_the_backstop,
        hours=8,
    ),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_loop_comes_to_rest_where_it_should(scenario: Scenario) -> None:
    stage = Stage(scenario.service)
    stage.run(scenario.hours * TICKS_PER_HOUR)
    check_always(stage, scenario.most_restarts)
    scenario.check(stage)


def test_a_service_whose_load_arrives_gets_both_settings_in_one_restart() -> None:
    stage = Stage(under(step(2, 600, at=at_hour(0.5))))
    stage.until(lambda seen: seen.writes() > 0)
    (change,) = stage.changes()
    assert change.at > at_hour(0.5)
    assert [each.name for each in change.trial.change.settings] == [GOGC, GOMEMLIMIT]


def test_a_large_heap_that_is_collected_twice_a_minute_is_tuned() -> None:
    stage = Stage(under(constant(50)))
    stage.until_verdict()
    (outcome,) = stage.outcomes()
    assert stage.gogc() == "200"
    assert outcome.predicted_saving_ratio > 0.1
    assert outcome.verdict in {Verdict.CONFIRMED, Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("minutes", [10, 25])
def test_a_busy_minute_now_and_then_is_no_reason_for_another_gogc(minutes: int) -> None:
    stage = Stage(under(total(constant(2), burst(600, length=60, every=60 * minutes))))
    stage.run(3 * TICKS_PER_HOUR)
    assert not stage.changes()
