"""Whether the loop lives, and whether it has seen the cluster: nothing of Prometheus or the API."""

from collections.abc import Callable

from tuner.model.happening import Happening, TickEnded, TickFailed


class Health:
    """Follows the ticks. Read from the HTTP thread: each field is replaced, never changed."""

    def __init__(self, silence_seconds: float, elapsed: Callable[[], float]) -> None:
        """Count from now.

        Args:
            silence_seconds: Time without a tick from which on the loop counts as stuck.
            elapsed: A monotonic clock, seconds.
        """
        self._silence_seconds = silence_seconds
        self._elapsed = elapsed
        self._ticked_at = elapsed()
        self._decided = False

    def notify(self, happening: Happening) -> None:
        """Take note."""
        if isinstance(happening, TickEnded | TickFailed):
            self._ticked_at = self._elapsed()
        if isinstance(happening, TickEnded):
            self._decided = True

    @property
    def silence(self) -> float:
        """Seconds since the last tick, or since the start."""
        return self._elapsed() - self._ticked_at

    @property
    def alive(self) -> bool:
        """Whether the loop ticks, also where a tick could decide nothing."""
        return self.silence < self._silence_seconds

    @property
    def ready(self) -> bool:
        """Whether the cluster was seen once; it stays so through any outage."""
        return self._decided
