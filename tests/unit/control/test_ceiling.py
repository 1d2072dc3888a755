from dataclasses import replace

import pytest

from tests.examples import MIB, container, policy, signals
from tuner.control.ceiling import memory_ceiling
from tuner.control.gc_cost import gogc_for_share
from tuner.model.policy import MemoryBudget, Profile
from tuner.model.signals import Signals
from tuner.model.tuning import Ceiling
from tuner.model.workload import Container

POLICY = policy()
NORMAL = POLICY.profiles["normal"]
BY_LIMIT = replace(NORMAL, memory_budget=MemoryBudget.LIMIT)


def ceiling(subject: Signals, of: Container, profile: Profile = NORMAL) -> Ceiling:
    answer = memory_ceiling(subject, of, profile, POLICY.law)
    assert answer is not None
    return answer


def test_without_request_and_limit_there_is_no_ceiling() -> None:
    bare = container(memory_limit_bytes=None, memory_request_bytes=None)
    assert memory_ceiling(signals(), bare, NORMAL, POLICY.law) is None


def test_the_request_is_the_budget_by_default() -> None:
    # .9 * 512 - 10 = 450.8 MiB for Go, .97 * (450.8 - 20) = 417.876 of it for the heap goal.
    seen = ceiling(signals(), container())
    assert (seen.budget_name, seen.budget_bytes) == ("memory request", 512 * MIB)
    assert seen.gogc == pytest.approx(317.876)
    assert not seen.lowers


def test_the_limit_is_the_budget_where_the_profile_says_so() -> None:
    # .97 * (.9 * 1024 - 10 - 20) = 864.852 MiB.
    seen = ceiling(signals(), container(), BY_LIMIT)
    assert (seen.budget_name, seen.budget_bytes) == ("memory limit", 1024 * MIB)
    assert seen.gogc == pytest.approx(764.852)


def test_the_limit_is_the_budget_where_nothing_is_requested() -> None:
    seen = ceiling(signals(), container(memory_request_bytes=None))
    assert seen.budget_name == "memory limit"
    assert seen.gogc == pytest.approx(764.852)


def test_the_request_is_the_budget_where_nothing_is_limited() -> None:
    seen = ceiling(signals(), container(memory_limit_bytes=None), BY_LIMIT)
    assert seen.budget_name == "memory request"
    assert seen.gogc == pytest.approx(317.876)
    assert not seen.short


def test_a_gomemlimit_below_the_budget_is_the_ceiling() -> None:
    # .97 * (226 - 20) = 199.82 MiB; what Go does not know is not counted by GOMEMLIMIT.
    seen = ceiling(signals(gomemlimit_bytes=226.0 * MIB), container())
    assert seen.gogc == pytest.approx(99.82)


def test_stacks_grow_the_goal_and_so_lower_the_ceiling() -> None:
    seen = ceiling(signals(stack_bytes=25.0 * MIB), container())
    assert seen.gogc == pytest.approx(317.876 / 1.25)


def test_a_gogc_above_what_the_limit_allows_is_lowered_to_the_limit() -> None:
    seen = ceiling(signals(gogc=800.0, gogc_effective=800.0), container())
    assert seen.lowers
    assert seen.gogc == pytest.approx(764.852)


def test_a_gogc_above_what_the_request_allows_only_stops_rising() -> None:
    seen = ceiling(signals(gogc=700.0, gogc_effective=700.0), container())
    assert not seen.lowers
    assert seen.gogc == pytest.approx(317.876)


def test_nothing_is_lowered_where_a_gomemlimit_stands_behind() -> None:
    guarded = signals(gogc=800.0, gogc_effective=800.0, gomemlimit_bytes=900.0 * MIB)
    assert not ceiling(guarded, container()).lowers


def test_nothing_is_lowered_for_a_request_alone() -> None:
    seen = ceiling(
        signals(gogc=800.0, gogc_effective=800.0), container(memory_limit_bytes=None), BY_LIMIT
    )
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
    assert ceiling(signals(), container(memory_limit_bytes=limit_mib * MIB)).short is short


def test_a_goal_without_room_over_the_live_heap_is_short_whatever_the_share() -> None:
    idle = signals(gc_share=0.002)
    assert ceiling(idle, container(memory_limit_bytes=176 * MIB)).short
    assert not ceiling(idle, container(memory_limit_bytes=177 * MIB)).short


def test_the_limit_needed_for_the_target_share_is_worked_out() -> None:
    # GOGC 100 * 6 ** (1 / 1.05) = 550.9 makes a goal of 650.9 MiB; (G + 20) / (.97 * .9) + 10 / .9.
    wanted = gogc_for_share(0.2, 0.04, 100.0, 1.05)
    assert wanted == pytest.approx(550.9, abs=0.1)
    needed = ceiling(signals(), container()).limit_needed_bytes / MIB
    assert needed == pytest.approx((100 + wanted + 20) / (0.97 * 0.9) + 10 / 0.9)


def test_the_sufficient_limit_ends_the_shortage_and_is_smaller_than_the_needed_one() -> None:
    before = ceiling(signals(), container(memory_limit_bytes=170 * MIB))
    assert before.short
    assert before.limit_sufficient_bytes < before.limit_needed_bytes
    after = ceiling(signals(), container(memory_limit_bytes=round(before.limit_sufficient_bytes)))
    assert not after.short


def test_the_limit_needed_stops_at_the_highest_gogc_of_the_profile() -> None:
    busy = ceiling(signals(gc_share=0.9), container())
    goal = 100 * (1 + NORMAL.gogc_highest / 100)
    assert busy.limit_needed_bytes / MIB == pytest.approx((goal + 20) / (0.97 * 0.9) + 10 / 0.9)
