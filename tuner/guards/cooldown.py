"""Guards: let time pass between two changes of a workload, and between two attempts at one."""

import math

from tuner.guards.pause import doubled_seconds
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.policy import Profile
from tuner.model.proposal import Proposal
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.trial import Verdict

UNTOLD = (Verdict.VOID, Verdict.REGRESSED)
"""Ends of a trial after which the record may not tell of what was applied any more."""


def cooldown_seconds(record: Record, profile: Profile, now: float) -> float:
    """How much of the cooldown is left, seconds; 0 or less where it is over."""
    pause = profile.cooldown_seconds
    changes = [record.applied.written_at] if record.applied is not None else []
    written = record.history[1:] if record.unwritten > 0 else record.history
    changes += [each.at for each in written[:1] if each.verdict in UNTOLD]
    return max(changes, default=-math.inf) + pause - now


def retry_seconds(
    record: Record, profile: Profile, rate_window_seconds: float, now: float
) -> float:
    """How much is left of the pause after plans that could not be written, seconds.

    0 or less where it is over. It is one rate window after the first; each further one in a row
    doubles it, up to the cooldown.
    """
    if record.unwritten < 1 or not record.history:
        return 0.0
    longest = max(profile.cooldown_seconds, rate_window_seconds)
    pause = doubled_seconds(rate_window_seconds, record.unwritten, longest)
    return record.history[0].at + pause - now


def cooldown(situation: Situation) -> Hold | None:
    """Refuse within the profile's cooldown after the last change.

    The live channel restarts nothing: a verdict is all that the next change waits for.
    """
    remaining = cooldown_seconds(situation.record, situation.profile, situation.now)
    if remaining > 0 and situation.workload.live is None:
        return Hold(Reason.COOLDOWN, f"{remaining:.0f} s of the cooldown are left")
    return None


def retry(proposal: Proposal, situation: Situation) -> Hold | None:
    """Refuse for a while after plans that could not be written, on either channel.

    Memory in danger does not wait for what else could not be written.
    """
    record, window = situation.record, situation.policy.timing.rate_window_seconds
    remaining = retry_seconds(record, situation.profile, window, situation.now)
    if remaining <= 0:
        return None
    last = record.history[0]
    if proposal.danger and last.reason is not proposal.reason:
        return None
    return Hold(
        Reason.COOLDOWN,
        f"the last change was {last.detail}; the next attempt is in {remaining:.0f} s",
    )
