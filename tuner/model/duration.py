"""Durations in Go's syntax, as Prometheus and Kubernetes users write them: ``30s``, ``1m30s``.

Source: https://pkg.go.dev/time#ParseDuration.
"""

import math
import re

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([^0-9.\s]*)")
_RIGHT = "write a duration such as 30s or 1m30s"


def parse_duration(text: object) -> float:
    """Seconds of a duration in Go's syntax.

    Raises:
        ValueError: It is not one; the message says what would be right.
    """
    if isinstance(text, bool | list | dict):
        raise ValueError(f"{text} is not a duration: {_RIGHT}")  # noqa: TRY004 - as below
    if not isinstance(text, str):
        raise ValueError(f"{text} has no unit: {_RIGHT}")  # noqa: TRY004 - pydantic's way
    rest = text.strip()
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f"{text!r} is not a duration: {_RIGHT}")
    seconds = 0.0
    for number, unit in parts:
        if not unit:
            raise ValueError(f"{text} has no unit: {_RIGHT}")
        if unit not in _SECONDS:
            raise ValueError(f"{unit!r} in {text} is not a unit of time: use ms, s, m or h")
        seconds += float(number) * _SECONDS[unit]
    if math.isinf(seconds):
        raise ValueError(f"{text[:20]}... is too long: {_RIGHT}")
    return seconds


def format_duration(seconds: float) -> str:
    """Shortest text in Go's syntax that names these seconds to the millisecond."""
    rest = round(seconds * 1000)
    text = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"
