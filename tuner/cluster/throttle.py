"""A token bucket: at most so many requests a second, with room for a burst."""

import threading
from collections.abc import Callable


class Throttle:
    """Makes callers wait for their turn; safe to use from several threads."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Start with a full bucket; clock and sleep are in seconds, the clock never goes back."""
        self._interval = 1 / per_second
        self._ahead = (burst - 1) * self._interval
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next: float | None = None

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            now = self._clock()
            earliest = now - self._ahead
            turn = earliest if self._next is None else max(self._next, earliest)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)
