"""Guard: a restart has to be worth it."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import MIB, GogcMove, MemoryLimitMove, Proposal
from tuner.model.reason import Reason


def worth(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Refuse a rise that saves too little CPU while latency is met; memory safety needs no gain."""
    least = situation.policy.law.worth_ratio
    saving = move.prediction.cpu_saving_ratio
    if move.rises and not move.ordered and saving < least and not situation.latency.mendable:
        return Hold(
            Reason.NOT_WORTH,
            f"GOGC {move.current_gogc:g} -> {move.next_gogc} would save {saving:.1%} of "
            f"the CPU, {least:.0%} is the least that is worth a restart",
        )
    return move


def worth_alone(limit: MemoryLimitMove, proposal: Proposal, situation: Situation) -> bool:
    """Whether a move of GOMEMLIMIT is worth a restart while GOGC stays.

    The first one is a backstop: worth it where a heap that grows by as much as load may shift would
    come to it. Far from it, it would change nothing, and goes with GOGC some day.
    """
    if limit.ordered or limit.current_bytes is not None or proposal.danger:
        return True
    grown = 1 + situation.policy.trial.load_shift_ratio
    return grown * proposal.prediction.memory_peak_bytes >= limit.mib * MIB
