from dataclasses import replace

import pytest

from tests.examples import MIB, container, policy, signals, workload
from tuner.control.ceiling import Memory, memory_ceiling, memory_of
from tuner.control.gc_cost import gogc_for_share
from tuner.model.policy import MemoryBudget, Profile
from tuner.model.signals import Signals, Source
from tuner.model.tuning import Ceiling
from tuner.model.workload import Autoscaling, LiveChannel, Running

POLICY = policy()
NORMAL = POLICY.profiles["normal"]
USUAL = Memory(request_bytes=512 * MIB, limit_bytes=1024 * MIB)
BY_LIMIT = replace(NORMAL, memory_budget=MemoryBudget.LIMIT)


def ceiling(
    subject: Signals,
    of: Memory = USUAL,
    profile: Profile = NORMAL,
    backstop_bytes: float | None = None,
) -> Ceiling:
    answer = memory_ceiling(subject, of, profile, POLICY.law, backstop_bytes=backstop_bytes)
    assert answer is not None
    return answer


def limited(limit_mib: int) -> Memory:
    return Memory(512 * MIB, limit_mib * MIB)


def test_without_request_and_limit_there_is_no_ceiling() -> None:
    assert memory_ceiling(signals(), Memory(None, None), NORMAL, POLICY.law) is None


def test_the_request_is_the_budget_by_default() -> None:
    # .9 * 512 - 10 = 450.8 MiB for Go, .97 * (450.8 - 20) = 417.876 of it for the heap goal.
    seen = ceiling(signals())
    assert (seen.budget_name, seen.budget_bytes) == ("memory request", 512 * MIB)
    assert seen.gogc == pytest.approx(317.876)
    assert not seen.lowers


def test_the_limit_is_the_budget_where_the_profile_says_so() -> None:
    # .97 * (.9 * 1024 - 10 - 20) = 864.852 MiB.
    seen = ceiling(signals(), USUAL, BY_LIMIT)
    assert (seen.budget_name, seen.budget_bytes) == ("memory limit", 1024 * MIB)
    assert seen.gogc == pytest.approx(764.852)


def test_the_limit_is_the_budget_where_nothing_is_requested() -> None:
    seen = ceiling(signals(), Memory(None, 1024 * MIB))
    assert seen.budget_name == "memory limit"
    assert seen.gogc == pytest.approx(764.852)


def test_the_request_is_the_budget_where_nothing_is_limited() -> None:
    seen = ceiling(signals(), Memory(512 * MIB, None), BY_LIMIT)
    assert seen.budget_name == "memory request"
    assert seen.gogc == pytest.approx(317.876)
    assert not seen.short


def test_a_gomemlimit_below_the_budget_is_the_ceiling() -> None:
    # .97 * (226 - 20) = 199.82 MiB; what Go does not know is not counted by GOMEMLIMIT.
    seen = ceiling(signals(gomemlimit_bytes=226.0 * MIB))
    assert seen.gogc == pytest.approx(99.82)


def test_stacks_grow_the_goal_and_so_lower_the_ceiling() -> None:
    seen = ceiling(signals(stack_bytes=25.0 * MIB))
    assert seen.gogc == pytest.approx(317.876 / 1.25)


def test_a_gogc_above_what_the_limit_allows_is_lowered_to_the_limit() -> None:
    seen = ceiling(signals(gogc=800.0, gogc_effective=800.0))
    assert seen.lowers
    assert seen.gogc == pytest.approx(764.852)


def test_a_gogc_above_what_the_request_allows_only_stops_rising() -> None:
    seen = ceiling(signals(gogc=700.0, gogc_effective=700.0))
    assert not seen.lowers
    assert seen.gogc == pytest.approx(317.876)


def test_nothing_is_lowered_where_a_gomemlimit_stands_behind() -> None:
    guarded = signals(gogc=800.0, gogc_effective=800.0, gomemlimit_bytes=900.0 * MIB)
    assert not ceiling(guarded).lowers


def test_nothing_is_lowered_for_a_request_alone() -> None:
    seen = ceiling(signals(gogc=800.0, gogc_effective=800.0), Memory(512 * MIB, None), BY_LIMIT)
    assert not seen.lowers


@pytest.mark.parametrize(
    ("limit_mib", "short"),
    [
        # The goal is at least 1.25 * 100 MiB from (125 / .97 + 30) / .9 = 176.5 MiB on, and the
        # share at most .25 from GOGC 100 * ((.2 / .8) / (.25 / .75)) ** (1 / 1.05) = 76.0 on,
        # which needs (176.0 / .97 + 30) / .9 = 235.0 MiB.
        (170, True),
        (234, True),
        (236, False),
    ],
)
def test_a_limit_is_short_where_collecting_would_take_a_quarter_of_the_cpu(
    limit_mib: int, *, short: bool
) -> None:
    assert ceiling(signals(), limited(limit_mib)).short is short


def test_a_goal_without_room_over_the_live_heap_is_short_whatever_the_share() -> None:
    idle = signals(gc_share=0.002)
    assert ceiling(idle, limited(176)).short
    assert not ceiling(idle, limited(177)).short


def test_the_limit_needed_for_the_target_share_is_worked_out() -> None:
    # GOGC 100 * 6 ** (1 / 1.05) = 550.9 makes a goal of 650.9 MiB; (G + 20) / (.97 * .9) + 10 / .9.
    wanted = gogc_for_share(0.2, 0.04, 100.0, 1.05)
    assert wanted == pytest.approx(550.9, abs=0.1)
    needed = ceiling(signals()).limit_needed_bytes / MIB
    assert needed == pytest.approx((100 + wanted + 20) / (0.97 * 0.9) + 10 / 0.9)


def test_the_sufficient_limit_ends_the_shortage_and_is_smaller_than_the_needed_one() -> None:
    before = ceiling(signals(), limited(170))
    assert before.short
    assert before.limit_sufficient_bytes < before.limit_needed_bytes
    after = ceiling(signals(), Memory(512 * MIB, round(before.limit_sufficient_bytes)))
    assert not after.short


def test_the_limit_needed_stops_at_the_highest_gogc_of_the_profile() -> None:
    busy = ceiling(signals(gc_share=0.9))
    goal = 100 * (1 + NORMAL.gogc_highest / 100)
    assert busy.limit_needed_bytes / MIB == pytest.approx((goal + 20) / (0.97 * 0.9) + 10 / 0.9)


def test_a_gomemlimit_that_will_be_written_counts_instead_of_the_one_in_force() -> None:
    # .97 * (226 - 20) = 199.82 MiB.
    seen = ceiling(signals(gomemlimit_bytes=400.0 * MIB), backstop_bytes=226.0 * MIB)
    assert seen.gogc == pytest.approx(99.82)


PASSED = signals(gogc=900.0, gogc_effective=900.0)


def test_the_first_gomemlimit_keeps_the_container_within_its_limit_and_gogc_where_it_is() -> None:
    # .9 of 1024 MiB less 10 MiB that Go does not know are 911.6 MiB.
    seen = ceiling(PASSED, backstop_bytes=911.0 * MIB)
    assert seen.relieved
    assert not seen.lowers


@pytest.mark.parametrize(
    ("subject", "backstop_mib"),
    [
        pytest.param(PASSED, 912, id="the limit leaves too much"),
        pytest.param(
            replace(PASSED, live_source=Source.DERIVED), 911, id="the live heap is known by GOGC"
        ),
    ],
)
def test_gogc_falls_with_the_first_gomemlimit_where(subject: Signals, backstop_mib: int) -> None:
    seen = ceiling(subject, backstop_bytes=float(backstop_mib * MIB))
    assert seen.lowers
    assert not seen.relieved


def test_a_gomemlimit_in_force_relieves_of_nothing() -> None:
    guarded = replace(PASSED, gomemlimit_bytes=911.0 * MIB)
    assert not ceiling(guarded).relieved


def test_memory_is_used_to_a_margin_under_what_makes_an_autoscaler_add_pods() -> None:
    # .85 * 480 = 408 MiB is less than .9 of any budget: .97 * (408 - 10 - 20) = 366.66 MiB.
    for profile in (NORMAL, BY_LIMIT):
        seen = ceiling(signals(), replace(USUAL, autoscaler_bytes=480.0 * MIB), profile)
        assert (seen.budget_name, seen.budget_bytes) == ("autoscaler's memory target", 480 * MIB)
        assert seen.gogc == pytest.approx(266.66)


def test_an_autoscaler_with_a_higher_target_than_the_budget_changes_nothing() -> None:
    # .85 * 543 MiB is over .9 * 512 MiB.
    assert ceiling(signals(), replace(USUAL, autoscaler_bytes=543.0 * MIB)) == ceiling(signals())


def test_an_autoscaler_only_stops_rises() -> None:
    grown = signals(gogc=700.0, gogc_effective=700.0)
    assert not ceiling(grown, replace(USUAL, autoscaler_bytes=480.0 * MIB)).lowers


@pytest.mark.parametrize(
    ("template_mib", "in_force_mib", "live", "limit_mib"),
    [
        pytest.param(1024, None, False, 1024, id="no pod tells"),
        pytest.param(1024, 1024, False, 1024, id="pods run as the template has it"),
        pytest.param(1024, 512, False, 512, id="made smaller in place"),
        pytest.param(1024, 2048, False, 1024, id="made larger: the next pod is not"),
        pytest.param(1024, 2048, True, 2048, id="made larger: no next pod comes"),
        pytest.param(1024, 512, True, 512, id="made smaller: no next pod comes"),
        pytest.param(1024, None, True, 1024, id="live: no pod tells"),
        pytest.param(None, 512, False, 512, id="the template has none"),
        pytest.param(None, None, False, None, id="nobody has one"),
    ],
)
def test_the_limit_that_counts_is_the_smallest_that_a_pod_has_or_will_have(
    template_mib: int | None, in_force_mib: int | None, limit_mib: int | None, *, live: bool
) -> None:
    subject = container(
        memory_limit_bytes=None if template_mib is None else template_mib * MIB,
        running=Running(memory_limit_bytes=None if in_force_mib is None else in_force_mib * MIB),
    )
    channel = LiveChannel("cart") if live else None
    seen = memory_of(workload(containers=(subject,), live=channel), subject)
    assert seen.limit_bytes == (None if limit_mib is None else limit_mib * MIB)
    assert seen.request_bytes == 512 * MIB


@pytest.mark.parametrize(
    ("request_mib", "target", "autoscaler_mib"),
    [(512, 0.8, 409.6), (512, None, None), (None, 0.8, None)],
)
def test_an_autoscalers_target_is_a_share_of_the_request(
    request_mib: int | None, target: float | None, autoscaler_mib: float | None
) -> None:
    subject = container(memory_request_bytes=None if request_mib is None else request_mib * MIB)
    scaled = workload(autoscaling=Autoscaling(memory_request_target=target))
    expected = None if autoscaler_mib is None else pytest.approx(autoscaler_mib * MIB)
    assert memory_of(scaled, subject).autoscaler_bytes == expected
