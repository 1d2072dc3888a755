"""GOGC as it is written, over the whole range of floats that a loop could come up with."""

from hypothesis import given
from hypothesis import strategies as st

from tuner.control.rounding import round_down, round_up

GOGC = st.floats(min_value=1.0, max_value=1e6)


def significant_digits(value: int) -> int:
    return len(str(value).rstrip("0"))


@given(GOGC)
def test_two_significant_digits_on_either_side_of_the_value(gogc: float) -> None:
    assert 1 <= round_down(gogc) <= gogc <= round_up(gogc)
    assert significant_digits(round_down(gogc)) <= 2
    assert significant_digits(round_up(gogc)) <= 2


@given(GOGC)
def test_at_most_a_tenth_is_rounded_away(gogc: float) -> None:
    assert round_up(gogc) - round_down(gogc) <= max(0.1 * gogc, 1)


@given(st.integers(min_value=1, max_value=99), st.integers(min_value=0, max_value=4))
def test_what_is_rounded_stays_as_it_is(digits: int, zeros: int) -> None:
    gogc = digits * 10**zeros
    assert round_down(gogc) == round_up(gogc) == gogc


@given(GOGC, GOGC)
def test_rounding_keeps_the_order(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert round_down(low) <= round_down(high)
    assert round_up(low) <= round_up(high)


@given(st.floats(max_value=1.0, allow_nan=False))
def test_nothing_below_one_is_ever_written(gogc: float) -> None:
    assert round_down(gogc) == 1
    assert round_up(gogc) == 1
