"""Guard: taking memory back costs CPU and a restart, so one reading is not enough for it."""

from tuner.control.ceiling import memory_ceiling
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.tuning import Proposal


def sustained(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Refuse to lower GOGC to a ceiling that most of the baseline's windows do not show.

    Live heap and memory outside of Go are read with noise: a value just under the ceiling would
    otherwise be lowered at every dip, and never be raised again for so little.
    """
    if proposal.rises:
        return proposal
    needed = situation.policy.trial.windows
    profile, law = situation.profile, situation.policy.law
    ceilings = (
        memory_ceiling(each, situation.container, profile, law)
        for each in situation.windows[-needed:]
    )
    passed = sum(each is not None and each.lowers for each in ceilings)
    if 2 * passed > needed:
        return proposal
    return Hold(
        Reason.MEMORY_BOUND,
        f"GOGC {proposal.current_gogc:g} is over what the memory limit allows in {passed} of the "
        f"last {needed} rate windows: not most of them",
    )
