"""Guard: a restart of the only pod is an outage."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason

LEAST_READY = 2
"""While one pod is replaced, another answers."""


def replicas(situation: Situation) -> Hold | None:
    """Refuse to restart too few ready pods, unless a rollout starts a new one before it stops one.

    The live channel restarts nothing.
    """
    workload = situation.workload
    if workload.live is not None or workload.surges or workload.ready_replicas >= LEAST_READY:
        return None
    return Hold(
        Reason.FEW_REPLICAS,
        f"{workload.ready_replicas} of {workload.replicas} pods ready, and the rollout strategy "
        f"stops a pod before it starts another: {LEAST_READY} are needed",
    )
