from dataclasses import replace

import pytest

from tests.examples import signals
from tests.unit.guards.situations import POLICY, ceiling, move, situation
from tuner.control.latency import LatencyAnswer, Obstacle, SetPoint
from tuner.control.prediction import predict
from tuner.guards.bounds import bounds
from tuner.guards.gain import gain
from tuner.guards.step import step
from tuner.model.decision import Hold
from tuner.model.override import Override
from tuner.model.proposal import GogcMove
from tuner.model.reason import Reason
from tuner.model.tuning import Ceiling, Limit


def passed(answer: GogcMove | Hold) -> GogcMove:
    assert isinstance(answer, GogcMove)
    return answer


@pytest.mark.parametrize(
    ("current", "asked", "clamped"),
    [
        (100.0, 150, 150),
        (100.0, 200, 200),
        (100.0, 550, 200),
        (165.0, 1600, 330),
        (777.0, 1600, 1500),
        (800.0, 390, 400),
        (75.0, 25, 38),
    ],
)
def test_a_step_is_at_most_a_doubling_or_a_halving(
    current: float, asked: int, clamped: int
) -> None:
    answer = passed(step(move(asked, current_gogc=current), situation()))
    assert answer.next_gogc == clamped


def test_a_clamped_step_keeps_its_target_and_states_what_it_will_do_itself() -> None:
    answer = passed(step(move(550), situation()))
    assert answer.target_gogc == 550
    assert answer.prediction == predict(signals(), 200, POLICY.law)
    assert answer.target_prediction == predict(signals(), 550, POLICY.law)


@pytest.mark.parametrize(
    ("asked", "limited_by", "bounded"),
    [
        (75, Limit.COST, 75),
        (60, Limit.COST, 75),
        (60, Limit.CEILING, 60),
        (1600, Limit.COST, 1600),
        (2000, Limit.COST, 1600),
        (2000, Limit.CEILING, 1600),
    ],
)
def test_the_bounds_hold_except_where_memory_is_too_small_for_the_lower_one(
    asked: int, limited_by: Limit, bounded: int
) -> None:
    answer = passed(bounds(move(asked, limited_by=limited_by), situation()))
    assert answer.next_gogc == bounded
    assert answer.prediction == predict(signals(), bounded, POLICY.law)


def test_a_proposal_for_another_value_has_something_to_gain() -> None:
    asked = move(110)
    assert gain(asked, situation()) is asked


@pytest.mark.parametrize(
    ("limited_by", "of", "reason", "words"),
    [
        (Limit.COST, ceiling(), Reason.AT_TARGET, "20.0% of the CPU, target 4.0%"),
        (Limit.BOUND, ceiling(), Reason.AT_BOUND, "1600"),
        (Limit.CEILING, ceiling(), Reason.MEMORY_BOUND, "memory request of 512 MiB"),
        (Limit.CEILING, ceiling(), Reason.MEMORY_BOUND, "needs 778 MiB"),
        (Limit.CEILING, ceiling(short=True), Reason.MEMORY_SHORT, "limit of 235 MiB would do"),
        (Limit.CEILING, ceiling(short=True), Reason.MEMORY_SHORT, "778 MiB would reach"),
    ],
)
def test_todays_value_is_held_with_what_stands_in_the_way_of_more(
    limited_by: Limit, of: Ceiling, reason: Reason, words: str
) -> None:
    asked = replace(move(100), limited_by=limited_by, ceiling=of)
    answer = gain(asked, situation())
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail


def test_the_lower_bound_lifts_no_value_past_the_memory_ceiling() -> None:
    low = move(30, current_gogc=20.0, ceiling=ceiling(gogc=32.0))
    assert passed(bounds(low, situation())).next_gogc == 30


def test_the_lower_bound_is_reached_in_steps() -> None:
    about = situation(signals=signals(gogc=20.0, gogc_effective=20.0))
    asked = passed(bounds(move(30, current_gogc=20.0), about))
    assert asked.next_gogc == 75
    assert passed(step(asked, about)).next_gogc == 40


@pytest.mark.parametrize("limited_by", [Limit.OVERRIDE, Limit.DANGER])
@pytest.mark.parametrize("asked", [25, 3200])
def test_peoples_word_and_danger_win_over_the_profiles_bounds(
    limited_by: Limit, asked: int
) -> None:
    wanted = move(asked, limited_by=limited_by)
    assert bounds(wanted, situation()) is wanted


def test_danger_does_not_wait_for_the_second_step() -> None:
    wanted = move(30, current_gogc=400.0, limited_by=Limit.DANGER)
    assert step(wanted, situation()) is wanted


@pytest.mark.parametrize(("immediate", "clamped"), [(False, 200), (True, 3000)])
def test_a_pin_is_reached_in_steps_unless_it_is_immediate(clamped: int, *, immediate: bool) -> None:
    pinned = Override(entries=("sale",), pin_gogc=3000, immediate=immediate)
    wanted = move(3000, limited_by=Limit.OVERRIDE)
    assert passed(step(wanted, situation(override=pinned))).next_gogc == clamped


def test_an_immediate_pin_of_something_else_leaves_the_loops_their_steps() -> None:
    pinned = Override(entries=("sale",), pin_memory_limit_bytes=1, immediate=True)
    assert passed(step(move(550), situation(override=pinned))).next_gogc == 200


def test_a_pin_that_stands_is_held_in_the_words_of_who_pinned_it() -> None:
    pinned = Override(entries=("sale", "load-test"), reason="Weekend; Test", pin_gogc=100)
    answer = gain(move(100, limited_by=Limit.OVERRIDE), situation(override=pinned))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.AT_PIN
    assert answer.detail == "GOGC is 100 as sale, load-test has it: Weekend; Test"


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        (Obstacle.THROTTLED, "raise the CPU limit"),
        (Obstacle.SHARE_LOW, "it does not make that latency"),
    ],
)
def test_a_missed_latency_that_collecting_does_not_make_is_told(
    obstacle: Obstacle, words: str
) -> None:
    missed = LatencyAnswer(SetPoint(), 0.04, missed=True, obstacle=obstacle)
    answer = gain(move(100), situation(latency=missed))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.LATENCY_NOT_GC
    assert words in answer.detail
