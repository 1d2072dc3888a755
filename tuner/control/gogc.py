"""GOGC as Go reads it."""

import math
import re

GOGC_DEFAULT = 100.0
"""Percent, as Go has it where nothing that it can read is set."""
GOGC_GREATEST = 2**31 - 1

_WHOLE = re.compile(r"-?[0-9]{1,18}")


def gogc_of(text: str | None) -> float:
    """GOGC that Go makes of an env value, percent; infinite for off, or a negative number.

    Source: ``readGOGC`` in Go's ``src/runtime/mgcpacer.go``.
    """
    if text == "off":
        return math.inf
    if text is None or _WHOLE.fullmatch(text) is None or abs(int(text)) > GOGC_GREATEST:
        return GOGC_DEFAULT
    gogc = int(text)
    return math.inf if gogc < 0 else float(gogc)
