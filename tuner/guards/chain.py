"""Proposal to decision: the guards in their order."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tuner.guards.alert import alert
from tuner.guards.baseline import baseline
from tuner.guards.bounds import bounds
from tuner.guards.budget import budget
from tuner.guards.change_window import change_window
from tuner.guards.container_size import container_size
from tuner.guards.cooldown import cooldown, retry
from tuner.guards.evidence import evidence
from tuner.guards.gain import gain
from tuner.guards.in_process import gogc_in_process, memory_limit_in_process
from tuner.guards.leak import leak
from tuner.guards.live_channel import live_channel
from tuner.guards.mode import mode
from tuner.guards.orders import orders
from tuner.guards.ownership import owned, ownership
from tuner.guards.quarantine import limit_quarantined, quarantine
from tuner.guards.replicas import replicas
from tuner.guards.resize import resize
from tuner.guards.reverted import reverted
from tuner.guards.rollout import rollout
from tuner.guards.situation import Gate, Guard, Situation
from tuner.guards.source import source
from tuner.guards.step import step
from tuner.guards.sustained import sustained, sustained_limit, together
from tuner.guards.trial import trial
from tuner.guards.uniform import uniform
from tuner.guards.vertical import vertical
from tuner.guards.worth import worth, worth_alone
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove, MemoryLimitMove, Proposal


def refusing(gate: Gate) -> Guard:
    """A gate before moves of GOGC alone."""
    return lambda move, situation: gate(situation) or move


def refusing_rises(gate: Gate) -> Guard:
    """A gate before rises of GOGC alone; people's word passes."""
    return lambda move, situation: (
        gate(situation) or move if move.rises and not move.ordered else move
    )


FIRST: Sequence[Gate] = (
    # Do people want it, and is it ours to write at all?
    orders,
    owned,
    reverted,
    # Is the workload one that can be tuned, and at rest?
    live_channel,
    container_size,
    trial,
    rollout,
    resize,
    uniform,
    gogc_in_process,
)
"""Refuse any change, before it is looked at."""

GOGC: Sequence[Guard] = (
    ownership,
    refusing(vertical),
    # What is left of the move, and is it worth anything?
    gain,
    bounds,
    step,
    worth,
    budget,
    quarantine,
    refusing_rises(leak),
    evidence,
)
"""Refuse a move of GOGC, or bring it closer to today's; GOMEMLIMIT can move without it."""

LAST: Sequence[Gate] = (
    cooldown,
    source,
    baseline,
    replicas,
    change_window,
    alert,
)
"""Refuse what would be worth writing: not now."""

PATIENT = frozenset({cooldown, baseline})
"""Those that memory in danger does not wait for."""


def decide(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """What is left of a proposal after every guard, or the first refusal."""
    refusal = _first(FIRST, situation)
    if refusal is not None:
        return refusal
    gogc = _gogc(proposal.gogc, situation)
    limit = limit_left(proposal, situation)
    if isinstance(gogc, Hold) and (limit is None or not worth_alone(limit, proposal, situation)):
        return gogc
    proposal = replace(proposal, gogc=gogc, memory_limit=limit)
    gates = (each for each in LAST if not (proposal.danger and each in PATIENT))
    refusal = mode(proposal, situation) or retry(proposal, situation) or _first(gates, situation)
    if refusal is not None:
        return refusal
    return _lasting(proposal, situation)


def _first(gates: Iterable[Gate], situation: Situation) -> Hold | None:
    return next((hold for gate in gates if (hold := gate(situation)) is not None), None)


def _gogc(move: GogcMove | Hold, situation: Situation) -> GogcMove | Hold:
    for guard in GOGC:
        if isinstance(move, Hold):
            return move
        move = guard(move, situation)
    return move


def limit_left(proposal: Proposal, situation: Situation) -> MemoryLimitMove | None:
    """The move of GOMEMLIMIT after its own guards; None where none is left."""
    move = proposal.memory_limit
    if move is None or memory_limit_in_process(situation) is not None:
        return None
    if not proposal.danger and limit_quarantined(move, situation):
        return None
    return sustained_limit(move, situation)


def _lasting(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Without a move of GOGC that is not there to stay; it takes a full baseline to see that."""
    gogc, limit = proposal.gogc, proposal.memory_limit
    if isinstance(gogc, GogcMove):
        gogc = sustained(gogc, situation)
    if isinstance(gogc, Hold):
        if limit is None or not worth_alone(limit, proposal, situation):
            return gogc
        waits = None if proposal.danger else together(proposal.gogc, gogc, limit, situation)
        if waits is not None:
            return waits
    return replace(proposal, gogc=gogc)
