"""Guard: changes are made while people are there to see them."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.policy import Policy
from tuner.model.reason import Reason


def change_window(situation: Situation) -> Hold | None:
    """Refuse outside of the change windows; with the time at which the next one opens."""
    return outside_window(situation.policy, situation.now)


def outside_window(policy: Policy, now: float) -> Hold | None:
    """Why nothing may be changed at a time; None inside a change window."""
    closed = policy.guards.closed(now)
    return Hold(Reason.CHANGE_WINDOW, closed) if closed else None
