"""Guard: clamp the step from the value in force."""

from tuner.control.prediction import predict
from tuner.control.rounding import round_down, round_up
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.tuning import Proposal


def step(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Bring the next value within one step of GOGC in force; two significant digits remain."""
    law = situation.policy.law
    highest = round_down(proposal.current_gogc * law.step_ratio)
    lowest = round_up(proposal.current_gogc / law.step_ratio)
    clamped = min(max(proposal.next_gogc, lowest), highest)
    if clamped == proposal.next_gogc:
        return proposal
    return proposal.to(clamped, predict(situation.signals, clamped, law))
