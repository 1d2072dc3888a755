"""The policy is another one from one tick to the next, as after a change of the configuration."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.scenarios.worlds import BUSY, IDLE, POLICY, SHORT, Stage, hold_of, reason_of
from tuner.model.decision import Hold
from tuner.model.policy import LatencyQuantile, Policy
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Verdict
from tuner.model.workload import GOGC, Mode
from tuner.settings import Settings

WINDOW = round(POLICY.timing.rate_window_seconds / POLICY.timing.interval_seconds)
"""Ticks in a rate window."""
MANY = replace(BUSY, name="many", replicas=8)
ROOMY = replace(MANY, name="roomy", memory_request_bytes=2**33, memory_limit_bytes=2**33)
BY_DEFAULT = replace(BUSY, name="unlabelled", mode=None)


def revised(**sections: object) -> Policy:
    """The policy of settings with other values, by section."""
    return Settings.model_validate(sections).policy(dry_run=False)


def with_share(target: float) -> Policy:
    """The policy with another target of the tier."""
    normal = replace(POLICY.profiles["normal"], gc_share_target=target)
    return replace(POLICY, profiles={**POLICY.profiles, "normal": normal})


def steps(stage: Stage) -> list[tuple[int, int]]:
    """GOGC before and after each change."""
    moves = [each.trial.change.of(GOGC) for each in stage.changes()]
    return [(int(each.before or 100), int(each.after or 100)) for each in moves if each is not None]


def test_what_does_not_concern_a_workload_disturbs_neither_its_trial_nor_its_windows() -> None:
    undisturbed, stage = Stage(MANY), Stage(MANY)

    def revise() -> None:
        profiles = stage.world.policy.profiles
        other = replace(
            profiles["best-effort"], gogc_lowest=profiles["best-effort"].gogc_lowest + 1
        )
        profiles = {**profiles, "best-effort": other}
        stage.world.policy = replace(stage.world.policy, profiles=profiles, default_mode=Mode.OFF)

    stage.run(3 * WINDOW)
    revise()  # while the baseline is gathered
    stage.until_phase(Phase.SETTLING)
    revise()
    stage.until_phase(Phase.MEASURING)
    stage.run(2 * WINDOW)
    revise()  # while the other side is
    stage.run(400)
    undisturbed.run(int(stage.world.seconds / POLICY.timing.interval_seconds))
    assert stage.verdicts() == undisturbed.verdicts() != []
    assert stage.cluster.written == undisturbed.cluster.written


@pytest.mark.parametrize("target", [0.01, 0.08])
def test_another_target_writes_nothing_where_memory_decides(target: float) -> None:
    stage = Stage(MANY)
    stage.until_verdict(2)
    stage.run(100)
    assert hold_of(stage) is Reason.MEMORY_BOUND
    at_rest = len(stage.cluster.written)
    stage.world.policy = with_share(target)
    stage.run(5 * WINDOW)
    assert len(stage.cluster.written) == at_rest


def test_another_target_is_gone_to_in_clamped_steps_from_the_windows_that_there_are() -> None:
    stage = Stage(ROOMY)
    stage.world.policy = with_share(0.30)
    stage.until_verdict()
    stage.run(100)
    before = len(steps(stage))
    stage.world.policy = with_share(0.10)
    stage.run(WINDOW)
    assert len(steps(stage)) == before + 1, "no new baseline is needed"
    stage.run(600)
    assert len(steps(stage)) > before + 1
    assert all(last <= 2 * first for first, last in steps(stage))
    assert len(stage.outcomes()) == len(stage.changes())
    assert Verdict.REGRESSED not in stage.verdicts()


def test_a_tighter_bound_is_in_force_for_the_very_next_change() -> None:
    stage = Stage(MANY)
    stage.until_phase(Phase.MEASURING)
    normal = replace(POLICY.profiles["normal"], gogc_highest=int(stage.gogc() or 0))
    stage.world.policy = replace(POLICY, profiles={**POLICY.profiles, "normal": normal})
    stage.run(300)
    assert len(steps(stage)) == 1
    assert hold_of(stage) is Reason.AT_BOUND


def test_a_closed_window_stops_the_next_change_and_not_the_trial_under_way() -> None:
    stage = Stage(MANY)
    stage.until_phase(Phase.MEASURING)
    closed = replace(POLICY.guards, closed=lambda _: "closed by the new configuration")
    stage.world.policy = replace(POLICY, guards=closed)
    stage.run(300)
    assert len(stage.outcomes()) == len(stage.changes()) == 1
    assert hold_of(stage) is Reason.CHANGE_WINDOW


def test_the_default_mode_is_that_of_the_next_tick() -> None:
    stage = Stage(BY_DEFAULT)
    stage.run(30)
    assert stage.decision() is not None
    stage.world.policy = replace(POLICY, default_mode=Mode.OFF)
    stage.run(1)
    decision = stage.decision()
    assert decision is None or isinstance(decision, Hold)
    assert reason_of(stage) in {None, Reason.MODE_OFF}


POLICIES: list[Callable[[], Policy]] = [
    lambda: POLICY,
    lambda: with_share(0.02),
    lambda: with_share(0.15),
    lambda: revised(trial={"windows": 3, "patience": 9}),
    lambda: revised(trial={"windows": 8, "patience": 30, "settle_cycles": 10}),
    lambda: revised(law={"step_ratio": 1.3, "worth": 0.005}),
    lambda: revised(guards={"leak": {"windows": 2}, "danger": 0.91}),
    lambda: revised(default_profile="critical", mode="off"),
    lambda: revised(default_profile="best-effort", samples_per_window=2),
]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_into_force_and_when_every_step_stays_clamped_and_is_judged(
    seed: int,
) -> None:
    chance = random.Random(seed)  # noqa: S311 - which policy comes when
    stage = Stage(BUSY, IDLE, SHORT, seed=seed)
    for _ in range(25):
        stage.world.policy = chance.choice(POLICIES)()
        stage.run(chance.randint(1, 40))
    for first, last in steps(stage):
        assert last <= 2 * first
    stage.world.policy = POLICY
    stage.run(200)
    assert stage.phase() is None, "no trial is left undecided"
    assert stage.cluster.oom_kills == 0


@pytest.mark.parametrize("phase", [Phase.SETTLING, Phase.MEASURING])
def test_a_trial_is_judged_by_the_latency_that_it_began_with(phase: Phase) -> None:
    stage = Stage(MANY)
    stage.until_phase(phase)
    normal = replace(POLICY.profiles["normal"], latency_quantile=LatencyQuantile.P99)
    stage.world.policy = replace(POLICY, profiles={**POLICY.profiles, "normal": normal})
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.CONFIRMED]
    (outcome,) = stage.outcomes()
    assert outcome.latency_change_ratio is not None
    assert outcome.latency_change_ratio < 0.05
