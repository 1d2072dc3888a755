import math

import pytest

from tuner.control.gogc import gogc_of


@pytest.mark.parametrize(
    ("text", "gogc"),
    [
        (None, 100.0),
        ("", 100.0),
        ("200", 200.0),
        ("0", 0.0),
        ("0200", 200.0),
        ("off", math.inf),
        ("-1", math.inf),
        ("OFF", 100.0),
        ("330.0", 100.0),
        ("+200", 100.0),
        (" 200", 100.0),
        ("2147483647", 2147483647.0),
        ("2147483648", 100.0),
        ("9" * 5000, 100.0),
    ],
)
def test_a_value_is_read_as_go_reads_it(text: str | None, gogc: float) -> None:
    assert gogc_of(text) == gogc
