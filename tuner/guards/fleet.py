"""Guard over the fleet: few rollouts of ours at a time, the most useful first."""

from collections.abc import Mapping, Sequence

from tuner.guards.orders import STOPPED
from tuner.model.decision import Apply, Hold
from tuner.model.happening import Assessment
from tuner.model.policy import GuardRules
from tuner.model.reason import Reason
from tuner.model.shard import shard_of, share_of
from tuner.model.trial import Phase, Trial
from tuner.model.workload import Mode, Rollout, WorkloadKey
from tuner.verification.verdict import MEMORY_SAFETY

URGENCY = {
    Reason.ROLLBACK: 0,
    Reason.DANGER: 1,
    Reason.PINNED: 2,
    Reason.MEMORY_CEILING: 3,
    Reason.MEMORY_LIMIT: 4,
    Reason.GC_COST: 5,
}
"""Order in which changes get their turn: undoing harm, then danger, people's word, memory safety,
and gain."""


def admit(
    assessments: Mapping[WorkloadKey, Assessment], rules: GuardRules
) -> Mapping[WorkloadKey, Hold]:
    """Which of the changes have to wait for other workloads' rollouts, and for whose.

    The live channel restarts nothing, and waits for nobody.
    """
    busy = [
        key
        for key, each in assessments.items()
        if not isinstance(each.decision, Apply) and _replacing_pods(each)
    ]
    waiting = [
        (key, each.decision.trial)
        for key, each in assessments.items()
        if isinstance(each.decision, Apply) and each.workload.live is None
    ]
    waiting.sort(key=lambda pair: _turn(pair[1]))
    refused: dict[WorkloadKey, Hold] = {}
    for key, trial in waiting:
        refusal = None if trial.reason is Reason.ROLLBACK else room_for(key, busy, rules)
        if refusal is None:
            busy.append(key)
        else:
            refused[key] = refusal
    return refused


def room_for(key: WorkloadKey, busy: Sequence[WorkloadKey], rules: GuardRules) -> Hold | None:
    """Why a rollout has to wait for those under way; None where it may begin."""
    near = [other.name for other in busy if other.namespace == key.namespace]
    if len(near) >= rules.rollouts_in_namespace:
        return Hold(
            Reason.OTHER_ROLLOUT, f"gc-tuner is rolling out {', '.join(near)} in this namespace"
        )
    shard = shard_of(key.namespace, rules.shards)
    count = sum(shard_of(other.namespace, rules.shards) == shard for other in busy)
    if count >= share_of(rules.rollouts_in_cluster, shard, rules.shards):
        where = "" if rules.shards == 1 else " in this shard"
        return Hold(
            Reason.CHANGE_BUDGET,
            f"gc-tuner is rolling out {count} workloads{where}, as many as the settings allow at "
            "once",
        )
    return None


def _turn(trial: Trial) -> tuple[int, float]:
    """What saves most goes first; of what memory needs, what costs most: it is furthest gone."""
    saving = trial.prediction.cpu_saving_ratio
    # A record that was edited by hand may hold any reason: it comes last.
    urgency = URGENCY.get(trial.reason, len(URGENCY))
    return urgency, saving if trial.reason in MEMORY_SAFETY else -saving


def _replacing_pods(assessment: Assessment) -> bool:
    """Whether a change of ours is on its way to the pods, or may be.

    Outside mode auto and under an order to stop, a plan is not written, and a trial may stand still
    in any phase: there the workload itself has to tell.
    """
    trial, decision = assessment.record.trial, assessment.decision
    if trial is None or assessment.workload.live is not None:
        return False
    if trial.phase not in {Phase.PLANNED, Phase.ROLLING_OUT}:
        return False
    if assessment.mode is Mode.AUTO and decision.reason not in STOPPED:
        return True
    return assessment.workload.rollout is not Rollout.COMPLETE
