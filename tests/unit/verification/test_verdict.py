import math
from typing import Any

import pytest
from msgspec import structs

from tests.examples import MIB, level, policy, trial
from tuner.model.reason import Reason
from tuner.model.trial import Level, Spread, Verdict
from tuner.model.tuning import Prediction
from tuner.verification.verdict import (
    comparable,
    errors_broke_out,
    judge,
    latency_change,
    standard_error,
)

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
        # Three standard errors of a restart: 6 % for one pod, 3 % for four. 10 % were foretold.
        (0.000981, 1, Verdict.NO_EFFECT),
        (0.00097, 1, Verdict.INCONCLUSIVE),
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
def test_what_the_noise_could_hide_is_neither_effect_nor_none(kappa: float) -> None:
    noisy = after(kappa, deviation=0.0002)
    judgement = judge(trial(), level(), noisy, RULES)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.saving_ratio is None, "no score"


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
    ("requests", "errors", "harm"),
    [
        pytest.param(1000.0, 0.5, True, id="the same load"),
        pytest.param(500.0, 0.5, True, id="clients back off"),
        pytest.param(2000.0, 0.5, False, id="overload is not the change's"),
        pytest.param(500.0, 0.002, False, id="less load alone"),
        pytest.param(500.0, None, False, id="errors are not counted"),
        pytest.param(None, 0.5, False, id="requests are not counted"),
    ],
)
def test_errors_that_break_out_are_harm_although_they_move_the_load(
    requests: float | None, errors: float | None, *, harm: bool
) -> None:
    side = level(requests_per_second=requests, errors_ratio=errors)
    assert errors_broke_out(level(), side, RULES) is harm


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
    assert detail == (
        "CPU per request 0.001 s -> 0.0008 s (-20.0%), noise 0.6%, predicted -10.0%; "
        "latency 10 ms -> 10 ms (+0.0%, noise 0.6%)"
    )


def latency(
    seconds: float | None,
    deviation: float = 0.0,
    **changes: Any,  # noqa: ANN401  # handed to level
) -> Level:
    spread = None if seconds is None else Spread(seconds, deviation, 5)
    return level(latency_seconds=spread, pods=MANY, **changes)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (0.0090, Verdict.CONFIRMED),
        (0.0099, Verdict.NO_EFFECT),
        (0.0104, Verdict.NO_EFFECT),
        (0.0106, Verdict.REGRESSED),
    ],
)
def test_latency_decides_where_the_cpu_stays(seconds: float, verdict: Verdict) -> None:
    judgement = judge(trial(), level(), latency(seconds), RULES)
    assert judgement.verdict is verdict
    assert f"latency 10 ms -> {1000 * seconds:.3g} ms" in judgement.detail


@pytest.mark.parametrize(
    ("kappa", "foretold", "verdict"),
    [
        pytest.param(0.00097, 0.3, Verdict.INCONCLUSIVE, id="less than foretold, but likely"),
        pytest.param(0.00099, 0.3, Verdict.NO_EFFECT, id="neither foretold nor likely"),
        pytest.param(0.00099, 0.03, Verdict.INCONCLUSIVE, id="foretold within the noise"),
        pytest.param(0.00103, 0.02, Verdict.INCONCLUSIVE, id="dearer, foretold within the noise"),
        pytest.param(0.00104, 0.03, Verdict.NO_EFFECT, id="dearer, foretold beyond the noise"),
    ],
)
def test_nothing_is_said_of_what_the_noise_hides(
    kappa: float, foretold: float, verdict: Verdict
) -> None:
    # One pod: a standard error of 2 %.
    of = structs.replace(trial(), prediction=Prediction(foretold, 0))
    assert judge(of, level(), after(kappa, pods=1), RULES).verdict is verdict


def test_a_latency_that_rose_is_harm_whatever_the_cpu_saved() -> None:
    saved = latency(0.012, cpu_seconds_per_request=Spread(0.0005, 0.0, 5))
    assert judge(trial(), level(), saved, RULES).verdict is Verdict.REGRESSED


def test_dearer_requests_are_harm_however_much_quicker_they_are() -> None:
    dearer = latency(0.005, cpu_seconds_per_request=Spread(0.0011, 0.0, 5))
    assert judge(trial(), level(), dearer, RULES).verdict is Verdict.REGRESSED


@pytest.mark.parametrize("seconds", [0.008, 0.012])
def test_a_latency_within_its_own_spread_decides_nothing(seconds: float) -> None:
    noisy = latency(seconds, deviation=0.004)
    assert judge(trial(), level(), noisy, RULES).verdict is Verdict.NO_EFFECT


@pytest.mark.parametrize(
    ("before", "later"),
    [
        pytest.param(latency(None), latency(0.05), id="not known before"),
        pytest.param(latency(0.01), latency(None), id="not known after"),
        pytest.param(latency(0.0), latency(0.05), id="nothing to compare with"),
    ],
)
def test_a_latency_that_is_not_known_decides_nothing(before: Level, later: Level) -> None:
    judgement = judge(trial(), before, later, RULES)
    assert judgement.verdict is Verdict.NO_EFFECT
    assert "latency" not in judgement.detail
    assert latency_change(before, later) is None


def test_the_change_of_latency_is_after_by_before() -> None:
    assert latency_change(latency(0.01), latency(0.012)) == pytest.approx(0.2)
    assert latency_change(None, latency(0.01)) is None
    assert latency_change(latency(0.01), None) is None


@pytest.mark.parametrize(
    ("reason", "resident_mib", "verdict"),
    [
        # A fall of GOGC is to make the memory smaller; a GOMEMLIMIT to keep it in its bounds: 220
        # MiB before, 330 MiB predicted, a twentieth of it for the noise.
        (Reason.DANGER, 219, Verdict.CONFIRMED),
        (Reason.DANGER, 220, Verdict.NO_EFFECT),
        (Reason.MEMORY_LIMIT, 220, Verdict.CONFIRMED),
        (Reason.MEMORY_LIMIT, 346, Verdict.CONFIRMED),
        (Reason.MEMORY_LIMIT, 347, Verdict.NO_EFFECT),
    ],
)
def test_each_change_for_memory_has_its_own_promise(
    reason: Reason, resident_mib: int, verdict: Verdict
) -> None:
    side = level(0.002, resident_bytes=resident_mib * MIB, pods=MANY)
    judgement = judge(trial(reason=reason), level(), side, RULES)
    assert judgement.verdict is verdict
    assert f"memory 220 -> {resident_mib} MiB" in judgement.detail


def test_a_gomemlimit_may_keep_memory_where_it_was_however_little_was_predicted() -> None:
    prediction = Prediction(cpu_saving_ratio=0.0, memory_peak_bytes=100 * MIB)
    side = level(resident_bytes=225 * MIB, pods=MANY)
    judgement = judge(
        trial(reason=Reason.MEMORY_LIMIT, prediction=prediction), level(), side, RULES
    )
    assert judgement.verdict is Verdict.CONFIRMED


@pytest.mark.parametrize("reason", [Reason.DANGER, Reason.MEMORY_LIMIT, Reason.MEMORY_CEILING])
def test_errors_are_harm_whatever_the_memory_says(reason: Reason) -> None:
    side = level(errors_ratio=0.05, resident_bytes=100 * MIB, pods=MANY)
    assert judge(trial(reason=reason), level(), side, RULES).verdict is Verdict.REGRESSED
