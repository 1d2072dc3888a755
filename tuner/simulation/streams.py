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


def product(*streams: Stream) -> Stream:
    """Product of streams."""
    return lambda now: math.prod(stream(now) for stream in streams)


def limited(stream: Stream, *, lowest: float = 0.0, highest: float = math.inf) -> Stream:
    """A stream kept within bounds."""
    return lambda now: min(max(stream(now), lowest), highest)


def walk(
    value: float, *, step: float, bounds: tuple[float, float], hold: float, start: float, seed: int
) -> Stream:
    """A random walk: after each hold time an even step, never past its bounds.

    Args:
        value: Before the first step.
        step: Largest step, up or down.
        bounds: Lowest and highest value.
        hold: Time between two steps.
        start: When the first value begins to hold.
        seed: Of the steps.
    """
    drawn = random.Random(seed)  # noqa: S311 - not for secrets
    lowest, highest = bounds
    values = [value]

    def reached(now: float) -> float:
        place = max(int((now - start) // hold), 0)
        while len(values) <= place:
            moved = values[-1] + drawn.uniform(-step, step)
            values.append(min(max(moved, lowest), highest))
        return values[place]

    return reached


def leak(per_second: float, *, start: float) -> Stream:
    """Nothing until a moment, and from then on more and more without end."""
    return lambda now: per_second * max(now - start, 0.0)


def gaps(*, longest: float, every: float, seed: int) -> Stream:
    """One in a gap and zero beside it: in each period one gap, of any length at any place."""

    def value(now: float) -> float:
        drawn = random.Random(f"{seed}/{int(now // every)}")  # noqa: S311 - not for secrets
        length = drawn.uniform(0, longest)
        begins = drawn.uniform(0, every - length)
        return 1.0 if begins <= now % every < begins + length else 0.0

    return value
