"""GOGC as it is written: whole percent with two significant digits."""

import math


def _step(gogc: float) -> int:
    # Counted, as the logarithm of 999.9999999999999 is 3.
    return int(10 ** max(len(str(int(gogc))) - 2, 0))


def round_down(gogc: float) -> int:
    """Largest GOGC of two significant digits that is not above the given one, at least 1."""
    if gogc < 1:
        return 1
    step = _step(gogc)
    return int(gogc // step) * step


def round_up(gogc: float) -> int:
    """Smallest GOGC of two significant digits that is not below the given one, at least 1."""
    if gogc <= 1:
        return 1
    step = _step(gogc)
    return math.ceil(gogc / step) * step
