import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.control.tracking import (
    LONGEST_STEP_SECONDS,
    Gains,
    TrackingPID,
    preset,
    step_seconds,
)

GAINS = Gains(proportional=0.5, integral_seconds=100.0)
HIGHEST = 0.2


def run(measurement: float, integral: float, steps: int) -> tuple[float, float]:
    """Output clamped from above and integral after some steps of 10 s."""
    applied = math.nan
    for _ in range(steps):
        loop = TrackingPID(GAINS, integral=integral)
        asked = loop.ask(measurement, 10.0)
        applied = min(asked, HIGHEST)
        loop.track(applied, asked, 10.0)
        integral = loop.integral
    return applied, integral


def test_one_step_is_the_proportional_part_and_a_step_of_the_integral() -> None:
    # Error .1: .5 * .1 at once, and as much again in each 100 s.
    assert TrackingPID(GAINS).ask(-0.1, 10.0) == pytest.approx(0.05 + 0.005)


def test_the_derivative_reaches_over_the_steps() -> None:
    gains = Gains(proportional=0.5, integral_seconds=100.0, derivative_seconds=5.0)
    loop = TrackingPID(gains, measurement=-0.2)
    # The error fell from .2 to .1 within 10 s: .5 * 5 * -.01.
    assert loop.ask(-0.1, 10.0) == pytest.approx(0.05 + 0.005 - 0.025)


def test_all_three_gains_are_multiplied() -> None:
    gains = Gains(proportional=0.8, integral_seconds=120.0, derivative_seconds=5.0)
    full = TrackingPID(gains, measurement=-0.3).ask(-0.1, 15.0)
    quarter = TrackingPID(gains.times(0.25), measurement=-0.3).ask(-0.1, 15.0)
    assert quarter == pytest.approx(full / 4)


def test_held_at_its_clamp_for_hours_the_loop_leaves_it_at_the_first_turn() -> None:
    applied, integral = run(measurement=-0.3, integral=0.0, steps=1000)
    assert applied == HIGHEST
    assert run(measurement=0.05, integral=integral, steps=1)[0] < HIGHEST


def test_an_integral_beyond_the_clamp_comes_back_within_a_few_integral_times() -> None:
    _, integral = run(measurement=0.0, integral=2.0, steps=50)
    assert integral == pytest.approx(HIGHEST, abs=0.02)


@given(
    st.floats(min_value=-10, max_value=10),
    st.floats(min_value=-10, max_value=10),
)
def test_a_preset_loop_asks_for_the_output_in_force(measurement: float, output: float) -> None:
    integral = preset(GAINS, measurement, output)
    asked = TrackingPID(GAINS, integral=integral).ask(measurement, 1e-9)
    assert asked == pytest.approx(output, abs=1e-6)


@pytest.mark.parametrize(
    ("since", "at", "seconds"),
    [
        (100.0, 115.0, 15.0),
        (100.0, 100.0, 0.0),
        (100.0, 90.0, 0.0),
        (100.0, 4000.0, LONGEST_STEP_SECONDS),
    ],
)
def test_a_step_counts_for_the_time_that_was_watched(
    since: float, at: float, seconds: float
) -> None:
    assert step_seconds(since, at) == seconds
