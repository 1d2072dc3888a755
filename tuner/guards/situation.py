"""What a guard may look at besides the move."""

from collections.abc import Callable
from dataclasses import dataclass

from tuner.control.ceiling import Memory
from tuner.control.latency import LatencyAnswer
from tuner.control.propose import Terms
from tuner.model.decision import Hold
from tuner.model.override import NONE, Override
from tuner.model.policy import Policy, Profile
from tuner.model.proposal import GogcMove
from tuner.model.record import Record
from tuner.model.signals import Signals
from tuner.model.workload import Container, Mode, Workload


@dataclass(frozen=True, slots=True)
class Situation:
    """One workload on one tick."""

    now: float
    workload: Workload
    container: Container
    mode: Mode
    signals: Signals
    record: Record
    """As it stands after the trial's progress on this tick."""
    windows: tuple[Signals, ...]
    """Rate windows observed at the present setting, oldest first."""
    seen_seconds: float
    """How long there have been figures of it without a break."""
    source_steady_seconds: float
    """How long the metrics source has answered without a break."""
    profile: Profile
    policy: Policy
    memory: Memory
    """What the container may use."""
    latency: LatencyAnswer
    """What the latency loop says."""
    limit_free: bool = True
    """Whether GOMEMLIMIT is ours to write: no other manager's, and not set by the program."""
    correction: float = 1.0
    """Of the memory loop, .85-1."""
    override: Override = NONE
    """What people have laid down for this workload."""
    alerts: frozenset[str] = frozenset()
    """Names of the firing alerts that concern this workload's namespace, or all."""
    limit_asked_at: float | None = None
    """When GOMEMLIMIT was first asked to be another than the one in force; None: never yet."""

    def terms(self, *, danger: str = "", limit_trusted: bool = True) -> Terms:
        """What the loops are to work with, today or on an earlier window.

        Args:
            danger: Why the container's memory is in danger; empty where it is not.
            limit_trusted: Whether a first GOMEMLIMIT may be relied on.
        """
        return Terms(
            profile=self.profile,
            law=self.policy.law,
            memory=self.memory,
            override=self.override,
            limit_free=self.limit_free,
            correction=self.correction,
            danger=danger,
            limit_trusted=limit_trusted,
        )


Gate = Callable[[Situation], Hold | None]
"""Refuses any change whatever is proposed, or lets it pass."""
Guard = Callable[[GogcMove, Situation], GogcMove | Hold]
