"""Guard: after someone took our value away, leave the workload alone for a while."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def reverted(situation: Situation) -> Hold | None:
    """Refuse within the pause after a revert: never a fight."""
    at = situation.record.reverted_at
    pause = situation.policy.timing.revert_pause_seconds
    if at is not None and situation.now < at + pause:
        return Hold(
            Reason.REVERTED_BY_OTHER,
            "someone else took gc-tuner's value away; "
            f"left alone for another {at + pause - situation.now:.0f} s",
        )
    return None
