"""The barrier loop: how many requests a pod may have in flight before it refuses more.

    threshold = base * (1 + clamp(PID(e), -0.3, +0.5))
    e = clamp((T - q)/T - max(0, x/x_b - 1), -1, 1)

``q`` is the latency of admitted requests at the tier's quantile and ``T`` its target, ``x`` the
ratio of 5xx answers that are not the barrier's own, and ``x_b`` what of them is usual.

What it writes is in force only after the channel's dead time: a mounted ConfigMap takes a minute
or more. It writes once per dead time, measured from each write to the moment when the pods show
it. A plant with dead time oscillates at the nominal gains, so all three are taken times a factor
between an eighth and a quarter, halved where the loop does not converge.
"""

import math
from dataclasses import dataclass, field, replace

from tuner.control.tracking import Gains, TrackingPID, preset, step_seconds

GAIN_START = 1 / 4
"""Factor on the nominal gains before anything is known of the dead time."""
COUNT_HIGHEST = 1e12
"""No pod has more requests in flight; keeps whole numbers whole."""
TURN_LEAST = 0.75
"""Requests in flight between the threshold in force and the unrounded one from which on the last
move is taken back: one that is halfway between two whole numbers would be written up and down at
every tick."""
ERRORS_BASELINE_LEAST = 0.01
"""One failure in a hundred is no reason to refuse requests, however rare they usually are."""


@dataclass(frozen=True, slots=True)
class BarrierLaw:
    """Constants of the loop."""

    gains: Gains = field(
        default_factory=lambda: Gains(
            proportional=0.8, integral_seconds=120.0, derivative_seconds=5.0
        )
    )
    """Nominal gains; offset per unit of error."""
    filter_seconds: float = 15.0
    """Lag of the filter on the measurement: one tick's noise is not a trend."""
    offset_lowest: float = -0.3
    offset_highest: float = 0.5
    gain_lowest: float = 1 / 8
    """Least factor on the nominal gains: holds 90 s of dead time."""
    gain_highest: float = GAIN_START
    """Greatest factor: holds 30-60 s of dead time."""
    alerts: int = 3
    """Writes in a row at a missed objective, none better than the last, that halve the gains."""
    converging_ratio: float = 0.9
    """An error at most this part of the last alert's is converging."""
    error_tolerated: float = 0.05
    """A smaller miss is no alert."""
    calm_seconds: float = 300.0
    """How long the objective is met before alerts are forgotten and the gains recover."""
    recovery_seconds: float = 1800.0
    """Time in which the gains double again while all is calm."""
    fill_least: float = 0.7
    """In flight by threshold at which a higher threshold would admit anything more."""
    decay_seconds: float = 120.0
    """Time constant with which an unused threshold goes back to its base."""
    move_least_ratio: float = 0.02
    """Smallest move, by the base, that is worth a write."""
    patience_seconds: float = 300.0
    """How long a written threshold may take to show before the loop starts from what is there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the service; None where it is not known."""

    observed_threshold: float | None
    """Threshold in force, the same in every pod; None too where pods differ."""
    in_flight: float | None
    """Requests in flight, per pod."""
    latency_seconds: float | None
    """Latency of admitted requests at the tier's quantile."""
    errors_ratio: float | None
    """5xx answers by all answers, without what the barrier refused, 0-1."""
    errors_baseline: float | None
    """What of them is usual, 0-1."""


@dataclass(frozen=True, slots=True)
class BarrierState:
    """What the loop remembers."""

    offset: float = 0.0
    """Threshold by base, less 1, as last asked for; below 0 the barrier sheds."""
    integral: float = 0.0
    measurement: float = 0.0
    """Minus the error, filtered."""
    gain_factor: float = GAIN_START
    """Factor on the nominal gains."""
    alerts: int = 0
    """Writes in a row at a missed objective without convergence."""
    alert_error: float | None = None
    """Error at the last of them."""
    calm_since: float | None = None
    """When the objective began to be met; None while it is missed."""
    asked_threshold: int | None = None
    """Threshold last written, or found in force."""
    asked_at: float | None = None
    """When it was written; None once it has shown."""
    rose: bool | None = None
    """Whether that write raised the threshold; None before the first."""
    at: float | None = None
    """When the loop last stepped; None before its first step."""


def advance(
    state: BarrierState,
    seen: Seen,
    law: BarrierLaw,
    *,
    at: float,
    base: float,
    target_seconds: float | None,
) -> tuple[BarrierState, int | None]:
    """Moves the threshold by one tick.

    Where anything is not known, the loop stands still. A caller that did not write the threshold
    keeps the state that it handed in.

    Args:
        state: What the last tick left.
        seen: What was seen of the service.
        law: Constants.
        at: Time of what was seen, seconds.
        base: Threshold without any correction, requests in flight per pod, above 0.
        target_seconds: Latency objective; None where the tier has none, and so no barrier loop.

    Returns:
        The new state, and the threshold to write; None where nothing is to be written.
    """
    facts = _facts(seen, target_seconds)
    if facts is None or not math.isfinite(at) or not 0 < base <= COUNT_HIGHEST:
        return state, None
    if state.at is None or _surprised(state, facts, at, law):
        return _start(state, facts, law, at=at, base=base), None
    seconds = step_seconds(state.at, at)
    if seconds == 0:
        return state, None
    if facts.threshold == state.asked_threshold:
        state = replace(state, asked_at=None)
    state = replace(_step(state, facts, law, seconds), at=at)
    state = _calmed(state, facts.error, law, at=at, seconds=seconds)
    wish = base * (1 + state.offset)
    threshold = max(round(wish), 1)
    rises = threshold > facts.threshold
    small = abs(threshold - facts.threshold) < max(law.move_least_ratio * base, 1)
    turns = state.rose is not None and state.rose is not rises
    half = turns and abs(wish - facts.threshold) < TURN_LEAST
    if state.asked_at is not None or small or half:
        return state, None
    state = _alerted(state, facts.error, law)
    return replace(state, asked_threshold=threshold, asked_at=at, rose=rises), threshold


@dataclass(frozen=True, slots=True)
class _Facts:
    """What was seen, where all of it is known."""

    error: float
    threshold: int
    in_flight: float


def _facts(seen: Seen, target_seconds: float | None) -> _Facts | None:
    error = _error(seen, target_seconds)
    threshold, in_flight = seen.observed_threshold, seen.in_flight
    if error is None or threshold is None or in_flight is None:
        return None
    if not 1 <= threshold <= COUNT_HIGHEST or not 0 <= in_flight <= COUNT_HIGHEST:
        return None
    return _Facts(error, round(threshold), in_flight)


def _error(seen: Seen, target_seconds: float | None) -> float | None:
    latency, ratio = seen.latency_seconds, seen.errors_ratio
    if target_seconds is None or latency is None or ratio is None:
        return None
    baseline = 0.0 if seen.errors_baseline is None else seen.errors_baseline
    if not 0 < target_seconds < math.inf or not 0 <= latency < math.inf:
        return None
    if not 0 <= ratio <= 1 or not 0 <= baseline <= 1:
        return None
    excess = max(0.0, ratio / max(baseline, ERRORS_BASELINE_LEAST) - 1)
    return min(max(1 - latency / target_seconds - excess, -1.0), 1.0)


def _surprised(state: BarrierState, facts: _Facts, at: float, law: BarrierLaw) -> bool:
    """Whether the threshold in force is not the loop's: someone else's, or a write was lost."""
    if facts.threshold == state.asked_threshold:
        return False
    return state.asked_at is None or at - state.asked_at > law.patience_seconds


def _start(
    state: BarrierState, facts: _Facts, law: BarrierLaw, *, at: float, base: float
) -> BarrierState:
    factor = _factor(state.gain_factor, law)
    offset = _offset(facts.threshold / base - 1, law)
    return BarrierState(
        offset=offset,
        integral=preset(law.gains.times(factor), -facts.error, offset),
        measurement=-facts.error,
        gain_factor=factor,
        asked_threshold=facts.threshold,
        at=at,
    )


def _step(state: BarrierState, facts: _Facts, law: BarrierLaw, seconds: float) -> BarrierState:
    weight = seconds / (law.filter_seconds + seconds)
    measurement = state.measurement + weight * (-facts.error - state.measurement)
    gains = law.gains.times(_factor(state.gain_factor, law))
    loop = TrackingPID(gains, integral=state.integral, measurement=state.measurement)
    asked = loop.ask(measurement, seconds)
    # While a write is under way nothing more is asked: the integral follows what was written.
    waiting = state.asked_at is not None
    applied = state.offset if waiting else _useful(asked, state, facts, law, seconds)
    loop.track(applied, asked, seconds)
    return replace(state, offset=applied, integral=loop.integral, measurement=measurement)


def _useful(
    asked: float, state: BarrierState, facts: _Facts, law: BarrierLaw, seconds: float
) -> float:
    """What is asked for; where the threshold is not used, no more than a way back to its base."""
    offset = _offset(asked, law)
    if facts.in_flight > law.fill_least * facts.threshold:
        return offset
    return min(offset, state.offset * math.exp(-seconds / law.decay_seconds))


def _calmed(
    state: BarrierState, error: float, law: BarrierLaw, *, at: float, seconds: float
) -> BarrierState:
    """Forgets alerts after a calm time, and lets the gains recover while it lasts."""
    if error < -law.error_tolerated:
        return replace(state, calm_since=None)
    since = at if state.calm_since is None else state.calm_since
    state = replace(state, calm_since=since)
    if at - since < law.calm_seconds:
        return state
    recovered = state.gain_factor * 2 ** (seconds / law.recovery_seconds)
    return _with_factor(replace(state, alerts=0, alert_error=None), recovered, law)


def _alerted(state: BarrierState, error: float, law: BarrierLaw) -> BarrierState:
    """Counts a write at a missed objective; too many without convergence halve the gains."""
    if error >= -law.error_tolerated:
        return state
    last = state.alert_error
    converging = last is not None and abs(error) <= law.converging_ratio * abs(last)
    alerts = 1 if converging else state.alerts + 1
    state = replace(state, alerts=alerts, alert_error=error)
    if alerts < law.alerts:
        return state
    return _with_factor(replace(state, alerts=0), state.gain_factor / 2, law)


def _with_factor(state: BarrierState, factor: float, law: BarrierLaw) -> BarrierState:
    new = _factor(factor, law)
    # What the proportional part loses the integral takes over, so that the output does not jump.
    lost = law.gains.proportional * (new - _factor(state.gain_factor, law)) * state.measurement
    return replace(state, gain_factor=new, integral=state.integral + lost)


def _factor(factor: float, law: BarrierLaw) -> float:
    return min(max(factor, law.gain_lowest), law.gain_highest)


def _offset(offset: float, law: BarrierLaw) -> float:
    return min(max(offset, law.offset_lowest), law.offset_highest)
