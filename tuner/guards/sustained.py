"""Guard: taking memory back costs CPU and a restart, so one reading is not enough for it."""

from tuner.control.ceiling import memory_ceiling
from tuner.control.memory_limit import MIB, limit_for, worth_writing
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove, MemoryLimitMove
from tuner.model.reason import Reason


def sustained(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Refuse to lower GOGC to a ceiling that most of the baseline's windows do not show.

    Live heap and memory outside of Go are read with noise: a value just under the ceiling would
    otherwise be lowered at every dip, and never be raised again for so little.
    """
    if move.rises or move.urgent or move.ordered:
        return move
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


def sustained_limit(move: MemoryLimitMove, situation: Situation) -> MemoryLimitMove | None:
    """Drop a move of GOMEMLIMIT that most of the baseline's windows do not ask for.

    The first one is not waited for: no limit at all is worse than one that is a little off.
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
        each.mib is not None
        and worth_writing(each.mib, move.current_bytes)
        and (each.mib * MIB > move.current_bytes) is rises
        for each in answers
    )
    return move if 2 * agreeing > needed else None
