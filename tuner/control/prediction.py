"""What a GOGC is expected to do, before anything is written."""

from tuner.control.ceiling import gogc_within
from tuner.model.policy import ControlLaw
from tuner.model.signals import Signals
from tuner.model.tuning import Prediction
from tuner.signals.derive import EFFECTIVE_LEAST

RATIO_DIGITS = 4
"""Digits of a ratio that people are shown; what lies behind them is far below the noise."""


def predict(
    signals: Signals, gogc: float, law: ControlLaw, backstop_bytes: float | None = None
) -> Prediction:
    """CPU and memory to be expected at a GOGC.

    The heap grows to ``L + (L + S) * GOGC/100``, or to what GOMEMLIMIT allows. The part of GC in a
    request's CPU shrinks by ``1 - (GOGC_effective/GOGC)^alpha``, with the GOGC that makes that
    heap, and the rest stays.

    Args:
        signals: What is seen of the service now.
        gogc: Percent.
        law: Constants.
        backstop_bytes: GOMEMLIMIT that will be in force; None: the one that is, if any.
    """
    goal = signals.live_bytes + (signals.live_bytes + signals.stack_bytes) * gogc / 100
    mapped, effective = goal + signals.non_heap_bytes, gogc
    limit = backstop_bytes if backstop_bytes is not None else signals.gomemlimit_bytes
    if limit is not None:
        mapped = min(mapped, max(limit, signals.live_bytes + signals.non_heap_bytes))
        effective = max(min(gogc, gogc_within(signals, limit)), EFFECTIVE_LEAST)
    saving = signals.gc_share * (1 - (signals.gogc_effective / effective) ** law.alpha)
    return Prediction(
        cpu_saving_ratio=round(saving, RATIO_DIGITS),
        memory_peak_bytes=round(mapped + signals.unknown_bytes),
    )
