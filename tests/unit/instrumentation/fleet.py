"""Frozen facts to tell observers."""

from dataclasses import replace

from tuner.model.decision import Apply, Decision, Hold
from tuner.model.happening import Assessment, TickEnded
from tuner.model.proposal import GogcMove, Proposal
from tuner.model.reason import Reason
from tuner.model.record import Record, Verb
from tuner.model.signals import Signals, Source
from tuner.model.trial import Change, Outcome, Phase, Setting, Trial, Verdict
from tuner.model.tuning import Limit, Prediction
from tuner.model.workload import Container, Kind, Mode, Rollout, Workload, WorkloadKey

MIB = 1024 * 1024
HOLD = Hold(Reason.AT_TARGET, "GC takes 4.0 % of the CPU, 4.0 % is aimed at")

SIGNALS = Signals(
    at=1_000.0,
    container="app",
    pods=2,
    pods_young=0,
    cpu_cores=0.8,
    gc_share=0.262,
    gc_share_source=Source.MEASURED,
    marked_bytes_per_second=1e9,
    cycles_per_second=2.0,
    cycles_seen=120.0,
    allocated_bytes_per_second=5e8,
    live_bytes=231 * MIB,
    live_source=Source.MEASURED,
    stack_bytes=MIB,
    non_heap_bytes=20 * MIB,
    unknown_bytes=10 * MIB,
    resident_bytes=612 * MIB,
    heap_goal_bytes=480 * MIB,
    gogc=100.0,
    gogc_effective=100.0,
    gogc_uniform=True,
    gomemlimit_bytes=None,
    requests_per_second=2000.0,
    errors_ratio=0.0,
    latency_p95_seconds=0.004,
    latency_p99_seconds=0.006,
    pause_ratio=0.0001,
)

MOVE = GogcMove(
    current_gogc=100.0,
    target_gogc=330,
    target_prediction=Prediction(cpu_saving_ratio=0.183, memory_peak_bytes=1000 * MIB),
    next_gogc=200,
    prediction=Prediction(cpu_saving_ratio=0.127, memory_peak_bytes=700 * MIB),
    limited_by=Limit.COST,
    ceiling=None,
)
PROPOSAL = Proposal(
    gogc=MOVE,
    memory_limit=None,
    prediction=Prediction(cpu_saving_ratio=0.0, memory_peak_bytes=612 * MIB),
)

CHANGE = Change("app", (Setting("GOGC", None, "200"),))

TRIAL = Trial(
    change=CHANGE,
    reason=Reason.GC_COST,
    prediction=MOVE.prediction,
    baseline=None,
    template_digest="d",
    phase=Phase.PLANNED,
    started_at=1_000.0,
    phase_at=1_000.0,
)

APPLY = Apply(TRIAL, "GOGC unset -> 200")


def workload(name: str = "cart", namespace: str = "shop") -> Workload:
    """A Deployment with one container of 1 GiB."""
    return Workload(
        key=WorkloadKey(namespace, Kind.DEPLOYMENT, name),
        uid="u",
        resource_version="1",
        generation=1,
        containers=(Container("app", memory_limit_bytes=1024 * MIB),),
        rollout=Rollout.COMPLETE,
        replicas=2,
        ready_replicas=2,
        template_digest="d",
    )


def assessment(
    name: str = "cart",
    *,
    mode: Mode = Mode.AUTO,
    decision: Decision = HOLD,
    signals: Signals | None = SIGNALS,
    proposal: Proposal | None = PROPOSAL,
) -> Assessment:
    """One workload's answer."""
    record = Record(mode, Verb.HOLD, decision.reason, decision.detail)
    return Assessment(workload(name), mode, signals, proposal, decision, record)


def ended(*assessments: Assessment, at: float = 1_000.0) -> TickEnded:
    """A tick over these workloads."""
    return TickEnded(at, 0.02, {each.workload.key: each for each in assessments})


def outcome(verdict: Verdict, measured: float | None = None) -> Outcome:
    """The end of a trial that promised 12.7 %."""
    return Outcome(
        at=1_500.0,
        change=CHANGE,
        reason=Reason.GC_COST,
        verdict=verdict,
        detail="CPU per request 0.45 -> 0.40 ms",
        predicted_saving_ratio=0.127,
        measured_saving_ratio=measured,
    )


def estimated(signals: Signals = SIGNALS) -> Signals:
    """The same with an estimated GC share."""
    return replace(signals, gc_share_source=Source.ESTIMATED)
