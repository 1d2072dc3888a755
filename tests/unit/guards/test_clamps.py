from dataclasses import replace

import pytest

from tests.examples import signals
from tests.unit.guards.situations import POLICY, ceiling, proposal, situation
from tuner.control.prediction import predict
from tuner.guards import decide
from tuner.guards.bounds import bounds
from tuner.guards.gain import gain
from tuner.guards.step import step
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.tuning import Ceiling, Limit, Proposal


def passed(answer: Proposal | Hold) -> Proposal:
    assert isinstance(answer, Proposal)
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
    answer = passed(step(proposal(asked, current_gogc=current), situation()))
    assert answer.next_gogc == clamped


def test_a_clamped_step_keeps_its_target_and_states_what_it_will_do_itself() -> None:
    answer = passed(step(proposal(550), situation()))
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
    answer = passed(bounds(proposal(asked, limited_by=limited_by), situation()))
    assert answer.next_gogc == bounded
    assert answer.prediction == predict(signals(), bounded, POLICY.law)


def test_a_proposal_for_another_value_has_something_to_gain() -> None:
    asked = proposal(110)
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
    asked = replace(proposal(100), limited_by=limited_by, ceiling=of)
    answer = gain(asked, situation())
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail


def test_the_lower_bound_lifts_no_value_past_the_memory_ceiling() -> None:
    low = proposal(30, current_gogc=20.0, ceiling=ceiling(gogc=32.0))
    assert passed(bounds(low, situation())).next_gogc == 30


def test_the_lower_bound_is_reached_in_steps() -> None:
    asked = proposal(30, current_gogc=20.0)
    answer = passed(decide(asked, situation(signals=signals(gogc=20.0, gogc_effective=20.0))))
    assert answer.next_gogc == 40
