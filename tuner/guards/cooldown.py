"""Guard: let time pass between two changes of a workload."""

import math

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.policy import Profile
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.trial import Verdict

UNTOLD = (Verdict.VOID, Verdict.REGRESSED)
"""Ends of a trial after which the record may not tell of what was applied any more."""


def cooldown_seconds(record: Record, profile: Profile, now: float) -> float:
    """How much of the cooldown is left, seconds; 0 or less where it is over."""
    pause = profile.cooldown_seconds
    changes = [record.applied.written_at] if record.applied is not None else []
    changes += [each.at for each in record.history[:1] if each.verdict in UNTOLD]
    return max(changes, default=-math.inf) + pause - now


def cooldown(situation: Situation) -> Hold | None:
    """Refuse within the profile's cooldown after the last change, or the last attempt at one.

    The live channel restarts nothing: a verdict is all that the next change waits for.
    """
    remaining = cooldown_seconds(situation.record, situation.profile, situation.now)
    if remaining > 0 and situation.workload.live is None:
        return Hold(Reason.COOLDOWN, f"{remaining:.0f} s of the cooldown are left")
    return None
