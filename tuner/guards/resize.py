"""Guard: while a container's memory is being changed, nobody knows what may be used of it."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def resize(situation: Situation) -> Hold | None:
    """Refuse while a resize in place is asked for and not done."""
    if not situation.container.running.resizing:
        return None
    return Hold(
        Reason.RESIZE_PENDING,
        f"a resize in place of container {situation.container.name!r} is asked for and not done",
    )
