"""The GC cost loop: the GOGC at which garbage collection takes its target share of the CPU.

GC CPU falls as GOGC^-alpha with alpha close to 1 while the rest of the CPU stays, so the odds
share/(1-share) are what scales, and the logarithm of GOGC is linear in their logarithm. The loop
is a proportional controller on that line, biased with the GOGC in effect: its integrator is the
value that was really applied, so nothing can wind up while guards hold it back, and taking over
is bumpless.
"""

import math

LN_GOGC_HIGHEST = math.log(1e6)
"""Far above every bound of a profile; keeps the exponential finite."""


def logit(share: float) -> float:
    """Logarithm of the odds of a share between 0 and 1."""
    return math.log(share / (1 - share))


def gogc_for_share(share: float, target: float, gogc_effective: float, alpha: float) -> float:
    """GOGC that brings the GC share to its target, percent.

    Args:
        share: GC share of the CPU now, inside 0-1.
        target: Set point of the share, inside 0-1.
        gogc_effective: GOGC in effect now, percent, above 0.
        alpha: Exponent of GC CPU over GOGC.
    """
    error = logit(share) - logit(target)
    asked = math.log(gogc_effective) + error / alpha
    return math.exp(min(max(asked, 0.0), LN_GOGC_HIGHEST))


def share_at(share: float, gogc_effective: float, gogc: float, alpha: float) -> float:
    """GC share to be expected at another GOGC; the inverse of ``gogc_for_share``."""
    odds: float = share / (1 - share) * (gogc_effective / gogc) ** alpha
    return odds / (1 + odds)
