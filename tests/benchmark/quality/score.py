"""What the figures of a race say: costs at rest, the oracle, and how far from it the others are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmark.quality.lane import cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.benchmark.quality.lane import Lane, Window

NEAR = 1.10
"""By the oracle's cost: up to this a contender counts as near it."""
STEADY_WINDOWS = 3
"""Windows whose median is compared, here and from then on: one alone may be luck."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One contender's figures of a scenario; None is what could not be measured.

    Attributes:
        lane: what they are from.
        cost: CPU seconds per request at rest, the median of the repeats.
        spread: least and greatest of the repeats.
        p95_ms: at rest, median of the windows.
        p99_ms: the same.
        peak_bytes: largest working set of the whole race.
        ratio: cost by the oracle's, the median over the repeats.
        near_seconds: settling time, from the start until it was near the oracle and stayed so
            while no pods were replaced; None: never.
        restarts_until_near: rollouts that it took to be near; all, where it never was.
        regret: CPU used beyond what the oracle used for as much work, over the race until pods
            were first replaced, by the oracle's.
    """

    lane: Lane
    cost: float | None
    spread: tuple[float, float] | None
    p95_ms: float | None
    p99_ms: float | None
    peak_bytes: float | None
    ratio: float | None
    near_seconds: float | None
    restarts_until_near: int
    regret: float | None


def repeats(lane: Lane) -> dict[int, float]:
    """CPU seconds per request of each repeat in which all was measured."""
    numbers = {each.repeat for each in lane.windows if each.repeat is not None}
    found = {
        number: cost(each for each in lane.windows if each.repeat == number) for number in numbers
    }
    return {number: value for number, value in sorted(found.items()) if value is not None}


def at_rest(lane: Lane) -> float | None:
    """CPU seconds per request at rest: the median of the repeats."""
    costs = repeats(lane).values()
    return median(costs) if costs else None


def best(lanes: Iterable[Lane], count: int) -> list[Lane]:
    """Return the cheapest at rest of those that no container was killed in, the best first."""
    alive = [(at_rest(lane), lane) for lane in lanes if lane.oom_kills == 0]
    known = [(value, lane) for value, lane in alive if value is not None]
    return [lane for _, lane in sorted(known, key=lambda pair: pair[0])[:count]]


def scores(lanes: Sequence[Lane], oracle: Lane, window_seconds: float) -> list[Score]:
    """Compare the lanes of one race with the oracle's, which is one of them."""
    return [_score(lane, oracle, window_seconds) for lane in lanes]


def _score(lane: Lane, oracle: Lane, window_seconds: float) -> Score:
    own, other = repeats(lane), repeats(oracle)
    ratios = [own[number] / other[number] for number in own.keys() & other.keys()]
    resting = [each for each in lane.windows if each.repeat is not None]
    near = _near(lane, oracle)
    peaks = [each.peak_bytes for each in lane.windows if each.peak_bytes is not None]
    return Score(
        lane=lane,
        cost=at_rest(lane),
        spread=(min(own.values()), max(own.values())) if own else None,
        p95_ms=_median(resting, lambda each: each.p95_ms),
        p99_ms=_median(resting, lambda each: each.p99_ms),
        peak_bytes=max(peaks, default=None),
        ratio=median(ratios) if ratios else None,
        near_seconds=None if near is None else near * window_seconds,
        restarts_until_near=_restarts_until(lane, near),
        regret=_regret(lane, oracle),
    )


def _median(windows: Iterable[Window], figure: Callable[[Window], float | None]) -> float | None:
    found = [value for each in windows if (value := figure(each)) is not None]
    return median(found) if found else None


def _near(lane: Lane, oracle: Lane) -> int | None:
    """The first window, near, from which on it stayed near."""
    ratios = [
        own.cost / other.cost if own.cost is not None and other.cost else float("inf")
        for own, other in _undisturbed(lane, oracle)
    ]
    starts = range(len(ratios) - STEADY_WINDOWS + 1)
    apart = [start for start in starts if median(ratios[start : start + STEADY_WINDOWS]) > NEAR]
    settled = range(max(apart, default=-1) + 1, len(starts))
    return next((start for start in settled if ratios[start] <= NEAR), None)


def _undisturbed(lane: Lane, oracle: Lane) -> list[tuple[Window, Window]]:
    """Both lanes' windows until pods were first replaced: all stand still for a moment then."""
    both = list(zip(lane.windows, oracle.windows, strict=True))
    rests = [index for index, (own, _) in enumerate(both) if own.repeat == 0]
    return both[: max(rests) + 1] if rests else both


def _restarts_until(lane: Lane, near: int | None) -> int:
    """Count the rollouts until the end of a window; all of them without one.

    Settings are known at the end of each. One rollout may show in two, as old pods and new ones
    overlap; two rollouts are never as near each other as that. The live channel needs none.
    """
    if near is None:
        return lane.restarts
    settings = [(each.gogc, each.gomemlimit_bytes) for each in lane.windows[near:]]
    changed = [new != old for old, new in pairwise(settings)]
    later = sum(now and not before for before, now in pairwise([False, *changed]))
    return max(0, lane.restarts - later)


def _regret(lane: Lane, oracle: Lane) -> float | None:
    used, needed = 0.0, 0.0
    for own, other in _undisturbed(lane, oracle):
        if own.cpu_seconds is None or own.done is None or other.cost is None:
            continue
        used += own.cpu_seconds
        needed += own.done * other.cost
    return used / needed - 1 if needed else None
