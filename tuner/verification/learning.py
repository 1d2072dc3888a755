"""What a finished trial teaches about its workload."""

import math

import msgspec

from tuner.control.gc_cost import logit
from tuner.model.policy import TrialRules
from tuner.model.record import COST_KNOWN_RATIO, Learned
from tuner.model.trial import Level
from tuner.verification.verdict import standard_error, yardstick

ALPHA_LOWEST, ALPHA_HIGHEST = 0.5, 1.5
"""Outside of it, it was not GOGC that moved the GC share."""
LN_RANGE_LEAST = math.log(1.25)
"""A smaller step says more of noise than of the exponent."""
PRIOR_ERROR = 0.5
"""How far the prior cost may be off, one standard deviation: it is a matter of what a heap is made
of."""
COST_LEAST_RATIO = 0.01
"""Least cost, by the prior: noise can make a saving look like a loss, but marking is never free."""
UTILISATION_MOVED_RATIO = 0.3
"""A change of utilisation after which what marking cost before may be off by ``MOVED_ERROR``."""
MOVED_ERROR = 0.25


def learn(
    known: Learned, before: Level, after: Level, rules: TrialRules, *, prior_cost: float
) -> Learned:
    """What two settings at equal load teach: the marking cost, and the exponent of GC over GOGC.

    Every trial that was judged counts, also where its difference is within the noise: those alone
    in which much happened to fall would teach too high a cost.

    Args:
        known: What is known.
        before: The one side.
        after: The other.
        rules: How noisy two sides are at the least.
        prior_cost: Marking cost that is assumed where nothing is known, seconds per byte.
    """
    return _exponent(_cost(known, before, after, rules, prior_cost), before, after)


def _cost(
    known: Learned, before: Level, after: Level, rules: TrialRules, prior_cost: float
) -> Learned:
    """Marking cost per live byte and cycle.

    CPU per request outside GC is the same on both sides, so what the change took away was marking:
    ``c = (kappa_1 - kappa_2) / (m_1/R_1 - m_2/R_2)`` with ``m`` the bytes marked per second, as far
    off as the standard error of ``kappa_1 - kappa_2`` makes it. Where requests are not counted,
    allocated bytes stand for them. What is known and what is new are weighed by their variances
    (recursive least squares), beginning with the prior.

    Returns:
        What is known now; unchanged where it is not known what was marked, nothing else was, or
        marking would have taken all CPU that was used.
    """
    by = yardstick(before, after)
    if not (all(by.rates) and before.marked_known and after.marked_known):
        return known
    marked_less = (
        before.marked_bytes_per_second / by.rates[0] - after.marked_bytes_per_second / by.rates[1]
    )
    if not (marked_less and math.isfinite(marked_less)):
        return known
    seen = (by.before.median - by.after.median) / marked_less
    if not seen * before.marked_bytes_per_second < before.cpu_cores:
        return known
    error = by.before.median * standard_error(by.before, by.after, after.pods, rules)
    cost, deviation = _so_far(known, before, prior_cost)
    # What was measured without any noise is still no better known than to a thousandth.
    new_deviation = max(abs(error / marked_less), abs(seen) / 1000)
    variances = (deviation * deviation, new_deviation * new_deviation)
    if not all(0 < each < math.inf for each in variances):
        return known
    weight = variances[0] / (variances[0] + variances[1])
    return msgspec.structs.replace(
        known,
        cost_seconds_per_byte=max(
            (1 - weight) * cost + weight * seen, COST_LEAST_RATIO * prior_cost
        ),
        cost_deviation=math.sqrt(weight * variances[1]),
        utilisation=_between(known.utilisation, before.utilisation, weight),
    )


def _so_far(known: Learned, before: Level, prior_cost: float) -> tuple[float, float]:
    """Cost and its deviation before a trial; those of the prior where nothing usable is known."""
    cost, deviation = known.cost_seconds_per_byte, known.cost_deviation
    if cost is None or not 0 < cost < math.inf:
        return prior_cost, PRIOR_ERROR * prior_cost
    if deviation is None or not 0 < deviation < cost:  # of an older version, or edited by hand
        deviation = COST_KNOWN_RATIO * cost
    if _moved(known.utilisation, before.utilisation):
        deviation = math.hypot(deviation, MOVED_ERROR * cost)
    return cost, deviation


def _between(old: float | None, new: float | None, weight: float) -> float | None:
    if old is None or new is None:
        return old if new is None else new
    return (1 - weight) * old + weight * new


def _moved(then: float | None, now: float | None) -> bool:
    if then is None or now is None:
        return False
    return abs(now - then) > UTILISATION_MOVED_RATIO * max(then, now)


def _exponent(known: Learned, before: Level, after: Level) -> Learned:
    """``alpha = (logit phi_1 - logit phi_2) / (ln GOGC_2 - ln GOGC_1)``, by measured shares alone.

    Trials are pooled by the range of GOGC that each went over.
    """
    old, new = before.gogc_effective, after.gogc_effective
    if not (before.gc_share_measured and after.gc_share_measured and old and new):
        return known
    shares = (before.gc_share, after.gc_share)
    if min(old, new) <= 0 or not all(0 < share < 1 for share in shares):
        return known
    ln_step = math.log(new) - math.log(old)
    ln_range = abs(ln_step)
    if ln_range < LN_RANGE_LEAST:
        return known
    alpha = (logit(before.gc_share) - logit(after.gc_share)) / ln_step
    if not ALPHA_LOWEST <= alpha <= ALPHA_HIGHEST:
        return known
    if known.alpha is not None and known.ln_range > 0:
        alpha = (alpha * ln_range + known.alpha * known.ln_range) / (ln_range + known.ln_range)
        ln_range += known.ln_range
    return msgspec.structs.replace(known, alpha=alpha, ln_range=ln_range)


def learn_kill(known: Learned, *, peak_bytes: int, limit_bytes: int | None, at: float) -> Learned:
    """A kill for memory, under a setting with this predicted peak.

    The smallest such peak counts, unless the container has more memory now than it had then.

    Args:
        known: What is known.
        peak_bytes: Predicted resident memory of the worst pod under the setting in force.
        limit_bytes: The container's memory limit; None where it is not known.
        at: When the kernel killed.
    """
    peak, then = known.killed_peak_bytes, known.killed_limit_bytes
    grown = then is not None and limit_bytes is not None and limit_bytes > then
    if peak is not None and not grown:
        peak_bytes = min(peak, peak_bytes)
    return msgspec.structs.replace(
        known, killed_peak_bytes=peak_bytes, killed_limit_bytes=limit_bytes, killed_at=at
    )
