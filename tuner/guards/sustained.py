"""Guard: a restart is not made for a single reading."""

import math

from tuner.control.ceiling import memory_ceiling
from tuner.control.memory_limit import MIB, limit_for, worth_writing
from tuner.control.propose import propose
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove, MemoryLimitMove
from tuner.model.reason import Reason
from tuner.verification.windows import pooled

_UNDECIDED = frozenset({Reason.AT_TARGET, Reason.NOT_WORTH})
"""Of GOGC's refusals, those that the next reading may lift."""


def sustained(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Refuse what most of the baseline's windows do not ask for.

    A fall to a ceiling: live heap and memory outside of Go are read with noise, so a value just
    under it would be lowered at every dip, and never be raised again for so little. A rise: while
    load or live heap change, a window that saw both sides asks for something in between.
    """
    if move.urgent or move.ordered:
        return move
    return _rising(move, situation) if move.rises else _falling(move, situation)


def _rising(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    needed = situation.policy.trial.windows
    agreeing = _asking_for_a_rise(situation)
    if 2 * agreeing > needed:
        return move
    return Hold(
        Reason.NOT_WORTH,
        f"GOGC {move.current_gogc:g} -> {move.next_gogc} would be worth it by {agreeing} of the "
        f"last {needed} rate windows: not by most of them",
    )


def _asking_for_a_rise(situation: Situation) -> int:
    """How many of the baseline's windows ask for a rise that is worth a restart."""
    seen, policy = situation.windows, situation.policy
    terms = situation.terms()
    least = -math.inf if situation.latency.mendable else policy.law.worth_ratio
    asked = (
        propose(pooled(seen[:index], seen[index], policy.timing, policy.trial), terms).gogc
        for index in range(max(len(seen) - policy.trial.windows, 0), len(seen))
    )
    return sum(
        isinstance(each, GogcMove)
        and each.rises
        and each.target_prediction.cpu_saving_ratio >= least
        for each in asked
    )


def _falling(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    needed = situation.policy.trial.windows
    profile, law = situation.profile, situation.policy.law
    ceilings = (
        memory_ceiling(each, situation.memory, profile, law) for each in situation.windows[-needed:]
    )
    passed = sum(each is not None and each.lowers for each in ceilings)
    if 2 * passed > needed:
        return move
    return Hold(
        Reason.MEMORY_BOUND,
        f"GOGC {move.current_gogc:g} is over what the memory limit allows in {passed} of the "
        f"last {needed} rate windows: not most of them",
    )


def together(
    asked: GogcMove | Hold, held: Hold, limit: MemoryLimitMove, situation: Situation
) -> Hold | None:
    """Refuse GOMEMLIMIT a trial of its own while GOGC may be about to rise: one does for both.

    Not for longer than two baselines, as the load may rise and fall for ever; and not a fall, which
    is for safety.

    Args:
        asked: What was asked of GOGC, before it had to last.
        held: Why GOGC stays as it is.
        limit: What is asked of GOMEMLIMIT.
        situation: With the baseline's windows, and since when it is asked.
    """
    falls = limit.current_bytes is not None and limit.mib * MIB < limit.current_bytes
    longest = 2 * situation.policy.trial.windows * situation.policy.timing.rate_window_seconds
    since = situation.limit_asked_at
    if falls or limit.ordered or (since is not None and situation.now - since >= longest):
        return None
    if isinstance(asked, GogcMove):
        undecided = asked.rises
    else:
        undecided = asked.reason in _UNDECIDED and _asking_for_a_rise(situation) > 0
    if not undecided:
        return None
    return Hold(held.reason, f"{held.detail}; GOMEMLIMIT waits, one trial is to do for both")


def sustained_limit(move: MemoryLimitMove, situation: Situation) -> MemoryLimitMove | None:
    """Drop a move of GOMEMLIMIT that most of the baseline's windows do not ask for.

    The first one needs no majority: no limit at all is worse than one that is a little off.
    """
    if move.current_bytes is None or move.ordered or situation.memory.limit_bytes is None:
        return move
    needed, rises = situation.policy.trial.windows, move.mib * MIB > move.current_bytes
    answers = (
        limit_for(
            each,
            situation.memory.limit_bytes,
            situation.profile.memory_set_point,
            situation.correction,
        )
        for each in situation.windows[-needed:]
    )
    agreeing = sum(
        each is not None
        and worth_writing(each, move.current_bytes)
        and (each * MIB > move.current_bytes) is rises
        for each in answers
    )
    return move if 2 * agreeing > needed else None
