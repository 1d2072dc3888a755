"""Guard: changes are made while people are there to see them."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def change_window(situation: Situation) -> Hold | None:
    """Refuse outside of the change windows; with the time at which the next one opens."""
    closed = situation.policy.guards.closed(situation.now)
    return Hold(Reason.CHANGE_WINDOW, closed) if closed else None
