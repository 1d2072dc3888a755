"""Proposal to decision: the guards in their order."""

from collections.abc import Sequence

from tuner.guards.baseline import baseline
from tuner.guards.bounds import bounds
from tuner.guards.budget import budget
from tuner.guards.cooldown import cooldown
from tuner.guards.evidence import evidence
from tuner.guards.gain import gain
from tuner.guards.mode import mode
from tuner.guards.ownership import ownership
from tuner.guards.reverted import reverted
from tuner.guards.rollout import rollout
from tuner.guards.situation import Guard, Situation
from tuner.guards.source import source
from tuner.guards.step import step
from tuner.guards.sustained import sustained
from tuner.guards.trial import trial
from tuner.guards.worth import worth
from tuner.model.decision import Hold
from tuner.model.tuning import Proposal

CHAIN: Sequence[Guard] = (
    # Is the entry ours to write at all?
    ownership,
    reverted,
    # Is the workload at rest?
    trial,
    rollout,
    # What is left of the proposal, and is it worth anything?
    gain,
    bounds,
    step,
    worth,
    budget,
    evidence,
    # May it be written, and now?
    mode,
    cooldown,
    source,
    baseline,
    sustained,
)


def decide(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """What is left of a proposal after every guard, or the first refusal."""
    for guard in CHAIN:
        answer = guard(proposal, situation)
        if isinstance(answer, Hold):
            return answer
        proposal = answer
    return proposal
