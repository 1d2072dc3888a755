"""What a finished trial teaches about its workload."""

import math

import msgspec

from tuner.control.gc_cost import logit
from tuner.model.record import Learned
from tuner.model.trial import Level

ALPHA_LOWEST, ALPHA_HIGHEST = 0.5, 1.5
"""Outside of it, it was not GOGC that moved the GC share."""
LN_RANGE_LEAST = math.log(1.25)
"""A smaller step says more of noise than of the exponent."""
UTILISATION_MOVED_RATIO = 0.3
"""A change of utilisation after which what marking cost before says little."""


def learn(known: Learned, before: Level, after: Level, *, cpu_fell: bool) -> Learned:
    """What two settings at equal load teach: the marking cost, and the exponent of GC over GOGC.

    Args:
        known: What is known.
        before: The one side.
        after: The other.
        cpu_fell: Whether CPU per request fell beyond the noise: a trial can be confirmed for its
            latency or memory alone, and a difference within the noise would teach the noise.
    """
    if cpu_fell:
        known = _cost(known, before, after)
    return _exponent(known, before, after)


def _cost(known: Learned, before: Level, after: Level) -> Learned:
    """Marking cost per live byte and cycle.

    CPU per request outside GC is the same on both sides, so what the change took away was marking:
    ``c = (kappa_1 - kappa_2) / (m_1/R_1 - m_2/R_2)`` with ``m`` the bytes marked per second. Trials
    are pooled: each weighs as much as it took away, so a late and small step cannot overrule a
    large one. At another utilisation it is learned anew.

    Returns:
        What is known now; unchanged where requests are not counted, less was not marked, or the
        figures contradict the law: marking would have taken all CPU that was used, or more.
    """
    old, new = before.cpu_seconds_per_request, after.cpu_seconds_per_request
    if old is None or new is None or not before.requests_per_second:
        return known
    if not after.requests_per_second:
        return known
    marked_less = (
        before.marked_bytes_per_second / before.requests_per_second
        - after.marked_bytes_per_second / after.requests_per_second
    )
    spent_less = old.median - new.median
    if not (0 < marked_less < math.inf and 0 < spent_less < math.inf):
        return known
    if not spent_less / marked_less * before.marked_bytes_per_second < before.cpu_cores:
        return known
    if known.cost_seconds_per_byte is not None and not _moved(known.utilisation, after.utilisation):
        spent_less += known.cost_seconds_per_byte * known.bytes_per_request
        marked_less += known.bytes_per_request
    return msgspec.structs.replace(
        known,
        cost_seconds_per_byte=spent_less / marked_less,
        bytes_per_request=marked_less,
        utilisation=after.utilisation,
    )


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
