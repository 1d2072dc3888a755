"""Guard: a restart has to be worth it."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.tuning import Proposal


def worth(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Refuse a rise that saves too little CPU; memory safety needs no gain."""
    least = situation.policy.law.worth_ratio
    saving = proposal.prediction.cpu_saving_ratio
    if proposal.rises and saving < least:
        return Hold(
            Reason.NOT_WORTH,
            f"GOGC {proposal.current_gogc:g} -> {proposal.next_gogc} would save {saving:.1%} of "
            f"the CPU, {least:.0%} is the least that is worth a restart",
        )
    return proposal
