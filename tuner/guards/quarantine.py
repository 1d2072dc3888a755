"""Guard: what did harm is not tried again soon, and what was killed for memory never larger."""

import re
from collections.abc import Sequence

from tuner.control.memory_limit import parse, worth_writing
from tuner.guards.pause import doubled_seconds
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove, MemoryLimitMove
from tuner.model.reason import Reason
from tuner.model.trial import Outcome, Verdict
from tuner.model.workload import GOGC, GOMEMLIMIT

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
    left = _left_seconds(harmful, situation)
    if left <= 0:
        return move
    return Hold(
        Reason.QUARANTINED,
        f"{harmful[0].change} did harm ({harmful[0].detail}): not again for {left:.0f} s",
    )


def limit_quarantined(move: MemoryLimitMove, situation: Situation) -> bool:
    """Whether a GOMEMLIMIT that leaves no more room was part of a change that did harm.

    Which part did it is not known, and a limit alone would be judged by memory and stay. Once the
    kernel has killed for memory, or is about to, the backstop is wanted whatever it costs.
    """
    if move.ordered or situation.record.learned.killed_at is not None:
        return False
    harmful = [
        each
        for each in situation.record.history
        if each.verdict is Verdict.REGRESSED and _as_tight(move, each)
    ]
    return _left_seconds(harmful, situation) > 0


def _left_seconds(harmful: Sequence[Outcome], situation: Situation) -> float:
    """What is left of the pause; 0 or less where it is over, or nothing did harm."""
    if not harmful:
        return 0.0
    rules = situation.policy.guards
    pause = doubled_seconds(
        rules.quarantine_seconds, len(harmful), rules.quarantine_longest_seconds
    )
    return max(each.at for each in harmful) + pause - situation.now


def _as_tight(move: MemoryLimitMove, outcome: Outcome) -> bool:
    """Whether a limit is below that of an earlier change, or no more than noise above it."""
    setting = outcome.change.of(GOMEMLIMIT)
    try:
        limit = None if setting is None else parse(setting.after)
    except ValueError:  # a record that was edited by hand
        return False
    if limit is None:
        return False
    return move.mib * MIB < limit or not worth_writing(move.mib, limit)


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
