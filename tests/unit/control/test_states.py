import math
from dataclasses import replace

import pytest

from tests.examples import MIB, NOW, policy, signals
from tuner.control.ceiling import Memory
from tuner.control.latency import LatencyAnswer, Seen
from tuner.control.states import Advanced, States, advance_loops
from tuner.model.policy import Profile
from tuner.model.signals import Signals

NORMAL = policy().profiles["normal"]
LIMITED = Memory(request_bytes=512 * MIB, limit_bytes=1024 * MIB)
SLOW = Seen(latency_seconds=0.3, gc_share=0.2, throttled=False, shedding=False)
# A heap goal at what GOMEMLIMIT allows, and more memory in use than .9 of the container's.
BOUND = signals(
    gomemlimit_bytes=910.0 * MIB,
    heap_goal_bytes=0.97 * 890.0 * MIB,
    resident_bytes=980.0 * MIB,
)
TICK = 15.0


def lived(
    seconds: float,
    states: States | None = None,
    *,
    subject: Signals = BOUND,
    memory: Memory = LIMITED,
    profile: Profile = NORMAL,
    may_step: bool = True,
) -> Advanced:
    """Both loops after a tick every 15 s, by default from where a restart finds them."""
    answer = Advanced(states or States(), LatencyAnswer(States().set_point, 0.0, missed=False))
    for tick in range(int(seconds / TICK) + 1):
        now = replace(subject, at=NOW + TICK * tick)
        answer = advance_loops(answer.states, now, memory, profile, SLOW, may_step=may_step)
    return answer


def test_after_a_restart_both_loops_begin_at_what_is_in_force() -> None:
    answer = lived(0)
    assert answer.states.correction.k == pytest.approx(1.0, abs=0.001)
    assert answer.latency.gc_share_target == pytest.approx(NORMAL.gc_share_target)


def test_both_loops_move_with_what_they_see() -> None:
    answer = lived(3600)
    assert answer.states.correction.k < 0.99
    assert answer.latency.missed
    assert answer.latency.gc_share_target == pytest.approx(NORMAL.gc_share_least)


def test_the_latency_loop_stands_still_while_no_write_could_follow() -> None:
    answer = lived(3600, may_step=False)
    assert answer.latency.missed
    assert answer.latency.gc_share_target == NORMAL.gc_share_target
    assert answer.states.correction.k < 0.99


def test_without_a_limit_there_is_nothing_to_correct() -> None:
    before = States()
    answer = lived(3600, before, memory=Memory(512 * MIB, None))
    assert answer.states.correction == before.correction


def test_without_a_latency_objective_the_tiers_share_stands() -> None:
    answer = lived(3600, profile=replace(NORMAL, latency_target_seconds=None))
    assert not answer.latency.missed
    assert answer.latency.gc_share_target == NORMAL.gc_share_target


def test_a_tier_without_a_least_share_leaves_latency_nothing_to_move() -> None:
    answer = lived(3600, profile=replace(NORMAL, gc_share_least=0.0))
    assert answer.latency.missed
    assert answer.latency.gc_share_target == pytest.approx(NORMAL.gc_share_target)


@pytest.mark.parametrize("jump_seconds", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_moves_no_loop_by_more_than_one_step(jump_seconds: float) -> None:
    before = lived(300)
    jumped = replace(BOUND, at=NOW + 300 + jump_seconds)
    after = advance_loops(before.states, jumped, LIMITED, NORMAL, SLOW, may_step=True)
    moved = math.log(after.latency.gc_share_target / before.latency.gc_share_target)
    assert abs(moved) < 0.1
    assert abs(after.states.correction.k - before.states.correction.k) < 0.01
