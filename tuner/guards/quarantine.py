"""Guard: what did harm is not tried again soon, and what was killed for memory never larger."""

import re

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove
from tuner.model.reason import Reason
from tuner.model.trial import Outcome, Verdict
from tuner.model.workload import GOGC

MIB = 1024 * 1024
_WHOLE = re.compile(r"[0-9]{1,18}")


def quarantine(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Refuse a rise to a value that did harm, or past it, until its pause is over.

    The pause doubles with each harm. A memory peak under which the kernel killed is refused for as
    long as the container has no more memory than then.
    """
    if not move.rises or move.ordered:
        return move
    killed = _killed(move, situation)
    if killed is not None:
        return killed
    harmful = [
        each
        for each in situation.record.history
        if each.verdict is Verdict.REGRESSED and each.rose and _reaches(move, each)
    ]
    if not harmful:
        return move
    rules = situation.policy.guards
    pause = min(
        rules.quarantine_seconds * 2 ** (len(harmful) - 1), rules.quarantine_longest_seconds
    )
    left = max(each.at for each in harmful) + pause - situation.now
    if left <= 0:
        return move
    return Hold(
        Reason.QUARANTINED,
        f"{harmful[0].change} did harm ({harmful[0].detail}): not again for {left:.0f} s",
    )


def _reaches(move: GogcMove, outcome: Outcome) -> bool:
    """Whether a move goes to the value of an earlier change, or past it."""
    setting = outcome.change.of(GOGC)
    if setting is None or setting.after is None or _WHOLE.fullmatch(setting.after) is None:
        return False
    return move.next_gogc >= int(setting.after)


def _killed(move: GogcMove, situation: Situation) -> Hold | None:
    learned = situation.record.learned
    peak, then = learned.killed_peak_bytes, learned.killed_limit_bytes
    now = situation.memory.limit_bytes
    if peak is None or then is None or now is None or now > then:
        return None
    if move.prediction.memory_peak_bytes < peak:
        return None
    return Hold(
        Reason.QUARANTINED,
        f"the kernel killed at a predicted peak of {peak / MIB:.0f} MiB; this would take up to "
        f"{move.prediction.memory_peak_bytes / MIB:.0f} MiB",
    )
