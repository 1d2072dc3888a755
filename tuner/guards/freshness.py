"""The last look before a write: is the workload, read afresh, still the one that was decided on?"""

from tuner.guards.ownership import ownership_of
from tuner.guards.rollout import rollout_of
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Trial
from tuner.model.workload import FIELD_MANAGER, Workload


def objection_to(trial: Trial, fresh: Workload, decided_on: Workload) -> Hold | None:
    """Why a planned change must not be written to the workload as it is now; None where it may.

    A rollback out of our own rollout does not wait for that rollout to end. Nor does a change that
    stands there already, in our name: its answer was lost, and the view is not there yet. Writing
    it again changes nothing, and keeps what stood there before on record.
    """
    container = fresh.container(trial.change.container)
    if (
        container is None
        or fresh.uid != decided_on.uid
        or fresh.label_mode != decided_on.label_mode
        or fresh.template_digest != trial.template_digest
    ):
        return Hold(Reason.WORKLOAD_CHANGED, "the workload changed since it was decided on")
    owned = ownership_of(container, trial.change.name)
    if owned is not None:
        return owned
    entry = container.env.get(trial.change.name)
    if entry is not None and entry.value == trial.change.after and FIELD_MANAGER in entry.owners:
        return None
    if container.literal(trial.change.name) != trial.change.before:
        return Hold(
            Reason.WORKLOAD_CHANGED,
            f"{trial.change.name} reads {container.literal(trial.change.name) or 'unset'}, "
            f"it was {trial.change.before or 'unset'} when the change was decided on",
        )
    return None if trial.reason is Reason.ROLLBACK else rollout_of(fresh)
