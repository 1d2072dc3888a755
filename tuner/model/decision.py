"""The answer that every workload gets on every tick: Apply or Hold."""

from dataclasses import dataclass

from tuner.model.reason import Reason
from tuner.model.trial import Trial
from tuner.model.workload import BARRIER


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

    @property
    def barrier_alone(self) -> bool:
        """Whether it moves a barrier threshold and nothing else: without a trial."""
        return [each.name for each in self.trial.change.settings] == [BARRIER]


@dataclass(frozen=True, slots=True)
class Hold:
    """Write nothing, and why."""

    reason: Reason
    detail: str
    """One sentence for people, with the figures behind the reason."""


Decision = Apply | Hold
