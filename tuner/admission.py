"""The barrier on one tick: how many requests a pod may have in flight.

On the live channel it goes its own way beside GOGC and GOMEMLIMIT: overload does not wait for a
trial to end, and a threshold restarts nothing. A barrier that is an env entry would restart pods in
the middle of the overload: it rides along with the next change of the others.
"""

import re
from dataclasses import dataclass

from tuner.control.barrier import BarrierLaw, BarrierState, Seen, advance
from tuner.control.tier import BARRIER_BASE, barrier_env
from tuner.guards.orders import orders
from tuner.guards.ownership import ownership_of
from tuner.guards.situation import Situation
from tuner.guards.source import source
from tuner.model.decision import Apply
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.trial import Change, Phase, Setting, Trial
from tuner.model.tuning import Prediction
from tuner.model.workload import BARRIER, Mode, Workload

LAW = BarrierLaw()
_THRESHOLD = re.compile(r"0*[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Admission:
    """What the barrier loop says on one tick."""

    unwritten: BarrierState
    """To be kept where nothing is written."""
    written: BarrierState
    """To be kept where the threshold is written."""
    apply: Apply | None
    """The write that it asks for; None where the threshold stays."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The move that it asks for, if any."""
        return () if self.apply is None else self.apply.trial.change.settings


def admission(situation: Situation, state: BarrierState) -> Admission:
    """Moves the threshold by one tick; still where there is no barrier, or it may not be written.

    Args:
        situation: The workload on this tick.
        state: What the last tick left.
    """
    still = Admission(state, state, None)
    if not (_has_channel(situation.workload) and _may_write(situation)):
        return still
    pin = situation.override.pin_barrier
    if pin is not None:
        given = situation.container.literal(BARRIER)
        moved = None if given == str(pin) else _apply(pin, Reason.PINNED, situation)
        return Admission(BarrierState(), BarrierState(), moved)
    base = _base(situation)
    if base is None:
        return still
    signals, profile = situation.signals, situation.profile
    seen = Seen(
        observed_threshold=signals.barrier_threshold,
        in_flight=signals.barrier_in_flight,
        latency_seconds=signals.latency(profile.latency_quantile),
        errors_ratio=signals.errors_ratio,
        errors_baseline=_usual_errors(situation),
    )
    after, threshold = advance(
        state,
        seen,
        LAW,
        at=situation.now,
        base=base,
        target_seconds=profile.latency_target_seconds,
    )
    if threshold is None:
        return Admission(after, after, None)
    return Admission(state, after, _apply(threshold, Reason.BARRIER, situation))


def _has_channel(workload: Workload) -> bool:
    """Whether there is anything that a threshold can be written to."""
    if workload.live is not None:
        return not workload.live.trouble
    return barrier_env(workload.annotations) is not None


def _usual_errors(situation: Situation) -> float | None:
    """5xx ratio of the best rate window at the present setting; None where none was counted."""
    ratios = (each.errors_ratio for each in situation.windows)
    return min((each for each in ratios if each is not None), default=None)


def _base(situation: Situation) -> int | None:
    """The threshold without any correction; None where it is not known."""
    given = situation.container.literal(BARRIER)
    asked = situation.workload.annotations.get(BARRIER_BASE)
    text = asked if asked is not None else _before(situation.record, given)
    return int(text) if text is not None and _THRESHOLD.fullmatch(text) else None


def _before(record: Record, given: str | None) -> str | None:
    """The threshold before gc-tuner's first change of it."""
    if record.barrier is not None:
        return record.barrier.prior
    written = () if record.applied is None else record.applied.settings
    return next((each.prior for each in written if each.name == BARRIER), given)


def _may_write(situation: Situation) -> bool:
    return (
        situation.mode is Mode.AUTO
        and situation.policy.read_only is None
        and orders(situation) is None
        and source(situation) is None
        and ownership_of(situation.workload, situation.container, BARRIER) is None
    )


def _apply(threshold: int, reason: Reason, situation: Situation) -> Apply:
    signals, container = situation.signals, situation.container
    move = Setting(BARRIER, container.literal(BARRIER), str(threshold))
    trial = Trial(
        change=Change(container.name, (move,)),
        reason=reason,
        prediction=Prediction(0.0, round(signals.resident_bytes)),
        baseline=None,
        template_digest=situation.workload.template_digest,
        phase=Phase.PLANNED,
        started_at=situation.now,
        phase_at=situation.now,
    )
    latency = signals.latency(situation.profile.latency_quantile)
    target = situation.profile.latency_target_seconds
    words = "as the overrides have it"
    if reason is Reason.BARRIER and latency is not None and target is not None:
        words = f"latency {1000 * latency:.3g} ms, target {1000 * target:.3g} ms"
    return Apply(trial, f"{words}: {trial.change}")
