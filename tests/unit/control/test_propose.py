"""What the loops ask for: GOGC by the low select, GOMEMLIMIT behind it."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.examples import MIB, policy, signals
from tuner.control import propose
from tuner.control.ceiling import Memory
from tuner.control.prediction import predict
from tuner.control.propose import Terms
from tuner.model.decision import Hold
from tuner.model.override import Override
from tuner.model.proposal import GogcMove, MemoryLimitMove, Proposal
from tuner.model.reason import Reason
from tuner.model.signals import Signals, Source
from tuner.model.tuning import Limit

POLICY = policy()
NORMAL = POLICY.profiles["normal"]
USUAL = Memory(request_bytes=512 * MIB, limit_bytes=1024 * MIB)
ROOMY = Memory(request_bytes=8192 * MIB, limit_bytes=8192 * MIB)
IDLE = signals(cycles_per_second=0.01, cycles_seen=0.6)
FEW = signals(cycles_per_second=0.04, cycles_seen=2.4)
OFF = signals(gogc=math.inf)
DANGER = "990 MiB are in use of the memory limit of 1024 MiB"


def terms(memory: Memory = ROOMY, **changes: Any) -> Terms:  # noqa: ANN401  # handed to replace
    return replace(Terms(NORMAL, POLICY.law, memory), **changes)


def asked(
    subject: Signals,
    memory: Memory = ROOMY,
    **changes: Any,  # noqa: ANN401  # as terms
) -> Proposal:
    return propose(subject, terms(memory, **changes))


def moved(subject: Signals, memory: Memory = ROOMY, **changes: Any) -> GogcMove:  # noqa: ANN401
    """The move of GOGC alone: GOMEMLIMIT is somebody else's."""
    answer = asked(subject, memory, **({"limit_free": False} | changes)).gogc
    assert isinstance(answer, GogcMove)
    return answer


def at(gogc: float, share: float) -> Signals:
    return signals(gogc=gogc, gogc_effective=gogc, gc_share=share)


@pytest.mark.parametrize(
    ("subject", "reason", "words"),
    [
        (OFF, Reason.GOGC_OFF, "until the kernel kills"),
        (replace(OFF, gomemlimit_bytes=512.0 * MIB), Reason.GOGC_OFF, "GOMEMLIMIT alone"),
        (IDLE, Reason.GC_IDLE, "0.6 GC cycles"),
        (FEW, Reason.FEW_CYCLES, "2.4 GC"),
    ],
)
def test_a_gogc_that_cannot_be_tuned_is_held_with_its_reason(
    subject: Signals, reason: Reason, words: str
) -> None:
    answer = asked(subject).gogc
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail


def test_three_cycles_in_a_window_are_enough() -> None:
    assert moved(signals(cycles_per_second=0.05, cycles_seen=3.0)).rises


def test_an_off_that_may_be_tuned_is_left_from_the_gogc_that_makes_todays_heap() -> None:
    answer = moved(replace(OFF, gogc_effective=300.0), profile=replace(NORMAL, goes_off=True))
    assert answer.current_gogc == 300.0
    assert answer.rises


def test_with_memory_to_spare_the_cost_loop_decides() -> None:
    answer = moved(signals())
    assert (answer.target_gogc, answer.limited_by) == (550, Limit.COST)
    assert answer.reason is Reason.GC_COST
    assert answer.next_gogc == answer.target_gogc


def test_memory_that_ends_sooner_than_the_cost_decides() -> None:
    # .95 of a ceiling of 317.876.
    answer = moved(signals(), USUAL)
    assert (answer.target_gogc, answer.limited_by) == (300, Limit.CEILING)


def test_a_bound_of_the_profile_that_ends_sooner_decides() -> None:
    answer = moved(at(1000.0, 0.2))
    assert (answer.target_gogc, answer.limited_by) == (1600, Limit.BOUND)


def test_without_a_budget_the_cost_loop_is_still_recommended() -> None:
    answer = moved(signals(), Memory(None, None))
    assert (answer.target_gogc, answer.ceiling) == (550, None)


@pytest.mark.parametrize("share", [0.04, 0.02, 0.002])
def test_memory_is_never_given_back_for_a_share_at_or_under_its_target(share: float) -> None:
    answer = moved(at(400.0, share))
    assert answer.target_gogc == 400
    assert not answer.rises
    assert answer.target_prediction.cpu_saving_ratio == 0.0


def test_a_passed_request_is_no_reason_to_lower() -> None:
    answer = moved(at(700.0, 0.1), USUAL)
    assert (answer.target_gogc, answer.limited_by) == (700, Limit.CEILING)


def test_a_gogc_past_its_profile_is_not_lowered() -> None:
    assert moved(at(2000.0, 0.1)).target_gogc == 2000


def test_a_passed_limit_without_a_gomemlimit_lowers_to_a_margin_under_it() -> None:
    # .95 of a ceiling of 764.852.
    answer = moved(at(800.0, 0.1), USUAL)
    assert (answer.target_gogc, answer.limited_by) == (720, Limit.CEILING)
    assert answer.reason is Reason.MEMORY_CEILING
    assert answer.target_prediction.cpu_saving_ratio < 0


def test_a_passed_limit_gets_the_first_gomemlimit_and_gogc_stays() -> None:
    answer = asked(at(800.0, 0.1), USUAL)
    assert answer.memory_limit == MemoryLimitMove(None, 910)
    assert isinstance(answer.gogc, GogcMove)
    assert answer.gogc.target_gogc == 800


@pytest.mark.parametrize("gogc", [800.0, math.inf])
def test_a_gomemlimit_that_rises_lets_the_heap_grow_as_far_as_gogc_has_it(gogc: float) -> None:
    bound = signals(gogc=gogc, gogc_effective=300.0, gc_share=0.1, gomemlimit_bytes=434.0 * MIB)
    answer = asked(bound, USUAL)
    assert answer.memory_limit == MemoryLimitMove(434.0 * MIB, 910)
    assert answer.prediction.memory_peak_bytes == 920 * MIB
    assert answer.prediction.cpu_saving_ratio > 0.05


def test_a_passed_limit_behind_a_gomemlimit_lowers_nothing() -> None:
    guarded = signals(gogc=800.0, gogc_effective=500.0, gc_share=0.1, gomemlimit_bytes=900.0 * MIB)
    assert moved(guarded, USUAL).target_gogc == 800


@pytest.mark.parametrize(("gogc", "target"), [(100.0, 25), (30.0, 25), (20.0, 20)])
def test_a_limit_too_small_for_the_live_heap_ends_at_the_least_gogc(
    gogc: float, target: int
) -> None:
    answer = moved(at(gogc, 0.2), Memory(512 * MIB, 130 * MIB))
    assert answer.target_gogc == target
    assert answer.ceiling is not None
    assert answer.ceiling.short


def test_what_is_expected_is_stated_with_the_proposal() -> None:
    # The heap goal, what Go has besides, and what Go does not know.
    peak = round((100 + 5.5 * 100 + 20 + 10) * MIB)
    prediction = moved(signals()).target_prediction
    assert prediction.memory_peak_bytes == peak
    saving = 0.2 * (1 - (100 / 550) ** 1.05)
    assert prediction.cpu_saving_ratio == pytest.approx(saving, abs=5e-5)


def test_a_gomemlimit_bounds_the_memory_that_is_expected() -> None:
    guarded = signals(gomemlimit_bytes=400.0 * MIB)
    assert predict(guarded, 1600, POLICY.law).memory_peak_bytes == 410 * MIB


def test_a_gomemlimit_that_will_be_written_bounds_the_memory_that_is_expected() -> None:
    assert predict(signals(), 1600, POLICY.law, 400.0 * MIB).memory_peak_bytes == 410 * MIB


def test_staying_saves_nothing() -> None:
    assert predict(signals(), 100, POLICY.law).cpu_saving_ratio == 0.0


def test_gogc_zero_is_tuned_like_any_other() -> None:
    assert moved(signals(gogc=0.0, gogc_effective=1.0, gc_share=0.9)).rises


# GOMEMLIMIT: .9 * 1024 MiB less 1.1 * 10 MiB is 910 MiB.


def limited(in_force_mib: int, **changes: Any) -> Signals:  # noqa: ANN401  # handed to signals
    return signals(gomemlimit_bytes=float(in_force_mib * MIB), **changes)


def test_where_there_is_none_the_first_gomemlimit_is_asked_for_with_gogc() -> None:
    answer = asked(signals(), USUAL)
    assert answer.memory_limit == MemoryLimitMove(None, 910)
    assert isinstance(answer.gogc, GogcMove)
    assert answer.gogc.backstop_bytes == 910 * MIB
    assert answer.gogc.reason is Reason.GC_COST


PINNED = Override(pin_memory_limit_bytes=700 * MIB)
"""The ceiling is then .97 * (700 - 20) - 100 = 559.6 MiB over 100 MiB of live heap."""


def test_the_ceiling_of_gogc_counts_the_gomemlimit_that_comes_with_it() -> None:
    derived = signals(live_source=Source.DERIVED)
    answer = asked(derived, ROOMY, override=PINNED).gogc
    assert isinstance(answer, GogcMove)
    # .95 of the ceiling.
    assert (answer.target_gogc, answer.limited_by) == (530, Limit.CEILING)


def test_behind_a_gomemlimit_that_holds_the_heap_in_the_budget_gogc_passes_the_ceiling() -> None:
    answer = asked(signals(gc_share=0.5), ROOMY, override=PINNED).gogc
    assert isinstance(answer, GogcMove)
    assert (answer.target_gogc, answer.limited_by) == (1600, Limit.BOUND)
    assert answer.prediction.memory_peak_bytes == 710 * MIB
    # As much as GOGC 559 saves, where GOMEMLIMIT stops the heap.
    assert answer.prediction.cpu_saving_ratio == pytest.approx(
        0.5 * (1 - (100 / 559.6) ** 1.05), abs=0.001
    )


def test_behind_a_gomemlimit_of_somebody_elses_gogc_stays_below_the_ceiling() -> None:
    theirs = limited(700, gc_share=0.5)
    answer = asked(theirs, ROOMY, limit_free=False).gogc
    assert isinstance(answer, GogcMove)
    assert (answer.target_gogc, answer.limited_by) == (530, Limit.CEILING)


def test_once_at_the_ceiling_gogc_stays() -> None:
    at_it = signals(gc_share=0.5, gogc=540.0, gogc_effective=540.0)
    answer = asked(at_it, ROOMY, override=PINNED).gogc
    assert isinstance(answer, GogcMove)
    assert (answer.target_gogc, answer.limited_by) == (540, Limit.CEILING)


@pytest.mark.parametrize(
    ("subject", "changes"),
    [
        pytest.param(signals(), {"limit_free": False}, id="it is not ours to write"),
        pytest.param(
            signals(),
            {"limit_free": False, "override": Override(pin_memory_limit_bytes=MIB)},
            id="people's word grants no write",
        ),
        pytest.param(signals(), {"memory": Memory(512 * MIB, None)}, id="no limit to stand behind"),
        pytest.param(
            signals(), {"memory": Memory(None, 63 * MIB)}, id="too small a container to steer"
        ),
        pytest.param(limited(910), {}, id="it stands there"),
        pytest.param(limited(880), {}, id="not worth a restart"),
        pytest.param(limited(940), {}, id="not worth a restart either"),
        pytest.param(IDLE, {}, id="a first one for a heap that hardly ever grows"),
        pytest.param(FEW, {}, id="a first one for a heap that seldom grows"),
    ],
)
def test_gomemlimit_stays_as_it_is(subject: Signals, changes: dict[str, Any]) -> None:
    answer = asked(subject, **({"memory": USUAL} | changes))
    assert answer.memory_limit is None


@pytest.mark.parametrize(
    ("subject", "changes", "mib"),
    [
        pytest.param(limited(860), {}, 910, id="over 5 % more"),
        pytest.param(limited(970), {}, 910, id="over 5 % less"),
        pytest.param(limited(970), {"correction": 0.9}, 818, id="what the memory loop says"),
        pytest.param(replace(FEW, gomemlimit_bytes=800.0 * MIB), {}, 910, id="few cycles"),
        pytest.param(OFF, {}, 910, id="GOGC is off"),
        pytest.param(replace(IDLE, gomemlimit_bytes=800.0 * MIB), {}, 910, id="idle, and it moves"),
    ],
)
def test_gomemlimit_goes_where_the_memory_loop_wants_it(
    subject: Signals, changes: dict[str, Any], mib: int
) -> None:
    answer = asked(subject, USUAL, **changes)
    assert answer.memory_limit is not None
    assert answer.memory_limit.mib == mib
    assert answer.memory_limit.reason is Reason.MEMORY_LIMIT


def test_gomemlimit_alone_is_predicted_at_todays_gogc() -> None:
    answer = asked(OFF, USUAL)
    assert isinstance(answer.gogc, Hold)
    assert answer.reason is Reason.MEMORY_LIMIT
    # The goal of 200 MiB is under the limit: nothing moves.
    assert answer.prediction.cpu_saving_ratio == 0.0
    assert answer.prediction.memory_peak_bytes == 230 * MIB


@pytest.mark.parametrize(
    ("lowest_mib", "highest_mib", "mib"),
    [
        pytest.param(950, None, 950, id="raised to people's lowest"),
        pytest.param(None, 600, 600, id="lowered to people's highest"),
        pytest.param(800, 1000, 910, id="within"),
        pytest.param(2000, None, 1024, id="never over the container's own limit"),
    ],
)
def test_peoples_bounds_hold_for_gomemlimit(
    lowest_mib: int | None, highest_mib: int | None, mib: int
) -> None:
    bounds = Override(
        memory_limit_lowest_bytes=None if lowest_mib is None else lowest_mib * MIB,
        memory_limit_highest_bytes=None if highest_mib is None else highest_mib * MIB,
    )
    answer = asked(signals(), USUAL, override=bounds)
    assert answer.memory_limit is not None
    assert answer.memory_limit.mib == mib


def test_a_lowest_between_two_mebibytes_is_not_undercut() -> None:
    bounds = Override(memory_limit_lowest_bytes=950 * MIB + 1)
    answer = asked(signals(), USUAL, override=bounds)
    assert answer.memory_limit is not None
    assert answer.memory_limit.mib == 951


@pytest.mark.parametrize(
    ("subject", "memory", "pinned_bytes", "mib"),
    [
        pytest.param(signals(), USUAL, 700 * MIB, 700, id="none in force"),
        pytest.param(limited(690), USUAL, 700 * MIB, 700, id="by however little"),
        pytest.param(signals(), Memory(None, None), 700 * MIB, 700, id="no limit to stand behind"),
        pytest.param(signals(), USUAL, 2048 * MIB, 1024, id="never over the container's own limit"),
        pytest.param(signals(), USUAL, 700 * MIB + 1, 700, id="whole MiB"),
        pytest.param(IDLE, USUAL, 700 * MIB, 700, id="idle"),
    ],
)
def test_a_pinned_gomemlimit_is_asked_for(
    subject: Signals, memory: Memory, pinned_bytes: int, mib: int
) -> None:
    answer = asked(subject, memory, override=Override(pin_memory_limit_bytes=pinned_bytes))
    assert answer.memory_limit is not None
    assert (answer.memory_limit.mib, answer.memory_limit.ordered) == (mib, True)
    assert answer.memory_limit.reason is Reason.PINNED


def test_a_pinned_gomemlimit_that_stands_is_not_written_again() -> None:
    pinned = Override(pin_memory_limit_bytes=700 * MIB)
    assert asked(limited(700), USUAL, override=pinned).memory_limit is None


# What people and danger do to GOGC.


@pytest.mark.parametrize(
    "subject", [signals(), IDLE, FEW, at(100.0, 0.01)], ids=["busy", "idle", "few", "at target"]
)
@pytest.mark.parametrize("pinned", [1, 80, 3000])
def test_a_pinned_gogc_is_the_target_whatever_the_loops_say(subject: Signals, pinned: int) -> None:
    answer = moved(subject, USUAL, override=Override(pin_gogc=pinned), danger=DANGER)
    assert (answer.target_gogc, answer.limited_by) == (pinned, Limit.OVERRIDE)
    assert answer.reason is Reason.PINNED


def test_an_off_is_not_pinned_away_where_it_may_not_be_tuned() -> None:
    answer = asked(OFF, USUAL, override=Override(pin_gogc=200)).gogc
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.GOGC_OFF


@pytest.mark.parametrize(
    ("subject", "bounds", "target", "limited_by"),
    [
        pytest.param(signals(), {"gogc_highest": 400}, 400, Limit.OVERRIDE, id="stops a rise"),
        pytest.param(
            at(800.0, 0.02), {"gogc_highest": 400}, 400, Limit.OVERRIDE, id="lowers what is past it"
        ),
        pytest.param(
            at(100.0, 0.02), {"gogc_lowest": 150}, 150, Limit.OVERRIDE, id="raises what is under it"
        ),
        pytest.param(
            signals(), {"gogc_lowest": 80, "gogc_highest": 900}, 550, Limit.COST, id="within"
        ),
    ],
)
def test_peoples_bounds_hold_for_gogc(
    subject: Signals, bounds: dict[str, int], target: int, limited_by: Limit
) -> None:
    answer = moved(subject, override=Override(**bounds))  # type: ignore[arg-type] # fields of int
    assert (answer.target_gogc, answer.limited_by) == (target, limited_by)


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(signals(), id="the ceiling decides anyway"),
        pytest.param(at(100.0, 0.05), id="the GC cost asks for less"),
        pytest.param(at(100.0, 0.02), id="the GC cost asks for nothing"),
    ],
)
def test_peoples_lowest_lifts_nothing_past_the_memory_ceiling(subject: Signals) -> None:
    answer = moved(subject, USUAL, override=Override(gogc_lowest=500))
    assert (answer.target_gogc, answer.limited_by) == (300, Limit.CEILING)


@pytest.mark.parametrize(
    ("subject", "target"),
    [
        # .8 of what the limit allows, 764.852.
        pytest.param(at(900.0, 0.1), 610, id="down to a margin under the limit"),
        pytest.param(at(400.0, 0.1), 400, id="never up"),
        pytest.param(replace(IDLE, gogc=900.0, gogc_effective=900.0), 610, id="idle"),
    ],
)
def test_memory_in_danger_takes_gogc_to_what_is_safe(subject: Signals, target: int) -> None:
    answer = moved(subject, USUAL, danger=DANGER)
    assert (answer.target_gogc, answer.limited_by) == (target, Limit.DANGER)
    assert answer.reason is Reason.DANGER


@pytest.mark.parametrize(("gogc", "target"), [(100.0, 25), (20.0, 20)])
def test_danger_ends_at_the_least_gogc(gogc: float, target: int) -> None:
    answer = moved(at(gogc, 0.2), Memory(None, 130 * MIB), danger=DANGER)
    assert answer.target_gogc == target


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        pytest.param({}, 900, id="about to be killed"),
        # .8 of the 763.3 that the GOMEMLIMIT leaves.
        pytest.param({"limit_trusted": False}, 610, id="killed"),
    ],
)
def test_danger_sets_a_gomemlimit_and_lowers_gogc_only_after_a_kill(
    changes: dict[str, Any], target: int
) -> None:
    answer = asked(at(900.0, 0.1), USUAL, danger=DANGER, **changes)
    assert answer.danger == DANGER
    assert answer.memory_limit == MemoryLimitMove(None, 910)
    assert isinstance(answer.gogc, GogcMove)
    assert (answer.gogc.target_gogc, answer.gogc.limited_by) == (target, Limit.DANGER)


def test_a_gogc_of_0_is_counted_as_the_least_that_can_be_written() -> None:
    answer = moved(replace(signals(gc_share=0.02), gogc=0.0, gogc_effective=1.0))
    assert (answer.current_gogc, answer.target_gogc) == (1, 1)
