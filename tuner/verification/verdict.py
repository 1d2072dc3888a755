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
LIKELY = 1
"""A saving of more standard errors than this may be one: to close a direction is to say there is
none, and wrongly said that costs more than the windows that would tell."""
MEMORY_SAFETY = frozenset({Reason.MEMORY_CEILING, Reason.MEMORY_LIMIT, Reason.DANGER})
"""Reasons whose changes are judged by memory: CPU is their price."""
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


def errors_broke_out(before: Level, after: Level, rules: TrialRules) -> bool:
    """Whether 5xx answers rose without more load: that is harm, also where it moved the load.

    What fails allocates less, and clients that back off send less.
    """
    old, new = before.requests_per_second, after.requests_per_second
    if not old or not new or (new > old and load_moved(old, new, rules)):
        return False
    return _errors_rose(before, after)


def _errors_rose(before: Level, after: Level) -> bool:
    old, new = before.errors_ratio, after.errors_ratio
    return old is not None and new is not None and new - old > ERRORS_MORE


def judge(trial: Trial, before: Level, after: Level, rules: TrialRules) -> Judgement:
    """Compare the sides of a trial that had enough windows and requests.

    A difference counts when it exceeds both the threshold and three standard errors; the standard
    error joins the spread of either side's windows with the spread that any restart brings. A
    saving that does not count is Inconclusive where it is more than one standard error, or where
    the one that was foretold is within three of it: more windows may tell. Else: NoEffect.
    """
    if _errors_rose(before, after):
        words = f"5xx ratio {before.errors_ratio:.1%} -> {after.errors_ratio:.1%}"
        return Judgement(Verdict.REGRESSED, words, None)
    by = yardstick(before, after)
    old, new = by.before, by.after
    change = new.median / old.median - 1 if old.median > 0 else 0.0
    noise = SIGMAS * standard_error(old, new, after.pods, rules)
    words = (
        f"CPU per {by.unit} {old.median:.3g} s -> {new.median:.3g} s ({change:+.1%}), "
        f"noise {noise:.1%}, predicted {0 - trial.prediction.cpu_saving_ratio:+.1%}"
    )
    if trial.reason in MEMORY_SAFETY:
        held = after.resident_bytes < before.resident_bytes
        if trial.reason is Reason.MEMORY_LIMIT:
            # A limit that does not bind changes nothing: that is what it is for.
            peak = max(before.resident_bytes, trial.prediction.memory_peak_bytes)
            held = after.resident_bytes <= (1 + rules.harm_ratio) * peak
        words = (
            f"memory {before.resident_bytes / 2**20:.0f} -> {after.resident_bytes / 2**20:.0f} MiB"
            f"; {words}"
        )
        verdict = Verdict.CONFIRMED if held else Verdict.NO_EFFECT
        return Judgement(verdict, words, -change)
    latency = _latency(before, after, rules)
    if latency is not None:
        words += f"; {latency}"
    if change > max(rules.harm_ratio, noise) or (latency is not None and latency.harmed(rules)):
        return Judgement(Verdict.REGRESSED, words, -change)
    fell = -change > max(rules.effect_ratio, noise)
    if fell or (latency is not None and latency.helped(rules)):
        return Judgement(Verdict.CONFIRMED, words, -change)
    likely = -change > max(rules.effect_ratio, LIKELY * noise / SIGMAS)
    foretold = noise - change >= max(rules.effect_ratio, trial.prediction.cpu_saving_ratio)
    if likely or foretold:
        return Judgement(Verdict.INCONCLUSIVE, f"{words}; the noise hides which", None)
    return Judgement(Verdict.NO_EFFECT, words, -change)


@dataclass(frozen=True, slots=True)
class _Latency:
    """Two sides of latency."""

    before_seconds: float
    after_seconds: float
    noise: float

    def __str__(self) -> str:
        return (
            f"latency {1000 * self.before_seconds:.3g} ms -> {1000 * self.after_seconds:.3g} ms "
            f"({self.change:+.1%}, noise {self.noise:.1%})"
        )

    @property
    def change(self) -> float:
        return self.after_seconds / self.before_seconds - 1

    def harmed(self, rules: TrialRules) -> bool:
        return self.change > max(rules.harm_ratio, self.noise)

    def helped(self, rules: TrialRules) -> bool:
        return -self.change > max(rules.effect_ratio, self.noise)


def _latency(before: Level, after: Level, rules: TrialRules) -> _Latency | None:
    """None where either side is not known."""
    old, new = before.latency_seconds, after.latency_seconds
    if old is None or new is None or old.median <= 0:
        return None
    noise = SIGMAS * standard_error(old, new, after.pods, rules)
    return _Latency(old.median, new.median, noise)


def latency_change(before: Level | None, after: Level | None) -> float | None:
    """Latency after by before, less 1; None where either is not known."""
    if before is None or after is None:
        return None
    old, new = before.latency_seconds, after.latency_seconds
    if old is None or new is None or old.median <= 0:
        return None
    return new.median / old.median - 1


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


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What CPU is compared by: requests where both sides count them, else allocated bytes."""

    unit: str
    before: Spread
    """CPU seconds per unit."""
    after: Spread
    rates: tuple[float, float]
    """Units per second, before and after."""


def yardstick(before: Level, after: Level) -> Yardstick:
    """What the CPU of two sides is compared by."""
    old, new = before.cpu_seconds_per_request, after.cpu_seconds_per_request
    if old and new and before.requests_per_second and after.requests_per_second:
        rates = (before.requests_per_second, after.requests_per_second)
        return Yardstick("request", old, new, rates)
    return Yardstick(
        "allocated byte",
        before.cpu_seconds_per_allocated_byte,
        after.cpu_seconds_per_allocated_byte,
        (before.allocated_bytes_per_second, after.allocated_bytes_per_second),
    )
