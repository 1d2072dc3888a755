"""Guard: what this workload's own trials have shown weighs more than the law."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove
from tuner.model.reason import Reason
from tuner.model.record import last_verdict_on
from tuner.model.signals import Source
from tuner.model.trial import Outcome, Verdict
from tuner.model.workload import GOGC
from tuner.verification.verdict import load_moved


def evidence(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Refuse to repeat what had no effect, and to build on a cost never measured."""
    judged = [each for each in situation.record.history if each.verdict is not Verdict.VOID]
    if not judged or not move.rises or move.ordered:
        return move
    newest = last_verdict_on(GOGC, judged)
    if newest is not None and _closes(newest) and not _load_moved(newest, situation):
        return Hold(
            Reason.DIRECTION_CLOSED,
            f"{newest.change} ended as {newest.verdict.value}: "
            "no further rise until the load or the live heap changes",
        )
    # GOMEMLIMIT alone, or a fall, was no probe of what marking costs.
    probed = any(each.rose for each in judged)
    estimated = situation.signals.gc_share_source is Source.ESTIMATED
    if probed and estimated and not situation.record.learned.cost_known:
        return Hold(
            Reason.COST_UNKNOWN,
            "the GC share is estimated and no trial has yet taught this workload's marking cost "
            "well enough; exporting go_cpu_classes_gc_total_cpu_seconds_total would settle it",
        )
    return move


def _closes(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.NO_EFFECT and outcome.rose


def _load_moved(newest: Outcome, situation: Situation) -> bool:
    signals = situation.signals
    pairs = (
        (newest.requests_per_second, signals.requests_per_second),
        (newest.live_bytes, signals.live_bytes),
    )
    return any(
        load_moved(then, now, situation.policy.trial)
        for then, now in pairs
        if then is not None and now is not None
    )
