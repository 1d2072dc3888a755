"""Guard: keep the next value inside the profile's bounds."""

from tuner.control.prediction import predict
from tuner.control.rounding import round_down
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove
from tuner.model.tuning import Limit


def bounds(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Clamp to the profile's bounds.

    A memory ceiling under the lower bound wins over it, and so do people's word and danger.
    """
    if move.ordered or move.urgent:
        return move
    profile, law = situation.profile, situation.policy.law
    lowest = profile.gogc_lowest
    if move.ceiling is not None:
        lowest = min(lowest, round_down(law.ceiling_margin * move.ceiling.gogc))
    bounded = min(move.next_gogc, profile.gogc_highest)
    if move.limited_by is not Limit.CEILING:
        bounded = max(bounded, lowest)
    if bounded == move.next_gogc:
        return move
    return move.to(bounded, predict(situation.signals, bounded, law, move.backstop_bytes))
