"""When ticks happen: on a fixed grid of a monotonic clock, so that neither drift nor pile up."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


def next_due(due: float, now: float, interval: float) -> float:
    """The next point of the grid that still lies ahead; points that were missed are skipped.

    Args:
        due: The point of the tick that has just ended, seconds of a monotonic clock.
        now: That clock now.
        interval: Distance of the points, seconds.
    """
    missed = max(math.floor((now - due) / interval), 0)
    return due + interval * (missed + 1)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time as the schedule needs it."""

    now: Callable[[], float] = time.time
    """Wall clock, seconds since the Unix epoch."""
    elapsed: Callable[[], float] = time.monotonic
    """Monotonic clock, seconds."""


def tick_until(
    stopped: Callable[[float], bool],
    tick: Callable[[float], object],
    interval: float,
    clocks: Clocks,
) -> None:
    """Tick at once, and then on the grid, until stopped.

    Args:
        stopped: Waits that many seconds, and says, at once when it comes, whether to stop:
            ``threading.Event.wait``.
        tick: Told the wall clock's time. It is never interrupted.
        interval: Distance of the grid's points, seconds.
        clocks: The clocks.
    """
    due = clocks.elapsed()
    while not stopped(max(due - clocks.elapsed(), 0.0)):
        tick(clocks.now())
        due = next_due(due, clocks.elapsed(), interval)
