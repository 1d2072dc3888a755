"""Guard: keep the next value inside the profile's bounds."""

from tuner.control.prediction import predict
from tuner.control.rounding import round_down
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.tuning import Limit, Proposal


def bounds(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Clamp to the profile's bounds; a memory ceiling under the lower bound wins over it."""
    profile, law = situation.profile, situation.policy.law
    lowest = profile.gogc_lowest
    if proposal.ceiling is not None:
        lowest = min(lowest, round_down(law.ceiling_margin * proposal.ceiling.gogc))
    bounded = min(proposal.next_gogc, profile.gogc_highest)
    if proposal.limited_by is not Limit.CEILING:
        bounded = max(bounded, lowest)
    if bounded == proposal.next_gogc:
        return proposal
    return proposal.to(bounded, predict(situation.signals, bounded, law))
