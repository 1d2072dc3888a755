import math

import pytest

from tests.examples import MIB, container, policy, signals
from tuner.control import propose
from tuner.control.prediction import predict
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.signals import Signals
from tuner.model.tuning import Limit, Proposal
from tuner.model.workload import Container

POLICY = policy()
NORMAL = POLICY.profiles["normal"]
ROOMY = container(memory_limit_bytes=8192 * MIB, memory_request_bytes=8192 * MIB)


def proposed(subject: Signals, of: Container = ROOMY) -> Proposal:
    answer = propose(subject, of, NORMAL, POLICY.law)
    assert isinstance(answer, Proposal)
    return answer


def at(gogc: float, share: float) -> Signals:
    return signals(gogc=gogc, gogc_effective=gogc, gc_share=share)


@pytest.mark.parametrize(
    ("subject", "reason", "words"),
    [
        (signals(gogc_uniform=False), Reason.GOGC_DIFFERS, "between the pods"),
        (signals(gogc=math.inf), Reason.GOGC_OFF, "until the kernel kills"),
        (signals(gogc=math.inf, gomemlimit_bytes=512.0 * MIB), Reason.GOGC_OFF, "GOMEMLIMIT alone"),
        (signals(cycles_per_second=0.01, cycles_in_window=0.6), Reason.GC_IDLE, "0.6 GC cycles"),
        (signals(cycles_per_second=0.04, cycles_in_window=2.4), Reason.FEW_CYCLES, "2.4 GC"),
    ],
)
def test_a_gogc_that_cannot_be_tuned_is_held_with_its_reason(
    subject: Signals, reason: Reason, words: str
) -> None:
    answer = propose(subject, ROOMY, NORMAL, POLICY.law)
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail


def test_three_cycles_in_a_window_are_enough() -> None:
    assert proposed(signals(cycles_per_second=0.05, cycles_in_window=3.0)).rises


def test_with_memory_to_spare_the_cost_loop_decides() -> None:
    answer = proposed(signals())
    assert (answer.target_gogc, answer.limited_by) == (550, Limit.COST)
    assert answer.rises
    assert answer.next_gogc == answer.target_gogc


def test_memory_that_ends_sooner_than_the_cost_decides() -> None:
    # .95 of a ceiling of 317.876.
    answer = proposed(signals(), container())
    assert (answer.target_gogc, answer.limited_by) == (300, Limit.CEILING)


def test_a_bound_of_the_profile_that_ends_sooner_decides() -> None:
    answer = proposed(at(1000.0, 0.2))
    assert (answer.target_gogc, answer.limited_by) == (1600, Limit.BOUND)


def test_without_a_budget_the_cost_loop_is_still_recommended() -> None:
    bare = container(memory_limit_bytes=None, memory_request_bytes=None)
    answer = proposed(signals(), bare)
    assert (answer.target_gogc, answer.ceiling) == (550, None)


@pytest.mark.parametrize("share", [0.04, 0.02, 0.002])
def test_memory_is_never_given_back_for_a_share_at_or_under_its_target(share: float) -> None:
    answer = proposed(at(400.0, share))
    assert answer.target_gogc == 400
    assert not answer.rises
    assert answer.target_prediction.cpu_saving_ratio == 0.0


def test_a_passed_request_is_no_reason_to_lower() -> None:
    answer = proposed(at(700.0, 0.1), container())
    assert (answer.target_gogc, answer.limited_by) == (700, Limit.CEILING)


def test_a_gogc_past_its_profile_is_not_lowered() -> None:
    assert proposed(at(2000.0, 0.1)).target_gogc == 2000


def test_a_passed_limit_without_a_gomemlimit_lowers_to_a_margin_under_it() -> None:
    # .95 of a ceiling of 764.852.
    answer = proposed(at(800.0, 0.1), container())
    assert (answer.target_gogc, answer.limited_by) == (720, Limit.CEILING)
    assert answer.target_prediction.cpu_saving_ratio < 0


def test_a_passed_limit_behind_a_gomemlimit_lowers_nothing() -> None:
    guarded = signals(gogc=800.0, gogc_effective=500.0, gc_share=0.1, gomemlimit_bytes=900.0 * MIB)
    assert proposed(guarded, container()).target_gogc == 800


@pytest.mark.parametrize(("gogc", "target"), [(100.0, 25), (30.0, 25), (20.0, 20)])
def test_a_limit_too_small_for_the_live_heap_ends_at_the_least_gogc(
    gogc: float, target: int
) -> None:
    answer = proposed(at(gogc, 0.2), container(memory_limit_bytes=130 * MIB))
    assert answer.target_gogc == target
    assert answer.ceiling is not None
    assert answer.ceiling.short


def test_what_is_expected_is_stated_with_the_proposal() -> None:
    # The heap goal, what Go has besides, and what Go does not know.
    peak = round((100 + 5.5 * 100 + 20 + 10) * MIB)
    prediction = proposed(signals()).target_prediction
    assert prediction.memory_peak_bytes == peak
    saving = 0.2 * (1 - (100 / 550) ** 1.05)
    assert prediction.cpu_saving_ratio == pytest.approx(saving, abs=5e-5)


def test_a_gomemlimit_bounds_the_memory_that_is_expected() -> None:
    guarded = signals(gomemlimit_bytes=400.0 * MIB)
    assert predict(guarded, 1600, POLICY.law).memory_peak_bytes == 410 * MIB


def test_staying_saves_nothing() -> None:
    assert predict(signals(), 100, POLICY.law).cpu_saving_ratio == 0.0


def test_gogc_zero_is_tuned_like_any_other() -> None:
    assert proposed(signals(gogc=0.0, gogc_effective=1.0, gc_share=0.9)).rises
