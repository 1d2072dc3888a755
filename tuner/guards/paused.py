"""Guard: people have stopped everything."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def paused(situation: Situation) -> Hold | None:
    """Refuse while the overrides pause gc-tuner."""
    if not situation.override.paused:
        return None
    return Hold(Reason.PAUSED, "the overrides say paused: true, so nothing is written anywhere")
