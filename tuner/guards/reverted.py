"""Guard: after someone took our value away, leave the workload alone for a while."""

from tuner.guards.pause import doubled_seconds
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason

LONGEST_SECONDS = 86400.0
"""Whatever takes every value away is asked once a day whether it still does."""


def reverted(situation: Situation) -> Hold | None:
    """Refuse within the pause after a revert, which doubles with each in a row: never a fight."""
    record, usual = situation.record, situation.policy.timing.revert_pause_seconds
    if record.reverted_at is None:
        return None
    pause = doubled_seconds(usual, record.reverts, max(usual, LONGEST_SECONDS))
    left = record.reverted_at + pause - situation.now
    if left <= 0:
        return None
    times = f", {record.reverts} times in a row" if record.reverts > 1 else ""
    return Hold(
        Reason.REVERTED_BY_OTHER,
        f"someone else took gc-tuner's value away{times}; left alone for another {left:.0f} s",
    )
