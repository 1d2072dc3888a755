"""What a GOGC is expected to do, before anything is written."""

from tuner.model.policy import ControlLaw
from tuner.model.signals import Signals
from tuner.model.tuning import Prediction

RATIO_DIGITS = 4
"""Digits of a ratio that people are shown; what lies behind them is far below the noise."""


def predict(
    signals: Signals, gogc: float, law: ControlLaw, backstop_bytes: float | None = None
) -> Prediction:
    """CPU and memory to be expected at a GOGC.

    The part of GC in a request's CPU shrinks by ``1 - (GOGC_effective/GOGC)^alpha`` and the rest
    stays. The heap grows to ``L + (L + S) * GOGC/100``, or to what GOMEMLIMIT allows.

    Args:
        signals: What is seen of the service now.
        gogc: Percent.
        law: Constants.
        backstop_bytes: GOMEMLIMIT that will be in force; None: the one that is, if any.
    """
    saving = signals.gc_share * (1 - (signals.gogc_effective / gogc) ** law.alpha)
    goal = signals.live_bytes + (signals.live_bytes + signals.stack_bytes) * gogc / 100
    mapped = goal + signals.non_heap_bytes
    limit = backstop_bytes if backstop_bytes is not None else signals.gomemlimit_bytes
    if limit is not None:
        mapped = min(mapped, max(limit, signals.live_bytes + signals.non_heap_bytes))
    return Prediction(
        cpu_saving_ratio=round(saving, RATIO_DIGITS),
        memory_peak_bytes=round(mapped + signals.unknown_bytes),
    )
