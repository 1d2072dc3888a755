"""Guard: an order that cannot be read may have been one to stop."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def override_validity(situation: Situation) -> Hold | None:
    """Refuse while an override that may concern the workload cannot be read."""
    if not situation.override.invalid:
        return None
    return Hold(Reason.OVERRIDE_INVALID, situation.override.invalid)
