"""Guard: a larger heap must not make an autoscaler allow a larger one still."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def vertical(situation: Situation) -> Hold | None:
    """Refuse GOGC to a workload whose memory a VerticalPodAutoscaler sets.

    It would take the memory of a larger heap for need, raise the request, and so raise the ceiling
    of the next step. GOMEMLIMIT has no such loop: it follows the limit.
    """
    autoscaler = situation.workload.autoscaling.vertical
    if not autoscaler:
        return None
    return Hold(
        Reason.VERTICAL_AUTOSCALER,
        f"VerticalPodAutoscaler {autoscaler!r} sets the memory that GOGC would be raised into",
    )
