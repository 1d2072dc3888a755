"""The latency loop: a cascade on the GC cost loop, whose set point it moves.

While the latency objective is missed, less garbage collection is worth more memory: the GC share
that the cost loop aims at goes from the tier's share down towards the tier's least share, and
back when the objective is met. A latency that garbage collection does not make is not this loop's
to mend: it says so and stands still.

It works on the logarithms: its error is ``ln(latency/target)``, its output ``ln(set point/share
of the tier)``. It steps only while a write could follow, so nothing winds up during a trial.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from tuner.control.tracking import Gains, TrackingPID, preset, step_seconds

GAINS = Gains(proportional=0.5, integral_seconds=600.0)
"""Slow: each step can cost a restart, and its effect is seen minutes later."""
LN_ERROR_HIGHEST = math.log(10)
"""Ten times off is as bad as it gets: beyond, the figure says more of a fault than of load."""
LN_ERROR_SHEDDING = math.log(1.1)
"""Least error while the barrier sheds: what was refused would have been slow."""


class Obstacle(StrEnum):
    """Why a missed latency objective is not for garbage collection to mend."""

    THROTTLED = "throttled"
    """The container is stopped at its CPU limit."""
    SHARE_LOW = "share_low"
    """Garbage collection already takes less than the tier's least share."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What the tier asks for.

    Raises:
        ValueError: The shares are not in order; the message says what would be right.
    """

    target_seconds: float | None
    """Latency at the tier's quantile; None where the tier has no objective."""
    share_target: float
    """GC share of the CPU that is aimed at while latency is met, 0-1."""
    share_least: float
    """GC share below which garbage collection is not what makes latency, 0-1."""

    def __post_init__(self) -> None:
        if not 0 < self.share_least <= self.share_target < 1:
            raise ValueError(
                f"the least GC share {self.share_least} and the target {self.share_target} "
                "must be 0 < least <= target < 1"
            )
        if self.target_seconds is not None and not 0 < self.target_seconds < math.inf:
            raise ValueError(f"a latency target of {self.target_seconds} s is not above 0")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the service."""

    latency_seconds: float | None
    """Latency of admitted requests at the tier's quantile; None where it is not known."""
    gc_share: float
    """GC share of the CPU, 0-1."""
    throttled: bool
    """Whether the container was stopped at its CPU limit."""
    shedding: bool
    """Whether the barrier refuses requests or is set below its base."""


@dataclass(frozen=True, slots=True)
class SetPoint:
    """What the loop remembers."""

    ln_offset: float = 0.0
    """``ln(set point/share of the tier)``, 0 or less."""
    ln_integral: float = 0.0
    at: float | None = None
    """When it last stepped; None before its first step."""


@dataclass(frozen=True, slots=True)
class LatencyAnswer:
    """What the loop says on one tick."""

    state: SetPoint
    gc_share_target: float
    """Set point of the GC cost loop, 0-1."""
    missed: bool
    """Whether the objective is missed; False where latency or its target is not known."""
    obstacle: Obstacle | None = None
    """Why the loop cannot help where the objective is missed; None where it can."""

    @property
    def mendable(self) -> bool:
        """Whether the objective is missed, and less garbage collection may mend that."""
        return self.missed and self.obstacle is None


def advance(
    state: SetPoint, objective: Objective, seen: Seen, *, at: float, may_step: bool
) -> LatencyAnswer:
    """Moves the set point by one tick.

    Args:
        state: What the last tick left.
        objective: What the tier asks for.
        seen: What was seen of the service.
        at: Time of what was seen, seconds.
        may_step: Whether a write could follow: no trial, no rollout, no cooldown.
    """
    error = _ln_error(objective, seen)
    if error is None or not math.isfinite(at):
        return _answer(state, objective, missed=False)
    missed = error > 0
    obstacle = _obstacle(objective, seen) if missed else None
    if may_step and obstacle is None:
        state = _step(state, objective, seen, error, at)
    return _answer(state, objective, missed=missed, obstacle=obstacle)


def _ln_error(objective: Objective, seen: Seen) -> float | None:
    latency, target = seen.latency_seconds, objective.target_seconds
    if latency is None or target is None:
        return None
    if not 0 <= latency < math.inf or not 0 <= seen.gc_share <= 1:
        return None
    ratio_highest = math.exp(LN_ERROR_HIGHEST)
    error = math.log(min(max(latency / target, 1 / ratio_highest), ratio_highest))
    return max(error, LN_ERROR_SHEDDING) if seen.shedding else error


def _obstacle(objective: Objective, seen: Seen) -> Obstacle | None:
    if seen.throttled:
        return Obstacle.THROTTLED
    if seen.gc_share <= objective.share_least:
        return Obstacle.SHARE_LOW
    return None


def _step(state: SetPoint, objective: Objective, seen: Seen, error: float, at: float) -> SetPoint:
    if state.at is None:
        # The set point that the service already meets: nothing is asked for by starting.
        share = min(max(seen.gc_share, objective.share_least), objective.share_target)
        offset = math.log(share / objective.share_target)
        return SetPoint(offset, preset(GAINS, error, offset), at)
    seconds = step_seconds(state.at, at)
    if seconds == 0:
        return state
    loop = TrackingPID(GAINS, integral=state.ln_integral)
    asked = loop.ask(error, seconds)
    applied = _clamped(asked, objective)
    loop.track(applied, asked, seconds)
    return SetPoint(applied, loop.integral, at)


def _clamped(ln_offset: float, objective: Objective) -> float:
    return min(max(ln_offset, math.log(objective.share_least / objective.share_target)), 0.0)


def _answer(
    state: SetPoint, objective: Objective, *, missed: bool, obstacle: Obstacle | None = None
) -> LatencyAnswer:
    # Without an objective the tier's share stands. The profile may have changed since the last
    # step, so that what is remembered is clamped to today's.
    offset = 0.0 if objective.target_seconds is None else _clamped(state.ln_offset, objective)
    share = max(objective.share_target * math.exp(offset), objective.share_least)
    return LatencyAnswer(state, share, missed, obstacle)
