"""Guard: figures of pods that run with different settings are those of no setting."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def uniform(situation: Situation) -> Hold | None:
    """Refuse while the pods do not all run with the same GOGC."""
    if situation.signals.gogc_uniform:
        return None
    return Hold(Reason.GOGC_DIFFERS, "GOGC differs between the pods")
