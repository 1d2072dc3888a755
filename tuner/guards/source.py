"""Guard: after a start or an outage, one full window of good data comes first."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def source(situation: Situation) -> Hold | None:
    """Refuse until the metrics source has answered for one rate window without a break."""
    return source_warming(
        situation.source_steady_seconds, situation.policy.timing.rate_window_seconds
    )


def source_warming(steady_seconds: float, rate_window_seconds: float) -> Hold | None:
    """Why the source may not be acted on yet; None where it may."""
    if steady_seconds >= rate_window_seconds:
        return None
    return Hold(
        Reason.SOURCE_WARMING,
        f"the metrics source has answered for {steady_seconds:.0f} s, "
        f"one rate window of {rate_window_seconds:g} s is needed",
    )
