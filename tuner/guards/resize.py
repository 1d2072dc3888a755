"""Guard: while a container's memory is being changed, nobody knows what may be used of it."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.workload import Container


def resize(situation: Situation) -> Hold | None:
    """Refuse while a resize in place is asked for and not done."""
    return resizing(situation.container)


def resizing(container: Container) -> Hold | None:
    """Why nothing may be changed while a container is resized; None where it is not."""
    if not container.running.resizing:
        return None
    return Hold(
        Reason.RESIZE_PENDING,
        f"a resize in place of container {container.name!r} is asked for and not done",
    )
