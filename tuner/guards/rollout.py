"""Guard: no change while pods are being replaced, missing or not ready."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.workload import Rollout, Workload

REASONS = {
    Rollout.IN_PROGRESS: (Reason.ROLLOUT_IN_PROGRESS, "a rollout is in progress"),
    Rollout.PAUSED: (Reason.ROLLOUT_PAUSED, "the rollout is paused"),
    Rollout.FAILING: (Reason.ROLLOUT_FAILING, "the rollout is past its progress deadline"),
}


def rollout_of(workload: Workload) -> Hold | None:
    """Why the workload's pods must not be replaced now; None where they may."""
    if workload.rollout is Rollout.COMPLETE:
        return None
    reason, words = REASONS[workload.rollout]
    return Hold(reason, f"{words}: {workload.ready_replicas} of {workload.replicas} pods ready")


def rollout(situation: Situation) -> Hold | None:
    """Refuse while a rollout is in progress, paused or failing."""
    return rollout_of(situation.workload)
