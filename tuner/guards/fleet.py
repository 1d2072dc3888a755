"""Guard over the fleet: one rollout of ours at a time in a namespace, the most useful first."""

from collections.abc import Mapping

from tuner.model.decision import Apply, Hold
from tuner.model.happening import Assessment
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Trial
from tuner.model.workload import Mode, Rollout, WorkloadKey

URGENCY = {Reason.ROLLBACK: 0, Reason.MEMORY_CEILING: 1, Reason.GC_COST: 2}
"""Order in which changes get their turn: undoing harm, then memory safety, then gain."""


def admit(assessments: Mapping[WorkloadKey, Assessment]) -> Mapping[WorkloadKey, Hold]:
    """Which of the changes have to wait for another workload's rollout, and for whose."""
    busy = {
        key.namespace: key.name
        for key, each in assessments.items()
        if not isinstance(each.decision, Apply) and _replacing_pods(each)
    }
    waiting = [
        (key, each.decision.trial)
        for key, each in assessments.items()
        if isinstance(each.decision, Apply)
    ]
    waiting.sort(key=lambda pair: _turn(pair[1]))
    refused: dict[WorkloadKey, Hold] = {}
    for key, trial in waiting:
        other = busy.get(key.namespace)
        if other is None or trial.reason is Reason.ROLLBACK:
            busy.setdefault(key.namespace, key.name)
        else:
            refused[key] = Hold(
                Reason.OTHER_ROLLOUT, f"gc-tuner is rolling out {other} in this namespace"
            )
    return refused


def _turn(trial: Trial) -> tuple[int, float]:
    # A record that was edited by hand may hold any reason: it comes last.
    return URGENCY.get(trial.reason, len(URGENCY)), -trial.prediction.cpu_saving_ratio


def _replacing_pods(assessment: Assessment) -> bool:
    """Whether a change of ours is on its way to the pods, or may be.

    Outside mode auto a plan is not written, and a trial may stand still in any phase: there the
    workload itself has to tell.
    """
    trial = assessment.record.trial
    if trial is None:
        return False
    if assessment.mode is Mode.AUTO:
        return trial.phase in {Phase.PLANNED, Phase.ROLLING_OUT}
    return trial.phase is Phase.ROLLING_OUT and assessment.workload.rollout is not Rollout.COMPLETE
