"""The loops that remember: the memory loop's correction, and the latency loop's set point."""

from dataclasses import dataclass, field

from tuner.control import latency, memory_limit
from tuner.control.ceiling import Memory
from tuner.control.latency import LatencyAnswer, Objective, SetPoint
from tuner.control.memory_limit import Correction
from tuner.model.policy import Profile
from tuner.model.signals import Signals


@dataclass(frozen=True, slots=True)
class States:
    """What the loops remember; lost, they begin at what is in force, without a jump."""

    correction: Correction = field(default_factory=Correction)
    set_point: SetPoint = field(default_factory=SetPoint)


@dataclass(frozen=True, slots=True)
class Advanced:
    """The loops after one tick."""

    states: States
    latency: LatencyAnswer


def advance_loops(
    states: States,
    signals: Signals,
    memory: Memory,
    profile: Profile,
    seen: latency.Seen,
    *,
    may_step: bool,
) -> Advanced:
    """Moves both loops by one tick.

    Args:
        states: What the last tick left.
        signals: What is seen of the service.
        memory: What its container may use.
        profile: The tier.
        seen: What the latency loop goes by.
        may_step: Whether a write could follow.
    """
    correction = states.correction
    if memory.limit_bytes is not None:
        correction = memory_limit.advance(
            correction, signals, memory.limit_bytes, profile.memory_set_point, at=signals.at
        )
    objective = Objective(
        target_seconds=profile.latency_target_seconds,
        share_target=profile.gc_share_target,
        share_least=profile.gc_share_least or profile.gc_share_target,
    )
    answer = latency.advance(states.set_point, objective, seen, at=signals.at, may_step=may_step)
    return Advanced(States(correction, answer.state), answer)
