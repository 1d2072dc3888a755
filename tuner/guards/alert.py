"""Guard: whoever looks into an incident should not meet a change of ours in it."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def alert(situation: Situation) -> Hold | None:
    """Refuse while one of the named alerts is firing for the workload's namespace, or for all."""
    if not situation.alerts:
        return None
    return Hold(Reason.ALERT_FIRING, f"firing: {', '.join(sorted(situation.alerts))}")
