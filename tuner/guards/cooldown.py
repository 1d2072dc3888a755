"""Guard: let time pass between two changes of a workload."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Verdict
from tuner.model.tuning import Proposal

UNTOLD = (Verdict.VOID, Verdict.REGRESSED)
"""Ends of a trial after which the record may not tell of what was applied any more."""


def cooldown(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Refuse within the profile's cooldown after the last change, or the last attempt at one."""
    record, pause = situation.record, situation.profile.cooldown_seconds
    changes = [record.applied.written_at] if record.applied is not None else []
    changes += [each.at for each in record.history[:1] if each.verdict in UNTOLD]
    remaining = max(changes, default=-pause) + pause - situation.now
    if remaining > 0:
        return Hold(Reason.COOLDOWN, f"{remaining:.0f} s of the cooldown are left")
    return proposal
