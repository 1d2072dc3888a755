"""Guard: a change without something to compare it with could never be judged."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def baseline(situation: Situation) -> Hold | None:
    """Refuse until enough rate windows were observed at the present setting.

    After a break in the workload's figures they count again, once there have been some for one.
    While a pod is missing they do not: its scrape failed, and what is summed or the worst without
    it is not what they tell.
    """
    needed = situation.policy.trial.windows
    observed = len(situation.windows)
    if observed < needed:
        return Hold(
            Reason.COLLECTING_BASELINE,
            f"{observed} of {needed} rate windows observed at this setting",
        )
    pods, latest = situation.signals.pods, situation.windows[-1].pods
    if pods != latest:
        return Hold(
            Reason.COLLECTING_BASELINE,
            f"figures of {pods} pods, there were {latest} in the last rate window",
        )
    window = situation.policy.timing.rate_window_seconds
    if situation.seen_seconds < window:
        return Hold(
            Reason.COLLECTING_BASELINE,
            f"there have been figures for {situation.seen_seconds:.0f} s without a break, "
            f"one rate window of {window:g} s is needed",
        )
    return None
