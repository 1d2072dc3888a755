"""The answer that every workload gets on every tick: Apply or Hold."""

from dataclasses import dataclass

from tuner.model.reason import Reason
from tuner.model.trial import Trial


@dataclass(frozen=True, slots=True)
class Apply:
    """Write this now."""

    trial: Trial
    """The change, what it is expected to do, and the state it will be compared with."""
    detail: str
    """One sentence for people."""

    @property
    def reason(self) -> Reason:
        """What the change is for."""
        return self.trial.reason


@dataclass(frozen=True, slots=True)
class Hold:
    """Write nothing, and why."""

    reason: Reason
    detail: str
    """One sentence for people, with the figures behind the reason."""


Decision = Apply | Hold
