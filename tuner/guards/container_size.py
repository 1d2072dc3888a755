"""Guard: in a very small container the runtime's own memory leaves nothing to steer."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason

MIB = 1024 * 1024


def container_size(situation: Situation) -> Hold | None:
    """Refuse where the container's memory limit is known and too small."""
    limit = situation.memory.limit_bytes
    least = situation.policy.guards.least_memory_bytes
    if limit is None or limit >= least:
        return None
    return Hold(
        Reason.CONTAINER_SMALL,
        f"the memory limit of container {situation.container.name!r} is {limit / MIB:.0f} MiB, "
        f"{least / MIB:.0f} MiB are the least",
    )
