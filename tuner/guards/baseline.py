"""Guard: a change without something to compare it with could never be judged."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def baseline(situation: Situation) -> Hold | None:
    """Refuse until enough rate windows were observed at the present setting."""
    needed = situation.policy.trial.windows
    observed = len(situation.windows)
    if observed < needed:
        return Hold(
            Reason.COLLECTING_BASELINE,
            f"{observed} of {needed} rate windows observed at this setting",
        )
    return None
