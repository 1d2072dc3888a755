"""Load as a composition of small streams, each a function of simulated seconds."""

import math
import random
from collections.abc import Callable

Stream = Callable[[float], float]


def constant(value: float) -> Stream:
    """Always the same."""
    return lambda _at: value


def step(before: float, after: float, *, at: float) -> Stream:
    """One value until a moment, another from then on."""
    return lambda now: before if now < at else after


def ramp(before: float, after: float, *, start: float, end: float) -> Stream:
    """From one value to another at an even pace."""

    def value(now: float) -> float:
        share = min(max((now - start) / (end - start), 0.0), 1.0)
        return before + (after - before) * share

    return value


def oscillate(amplitude: float, *, period: float) -> Stream:
    """A sine around zero."""
    return lambda now: amplitude * math.sin(2 * math.pi * now / period)


def noise(amplitude: float, *, hold: float, seed: int) -> Stream:
    """An even spread around zero, drawn anew after each hold time."""

    def value(now: float) -> float:
        drawn = random.Random(f"{seed}/{int(now // hold)}")  # noqa: S311 - not for secrets
        return drawn.uniform(-amplitude, amplitude)

    return value


def burst(extra: float, *, length: float, every: float) -> Stream:
    """An extra for a while at the end of each period."""
    return lambda now: extra if now % every >= every - length else 0.0


def total(*streams: Stream) -> Stream:
    """Sum of streams."""
    return lambda now: sum(stream(now) for stream in streams)


def limited(stream: Stream, *, lowest: float = 0.0, highest: float = math.inf) -> Stream:
    """A stream kept within bounds."""
    return lambda now: min(max(stream(now), lowest), highest)
