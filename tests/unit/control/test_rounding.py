import pytest

from tuner.control.rounding import round_down, round_up


@pytest.mark.parametrize(
    ("gogc", "down", "up"),
    [
        (-40.0, 1, 1),
        (0.0, 1, 1),
        (0.7, 1, 1),
        (1.0, 1, 1),
        (1.2, 1, 2),
        (9.9, 9, 10),
        (25.0, 25, 25),
        (99.5, 99, 100),
        (100.0, 100, 100),
        (317.9, 310, 320),
        (330.0, 330, 330),
        (999.0, 990, 1000),
        (1000.0, 1000, 1000),
        (1234.0, 1200, 1300),
    ],
)
def test_gogc_is_rounded_to_two_significant_digits(gogc: float, down: int, up: int) -> None:
    assert (round_down(gogc), round_up(gogc)) == (down, up)
