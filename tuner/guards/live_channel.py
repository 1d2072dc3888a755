"""Guard: a ConfigMap that is not there, or not ours to write, carries no settings."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def live_channel(situation: Situation) -> Hold | None:
    """Refuse while the ConfigMap that the workload names cannot be written."""
    live = situation.workload.live
    if live is None or not live.trouble:
        return None
    return Hold(Reason.LIVE_CHANNEL_INVALID, live.trouble)
