"""Guard: in a very small container the runtime's own memory leaves nothing to steer."""

from tuner.control.memory_limit import CONTAINER_LEAST_BYTES, MIB
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def container_size(situation: Situation) -> Hold | None:
    """Refuse where the container's memory limit is known and too small."""
    limit = situation.memory.limit_bytes
    if limit is None or limit >= CONTAINER_LEAST_BYTES:
        return None
    return Hold(
        Reason.CONTAINER_SMALL,
        f"the memory limit of container {situation.container.name!r} is {limit / MIB:.0f} MiB, "
        f"{CONTAINER_LEAST_BYTES / MIB:.0f} MiB are the least",
    )
