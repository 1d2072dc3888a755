"""Two sides of a trial to its verdict."""

import math
from dataclasses import dataclass

from tuner.model.policy import TrialRules
from tuner.model.reason import Reason
from tuner.model.trial import Level, Spread, Trial, Verdict

NORMAL_PER_MAD = 1.48
"""Standard deviation of a normal distribution over its median absolute deviation."""
MEDIAN_PER_MEAN = math.pi / 2
"""Variance of a median over that of a mean, for normal samples."""
SIGMAS = 3
"""A difference within so many standard errors is noise."""
ERRORS_MORE = 0.01
"""Rise of the 5xx ratio that is harm whatever the CPU says."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the comparison says."""

    verdict: Verdict
    detail: str
    saving_ratio: float | None
    """Share of CPU per request that went away; None where the sides are incomparable."""


def load_moved(before: float, after: float, rules: TrialRules) -> bool:
    """Whether two loads are too different to be compared."""
    return abs(after - before) > rules.load_shift_ratio * max(before, after)


def comparable(before: Level, after: Level, rules: TrialRules) -> bool:
    """Whether requests/s and allocation per request are alike on both sides."""
    if before.requests_per_second and after.requests_per_second:
        loads = (before.requests_per_second, after.requests_per_second)
        per_request = (
            before.allocated_bytes_per_second / before.requests_per_second,
            after.allocated_bytes_per_second / after.requests_per_second,
        )
        return not load_moved(*loads, rules) and not load_moved(*per_request, rules)
    return not load_moved(
        before.allocated_bytes_per_second, after.allocated_bytes_per_second, rules
    )


def judge(trial: Trial, before: Level, after: Level, rules: TrialRules) -> Judgement:
    """Compare the sides of a trial that had enough windows and requests.

    A difference counts when it exceeds both the threshold and three standard errors; the standard
    error joins the spread of either side's windows with the spread that any restart brings.
    """
    if (
        before.errors_ratio is not None
        and after.errors_ratio is not None
        and after.errors_ratio - before.errors_ratio > ERRORS_MORE
    ):
        return Judgement(
            Verdict.REGRESSED,
            f"5xx ratio {before.errors_ratio:.1%} -> {after.errors_ratio:.1%}",
            None,
        )
    old, new, unit = _yardstick(before, after)
    change = new.median / old.median - 1 if old.median > 0 else 0.0
    noise = SIGMAS * standard_error(old, new, after.pods, rules)
    words = (
        f"CPU per {unit} {old.median:.3g} s -> {new.median:.3g} s ({change:+.1%}), "
        f"noise {noise:.1%}, predicted {-trial.prediction.cpu_saving_ratio:+.1%}"
    )
    if trial.reason is Reason.MEMORY_CEILING:
        fell = after.resident_bytes < before.resident_bytes
        words = (
            f"memory {before.resident_bytes / 2**20:.0f} -> {after.resident_bytes / 2**20:.0f} MiB"
            f"; {words}"
        )
        return Judgement(Verdict.CONFIRMED if fell else Verdict.NO_EFFECT, words, -change)
    if change > max(rules.harm_ratio, noise):
        return Judgement(Verdict.REGRESSED, words, -change)
    if -change > max(rules.effect_ratio, noise):
        return Judgement(Verdict.CONFIRMED, words, -change)
    return Judgement(Verdict.NO_EFFECT, words, -change)


def standard_error(before: Spread, after: Spread, pods: int, rules: TrialRules) -> float:
    """Standard error of the relative difference of two medians."""
    restart = rules.restart_spread_ratio / math.sqrt(max(pods, 1))
    return math.hypot(_relative_error(before), _relative_error(after), restart)


def _relative_error(side: Spread) -> float:
    if side.median <= 0:
        return 0.0
    windows = max(side.windows, 1)  # whatever a hand-edited record says
    sigma = NORMAL_PER_MAD * side.deviation * math.sqrt(MEDIAN_PER_MEAN / windows)
    return sigma / side.median


def _yardstick(before: Level, after: Level) -> tuple[Spread, Spread, str]:
    if before.cpu_seconds_per_request and after.cpu_seconds_per_request:
        return before.cpu_seconds_per_request, after.cpu_seconds_per_request, "request"
    return (
        before.cpu_seconds_per_allocated_byte,
        after.cpu_seconds_per_allocated_byte,
        "allocated byte",
    )
