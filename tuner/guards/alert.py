"""Guard: whoever looks into an incident should not meet a change of ours in it."""

from collections.abc import Collection

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def alert(situation: Situation) -> Hold | None:
    """Refuse while one of the named alerts is firing for the workload's namespace, or for all."""
    return firing(situation.alerts)


def firing(alerts: Collection[str]) -> Hold | None:
    """Why nothing may be changed while these alerts are firing; None where none is."""
    return Hold(Reason.ALERT_FIRING, f"firing: {', '.join(sorted(alerts))}") if alerts else None
