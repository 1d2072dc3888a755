"""How long a container that ended waits before it starts again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackoffPolicy:
    """Restart delays in seconds: none, then `base`, doubling up to `cap`.

    A container that ran for `reset_after` seconds starts from the beginning.
    """

    base_seconds: float
    cap_seconds: float
    reset_after_seconds: float


@dataclass
class Backoff:
    """The restart delay of one container."""

    policy: BackoffPolicy
    _ended: int = 0

    def after_run(self, ran_seconds: float) -> float:
        """Return how long to wait now that the container ended after `ran_seconds`."""
        if ran_seconds >= self.policy.reset_after_seconds:
            self._ended = 0
        self._ended += 1
        if self._ended == 1:
            return 0.0
        doublings = min(self._ended - 2, 32)
        return float(min(self.policy.base_seconds * 2**doublings, self.policy.cap_seconds))
