"""Whether a plan that was not carried out is one that people and memory still allow.

Between a plan and the next attempt at it, a bound may have been laid down, a pin taken out, the
tier be another one, or the container have less memory. The figures it was made of are not looked at
again: it is minutes old at the most.
"""

import math
from collections.abc import Iterator

from tuner.control.ceiling import Memory, memory_of
from tuner.control.gogc import gogc_of
from tuner.control.memory_limit import MIB, parse
from tuner.model.override import Override
from tuner.model.policy import Profile
from tuner.model.reason import Reason
from tuner.model.trial import Setting, Trial
from tuner.model.workload import TUNED, Container, Workload

BELOW_BOUNDS = frozenset({Reason.MEMORY_CEILING, Reason.DANGER})
"""Reasons for which GOGC may fall under the tier's lower bound."""


def disallowed(trial: Trial, workload: Workload, profile: Profile, override: Override) -> str:
    """Why a plan must not be written any more; empty where it may.

    A rollback always may: it restores what stood there, whatever that was.

    Args:
        trial: The plan.
        workload: The workload as it is.
        profile: Its tier, with what people laid down for the workload.
        override: What they laid down.
    """
    container = workload.container(trial.change.container)
    if trial.reason is Reason.ROLLBACK or container is None:
        return ""
    ordered = (
        override.pin_gogc,
        override.pin_memory_limit_bytes,
        override.gogc_lowest,
        override.gogc_highest,
    )
    if trial.reason is Reason.PINNED and not any(ordered):
        return "the override that asked for it is gone"
    return next(filter(None, _of_moves(trial, workload, container, profile, override)), "")


def _of_moves(
    trial: Trial, workload: Workload, container: Container, profile: Profile, override: Override
) -> Iterator[str]:
    """Why each move must not be made; empty where it may."""
    gogc, limit, barrier = map(trial.change.of, TUNED)
    if gogc is not None:
        yield _of_gogc(gogc, trial.reason, profile, override)
    if limit is not None:
        yield _of_limit(limit, memory_of(workload, container), override)
    pin = override.pin_barrier
    if barrier is not None and pin is not None and barrier.after != str(pin):
        yield f"the barrier is pinned to {pin} now"


def _of_gogc(move: Setting, reason: Reason, profile: Profile, override: Override) -> str:
    before, after, pin = gogc_of(move.before), gogc_of(move.after), override.pin_gogc
    if pin is not None:
        towards = min(before, pin) <= after <= max(before, pin)
        return "" if towards else f"GOGC is pinned to {pin} now"
    if after > max(before, profile.gogc_highest):
        return f"GOGC may be {profile.gogc_highest} at the most now"
    # Out of off, the first steps may lie below: what is in effect there is lower still.
    lowest = min(before, profile.gogc_lowest) if math.isfinite(before) else 0.0
    if after < lowest and reason not in BELOW_BOUNDS:
        return f"GOGC may be {profile.gogc_lowest} at the least now"
    return ""


def _of_limit(move: Setting, memory: Memory, override: Override) -> str:
    try:
        asked = parse(move.after)
    except ValueError:  # a record that was edited by hand; the write is refused
        return ""
    bounds = (
        memory.limit_bytes,
        override.pin_memory_limit_bytes,
        override.memory_limit_highest_bytes,
    )
    highest = min((each for each in bounds if each is not None), default=math.inf)
    if asked is None or asked <= highest:
        return ""
    return f"GOMEMLIMIT may be {highest // MIB:.0f}MiB at the most now"
