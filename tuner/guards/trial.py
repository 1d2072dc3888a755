"""Guard: one change at a time, each judged before the next."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Trial


def trial(situation: Situation) -> Hold | None:
    """Refuse while the last change has no verdict."""
    return trial_running(situation.record.trial)


def trial_running(running: Trial | None) -> Hold | None:
    """Hold that names the change under way and its phase; None where there is none."""
    if running is None:
        return None
    return Hold(Reason.TRIAL_RUNNING, f"{running.change}: {running.phase.value}")
