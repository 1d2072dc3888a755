import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.control.latency import Objective, Obstacle, Seen, SetPoint, advance

TICK = 15.0
OBJECTIVE = Objective(target_seconds=0.1, share_target=0.04, share_least=0.02)
STARTED = SetPoint(at=0.0)


def seen(latency_seconds: float | None, **changes: Any) -> Seen:  # noqa: ANN401  # handed to replace
    usual = Seen(latency_seconds, gc_share=0.04, throttled=False, shedding=False)
    return replace(usual, **changes)


def run(state: SetPoint, of: Seen, seconds: float, *, may_step: bool = True) -> SetPoint:
    """The state after some time of seeing the same."""
    start = 0.0 if state.at is None else state.at
    for tick in range(1, round(seconds / TICK) + 1):
        state = advance(state, OBJECTIVE, of, at=start + tick * TICK, may_step=may_step).state
    return state


def share(state: SetPoint) -> float:
    """The set point that this state stands for."""
    return advance(state, OBJECTIVE, seen(None), at=1e6, may_step=True).gc_share_target


def test_a_missed_objective_asks_for_less_garbage_collection() -> None:
    answer = advance(STARTED, OBJECTIVE, seen(0.12), at=TICK, may_step=True)
    assert answer.missed
    # -.5 * ln 1.2, and the fortieth part of it for 15 s of 600 s.
    assert answer.gc_share_target == pytest.approx(0.04 * math.exp(-0.5 * 1.025 * math.log(1.2)))


def test_a_miss_that_goes_on_ends_at_the_least_share_and_not_below() -> None:
    assert share(run(STARTED, seen(0.11), 14400)) == pytest.approx(0.02)


def test_the_set_point_returns_when_the_objective_is_met() -> None:
    low = run(STARTED, seen(0.11), 14400)
    soon, later = run(low, seen(0.09), 300), run(low, seen(0.09), 14400)
    assert 0.02 < share(soon) < share(later)
    assert share(later) == pytest.approx(0.04)


def test_a_day_of_missing_does_not_wind_up() -> None:
    hours, day = run(STARTED, seen(0.2), 4 * 3600), run(STARTED, seen(0.2), 86400)
    assert share(run(day, seen(0.09), 60)) == pytest.approx(share(run(hours, seen(0.09), 60)))
    assert share(run(day, seen(0.09), 60)) > 0.02


def test_a_set_point_at_the_tier_s_share_leaves_it_only_for_a_miss() -> None:
    calm = run(STARTED, seen(0.01), 3600)
    at_target = advance(calm, OBJECTIVE, seen(0.1), at=3615.0, may_step=True)
    assert at_target.gc_share_target == pytest.approx(0.04, rel=0.05)


@pytest.mark.parametrize("latency", [0.02, 0.1, 0.5])
@pytest.mark.parametrize(("gc_share", "start"), [(0.3, 0.04), (0.03, 0.03), (0.021, 0.021)])
def test_the_loop_starts_at_the_share_that_is_there(
    latency: float, gc_share: float, start: float
) -> None:
    answer = advance(SetPoint(), OBJECTIVE, seen(latency, gc_share=gc_share), at=0, may_step=True)
    assert answer.gc_share_target == pytest.approx(start)


def test_the_first_step_after_the_start_is_no_jump() -> None:
    first = advance(SetPoint(), OBJECTIVE, seen(0.13, gc_share=0.03), at=0.0, may_step=True)
    second = advance(first.state, OBJECTIVE, seen(0.13), at=TICK, may_step=True)
    assert 0.985 < second.gc_share_target / first.gc_share_target < 1


def test_the_set_point_settles_where_the_objective_is_just_met() -> None:
    # 70 ms without any garbage collection, 110 ms at the tier's share: a share of 3 % would do. The
    # cost loop follows its set point with a lag of a quarter of an hour.
    state, reached, asked = STARTED, 0.04, 0.04
    for tick in range(1, 8 * 240 + 1):
        of = seen(0.07 + reached, gc_share=reached)
        answer = advance(state, OBJECTIVE, of, at=tick * TICK, may_step=True)
        state, asked = answer.state, answer.gc_share_target
        reached += (asked - reached) * TICK / 900
    assert asked == pytest.approx(0.03, rel=0.02)
    assert reached == pytest.approx(0.03, rel=0.02)


@pytest.mark.parametrize(
    ("of", "obstacle"),
    [
        (seen(0.2, throttled=True), Obstacle.THROTTLED),
        (seen(0.2, throttled=True, gc_share=0.01), Obstacle.THROTTLED),
        (seen(0.2, gc_share=0.02), Obstacle.SHARE_LOW),
        (seen(0.2, gc_share=0.005), Obstacle.SHARE_LOW),
    ],
)
def test_a_miss_that_garbage_collection_does_not_make_is_named_and_left_alone(
    of: Seen, obstacle: Obstacle
) -> None:
    answer = advance(STARTED, OBJECTIVE, of, at=TICK, may_step=True)
    assert (answer.missed, answer.obstacle, answer.state) == (True, obstacle, STARTED)


def test_a_throttled_service_that_meets_its_objective_has_no_obstacle() -> None:
    answer = advance(STARTED, OBJECTIVE, seen(0.05, throttled=True), at=TICK, may_step=True)
    assert (answer.missed, answer.obstacle) == (False, None)


def test_latency_counts_as_missed_while_the_barrier_sheds() -> None:
    answer = advance(STARTED, OBJECTIVE, seen(0.01, shedding=True), at=TICK, may_step=True)
    assert answer.missed
    assert answer.gc_share_target < 0.04


def test_a_worse_miss_stays_as_bad_as_it_is_while_the_barrier_sheds() -> None:
    plain = advance(STARTED, OBJECTIVE, seen(0.12), at=TICK, may_step=True)
    shedding = advance(STARTED, OBJECTIVE, seen(0.12, shedding=True), at=TICK, may_step=True)
    assert shedding == plain


def test_the_loop_stands_still_while_no_write_could_follow() -> None:
    low = run(STARTED, seen(0.12), 60)
    assert run(low, seen(0.5), 3600, may_step=False) == low


def test_a_pause_counts_as_one_step_when_it_is_over() -> None:
    after_pause = advance(STARTED, OBJECTIVE, seen(0.101), at=86400.0, may_step=True)
    after_minute = advance(STARTED, OBJECTIVE, seen(0.101), at=60.0, may_step=True)
    assert after_pause.gc_share_target == after_minute.gc_share_target


def test_the_same_tick_twice_is_one_step() -> None:
    once = advance(STARTED, OBJECTIVE, seen(0.12), at=TICK, may_step=True)
    assert advance(once.state, OBJECTIVE, seen(0.12), at=TICK, may_step=True) == once


def test_without_an_objective_the_tier_s_share_stands() -> None:
    low = run(STARTED, seen(0.2), 3600)
    answer = advance(low, replace(OBJECTIVE, target_seconds=None), seen(0.2), at=1e6, may_step=True)
    assert (answer.gc_share_target, answer.state, answer.missed) == (0.04, low, False)


def test_a_tier_with_another_share_takes_what_is_remembered_within_its_own_bounds() -> None:
    low = run(STARTED, seen(0.2), 3600)
    narrow = Objective(target_seconds=0.1, share_target=0.03, share_least=0.029)
    answer = advance(low, narrow, seen(None), at=1e6, may_step=True)
    assert answer.gc_share_target == pytest.approx(0.029)


@pytest.mark.parametrize("figure", [None, math.nan, math.inf, -math.inf, -0.1])
def test_a_latency_that_is_not_known_moves_nothing(figure: float | None) -> None:
    low = run(STARTED, seen(0.12), 60)
    answer = advance(low, OBJECTIVE, seen(figure), at=1e6, may_step=True)
    assert (answer.state, answer.missed, answer.gc_share_target) == (low, False, share(low))


@pytest.mark.parametrize("figure", [math.nan, math.inf, -0.1, 1.1])
def test_a_gc_share_that_is_not_one_moves_nothing(figure: float) -> None:
    answer = advance(STARTED, OBJECTIVE, seen(0.2, gc_share=figure), at=TICK, may_step=True)
    assert answer.state is STARTED


@pytest.mark.parametrize("at", [math.nan, math.inf])
def test_a_time_that_is_none_moves_nothing(at: float) -> None:
    assert advance(STARTED, OBJECTIVE, seen(0.2), at=at, may_step=True).state is STARTED


@pytest.mark.parametrize(
    ("target", "least"), [(0.04, 0.05), (0.04, 0.0), (1.0, 0.5), (math.nan, 0.1)]
)
def test_shares_out_of_order_are_refused(target: float, least: float) -> None:
    with pytest.raises(ValueError, match="must be 0 < least <= target < 1"):
        Objective(target_seconds=0.1, share_target=target, share_least=least)


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan, math.inf])
def test_a_target_that_is_no_time_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="is not above 0"):
        replace(OBJECTIVE, target_seconds=target)


@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(),
            st.floats(min_value=0, max_value=1),
            st.floats(),
            st.booleans(),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_the_set_point_stays_between_the_least_share_and_the_tier_s(
    ticks: list[tuple[float | None, float, float, bool, bool]],
) -> None:
    state = SetPoint()
    for latency, gc_share, at, throttled, shedding in ticks:
        of = Seen(latency, gc_share, throttled, shedding)
        answer = advance(state, OBJECTIVE, of, at=at, may_step=True)
        state = answer.state
        assert 0.02 <= answer.gc_share_target <= 0.04
        assert math.isfinite(state.ln_integral)
