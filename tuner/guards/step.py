"""Guard: clamp the step from the value in force."""

from tuner.control.prediction import predict
from tuner.control.rounding import round_down, round_up
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove


def step(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Bring the next value within one step of GOGC in force; two significant digits remain.

    Memory in danger does not wait for the second step, nor does an order to be carried out at once.
    """
    if move.urgent or (move.ordered and situation.override.immediate):
        return move
    law = situation.policy.law
    highest = round_down(move.current_gogc * law.step_ratio)
    lowest = round_up(move.current_gogc / law.step_ratio)
    clamped = min(max(move.next_gogc, lowest), highest)
    if clamped == move.next_gogc:
        return move
    return move.to(clamped, predict(situation.signals, clamped, law, move.backstop_bytes))
