import math

import pytest

from tests.examples import MIB, level, policy, trial
from tuner.model.reason import Reason
from tuner.model.trial import Level, Spread, Verdict
from tuner.verification.verdict import comparable, judge, standard_error

RULES = policy().trial
MANY = 100
"""So many pods that the spread between restarts, 2 % over their root, hardly counts."""


def after(kappa: float | None = 0.001, deviation: float = 0.0, pods: int = MANY) -> Level:
    spread = None if kappa is None else Spread(kappa, deviation, 5)
    return level(kappa, cpu_seconds_per_request=spread, pods=pods)


@pytest.mark.parametrize(
    ("kappa", "verdict"),
    [
        (0.00080, Verdict.CONFIRMED),
        (0.00097, Verdict.CONFIRMED),
        (0.00099, Verdict.NO_EFFECT),
        (0.00100, Verdict.NO_EFFECT),
        (0.00104, Verdict.NO_EFFECT),
        (0.00106, Verdict.REGRESSED),
    ],
)
def test_cpu_per_request_decides(kappa: float, verdict: Verdict) -> None:
    judgement = judge(trial(), level(), after(kappa), RULES)
    assert judgement.verdict is verdict
    assert judgement.saving_ratio == pytest.approx(1 - kappa / 0.001)


@pytest.mark.parametrize(
    ("kappa", "pods", "verdict"),
    [
        # Three standard errors of a restart: 6 % for one pod, 3 % for four.
        (0.00095, 1, Verdict.NO_EFFECT),
        (0.00095, 4, Verdict.CONFIRMED),
        (0.001059, 1, Verdict.NO_EFFECT),
        (0.001059, 4, Verdict.REGRESSED),
    ],
)
def test_a_difference_that_a_restart_alone_could_make_is_none(
    kappa: float, pods: int, verdict: Verdict
) -> None:
    assert judge(trial(), level(), after(kappa, pods=pods), RULES).verdict is verdict


@pytest.mark.parametrize("kappa", [0.0009, 0.0011])
def test_a_difference_within_the_spread_of_the_windows_is_none(kappa: float) -> None:
    noisy = after(kappa, deviation=0.0002)
    assert judge(trial(), level(), noisy, RULES).verdict is Verdict.NO_EFFECT


def test_the_standard_error_joins_both_sides_and_the_restart() -> None:
    side = 1.48 * 0.1 * math.sqrt(math.pi / 2 / 5)
    spread = Spread(median=1.0, deviation=0.1, windows=5)
    error = standard_error(spread, spread, 4, RULES)
    assert error == pytest.approx(math.sqrt(2 * side**2 + 0.01**2))


def test_a_side_without_windows_is_as_uncertain_as_one_with_a_single() -> None:
    none, one = Spread(1.0, 0.1, 0), Spread(1.0, 0.1, 1)
    assert standard_error(none, one, 2, RULES) == standard_error(one, one, 2, RULES)


@pytest.mark.parametrize(
    ("errors", "verdict"), [(0.0109, Verdict.CONFIRMED), (0.012, Verdict.REGRESSED)]
)
def test_errors_are_harm_whatever_the_cpu_says(errors: float, verdict: Verdict) -> None:
    side = level(0.0005, errors_ratio=errors, pods=MANY)
    assert judge(trial(), level(errors_ratio=0.001), side, RULES).verdict is verdict


@pytest.mark.parametrize(
    ("resident_mib", "verdict"), [(180, Verdict.CONFIRMED), (220, Verdict.NO_EFFECT)]
)
def test_a_change_for_memory_is_judged_by_memory(resident_mib: int, verdict: Verdict) -> None:
    side = level(0.0012, resident_bytes=resident_mib * MIB, pods=MANY)
    judgement = judge(trial(reason=Reason.MEMORY_CEILING), level(), side, RULES)
    assert judgement.verdict is verdict
    assert judgement.saving_ratio == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("per_byte", "verdict"), [(0.9e-9, Verdict.CONFIRMED), (1.1e-9, Verdict.REGRESSED)]
)
def test_without_requests_the_cpu_per_allocated_byte_decides(
    per_byte: float, verdict: Verdict
) -> None:
    side = level(None, cpu_seconds_per_allocated_byte=Spread(per_byte, 0.0, 5), pods=MANY)
    judgement = judge(trial(), level(None), side, RULES)
    assert judgement.verdict is verdict
    assert "allocated byte" in judgement.detail


@pytest.mark.parametrize(
    ("before", "later", "alike"),
    [
        pytest.param(level(), level(), True, id="the same"),
        pytest.param(
            level(),
            level(requests_per_second=1400.0, allocated_bytes_per_second=560.0 * MIB),
            True,
            id="a little more of the same load",
        ),
        pytest.param(
            level(),
            level(requests_per_second=1500.0, allocated_bytes_per_second=600.0 * MIB),
            False,
            id="much more load",
        ),
        pytest.param(
            level(), level(allocated_bytes_per_second=200.0 * MIB), False, id="other requests"
        ),
        pytest.param(level(None), level(None), True, id="no counter, the same allocation"),
        pytest.param(
            level(None),
            level(None, allocated_bytes_per_second=200.0 * MIB),
            False,
            id="no counter, another allocation",
        ),
    ],
)
def test_sides_are_compared_only_under_like_loads(
    before: Level, later: Level, *, alike: bool
) -> None:
    assert comparable(before, later, RULES) is alike
    assert comparable(later, before, RULES) is alike


def test_the_words_tell_figures_noise_and_prediction() -> None:
    detail = judge(trial(), level(), after(0.0008), RULES).detail
    assert detail == ("CPU per request 0.001 s -> 0.0008 s (-20.0%), noise 0.6%, predicted -10.0%")
