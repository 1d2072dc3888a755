"""One workload on one tick, without I/O: readings in, the decision and the next record out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tuner.control import propose
from tuner.guards import decide, mode_of
from tuner.guards.situation import Situation
from tuner.guards.source import source_warming
from tuner.guards.trial import trial_running
from tuner.model.decision import Apply, Decision, Hold
from tuner.model.happening import Assessment
from tuner.model.policy import LatencyQuantile, Policy, Profile
from tuner.model.reading import Quantity
from tuner.model.reason import OPERATOR_WIDE, Reason
from tuner.model.record import Observed, Recommended, Record, Verb
from tuner.model.signals import Signals
from tuner.model.trial import Change, Outcome, Phase, Setting, Trial
from tuner.model.tuning import Proposal
from tuner.model.workload import GOGC, Container, Mode, Workload
from tuner.signals import choose_container, derive
from tuner.verification import View, Windows, advance, level, observe

PROFILE_ANNOTATION = "profile"


@dataclass(frozen=True, slots=True)
class SourceState:
    """What the metrics source said on this tick."""

    at: float
    readings: Mapping[str, Mapping[Quantity, float]] | None
    """Go containers of the workload by name; None while the source is unavailable."""
    steady_seconds: float
    """How long it has answered without a break."""
    trouble: str = ""
    """Why it is unavailable, for people."""


@dataclass(frozen=True, slots=True)
class Assessed:
    """The answer, and what has to be kept for the next tick."""

    assessment: Assessment
    windows: Windows
    ended: Outcome | None
    """Outcome of a trial that ended on this tick."""


def assess(
    workload: Workload,
    record: Record | None,
    windows: Windows,
    source: SourceState,
    policy: Policy,
) -> Assessed:
    """Decide on one workload.

    Args:
        workload: The workload as it is.
        record: Its record; None where there is none yet.
        windows: Rate windows observed so far.
        source: What the metrics source said of it.
        policy: The operator's policy.
    """
    mode = mode_of(workload, policy)
    if isinstance(mode, Hold) or mode is Mode.OFF:
        hold = (
            mode
            if isinstance(mode, Hold)
            else Hold(Reason.MODE_OFF, "gc-tuner leaves this workload alone")
        )
        answer = _Answer(hold)
        return Assessed(_assessment(workload, record, Mode.OFF, answer), windows, None)

    subject = _subject(workload, record, source, policy)
    signals = None if isinstance(subject, Hold) else subject.signals
    if signals is not None:
        setting = (workload.uid, workload.template_digest, signals.container, signals.gogc)
        windows = observe(
            windows,
            signals,
            setting,
            rate_window_seconds=policy.timing.rate_window_seconds,
            keep=policy.trial.patience_windows,
        )
    ended = None
    if record is not None:
        young = isinstance(subject, Hold) and subject.reason is Reason.WARMING_UP
        view = View(
            source.at,
            workload,
            signals,
            windows,
            policy,
            quantile=_quantile(workload, policy),
            warming=young,
        )
        progress = advance(record, view)
        record, ended = progress.record, progress.ended

    if record is not None and record.trial is not None and record.trial.phase is Phase.PLANNED:
        answer = _Answer(_resumed(record.trial, mode, source, policy), signals)
    elif isinstance(subject, Hold):
        trial = None if record is None else record.trial
        # Young pods are what a change of ours makes: the trial is the reason, not they.
        young = subject.reason is Reason.WARMING_UP
        answer = _Answer((trial_running(trial) if young else None) or subject)
    else:
        answer = _decided(subject, mode, record, windows, source, policy)
    return Assessed(_assessment(workload, record, mode, answer), windows, ended)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is tuned: a container under a profile, with its signals."""

    workload: Workload
    container: Container
    profile: Profile
    signals: Signals


@dataclass(frozen=True, slots=True)
class _Answer:
    decision: Decision
    signals: Signals | None = None
    proposal: Proposal | None = None


def _subject(
    workload: Workload, record: Record | None, source: SourceState, policy: Policy
) -> _Subject | Hold:
    if workload.replicas == 0:
        return Hold(Reason.NOT_RUNNING, "scaled to zero")
    profile = _profile(workload, policy)
    if isinstance(profile, Hold):
        return profile
    if source.readings is None:
        return Hold(Reason.SOURCE_UNAVAILABLE, source.trouble)
    chosen = choose_container(workload, source.readings)
    if isinstance(chosen, Hold):
        return chosen
    container = workload.container(chosen[0])
    assert container is not None  # noqa: S101  # only containers of the template are chosen
    signals = derive(
        source.at,
        *chosen,
        timing=policy.timing,
        law=policy.law,
        learned_cost_seconds_per_byte=record.learned.cost_seconds_per_byte if record else None,
    )
    if isinstance(signals, Hold):
        return signals
    return _Subject(workload, container, profile, signals)


def _profile(workload: Workload, policy: Policy) -> Profile | Hold:
    name = workload.annotations.get(PROFILE_ANNOTATION, policy.default_profile)
    profile = policy.profiles.get(name)
    if profile is not None:
        return profile
    return Hold(
        Reason.ANNOTATION_INVALID,
        f"annotation gc-tuner.io/{PROFILE_ANNOTATION} reads {name!r}: "
        f"use one of {', '.join(policy.profiles)}",
    )


def _quantile(workload: Workload, policy: Policy) -> LatencyQuantile:
    """Of latency, by which a trial is judged."""
    profile = _profile(workload, policy)
    return LatencyQuantile.P95 if isinstance(profile, Hold) else profile.latency_quantile


def _decided(
    subject: _Subject,
    mode: Mode,
    record: Record | None,
    windows: Windows,
    source: SourceState,
    policy: Policy,
) -> _Answer:
    signals = subject.signals
    proposal = propose(signals, subject.container, subject.profile, policy.law)
    if isinstance(proposal, Hold):
        return _Answer(proposal, signals)
    situation = Situation(
        now=source.at,
        workload=subject.workload,
        container=subject.container,
        mode=mode,
        signals=signals,
        record=record or _blank(mode),
        windows=windows.signals,
        source_steady_seconds=source.steady_seconds,
        profile=subject.profile,
        policy=policy,
    )
    guarded = decide(proposal, situation)
    if isinstance(guarded, Hold):
        return _Answer(guarded, signals, proposal)
    return _Answer(_planned(guarded, situation, windows), signals, guarded)


def _planned(proposal: Proposal, situation: Situation, windows: Windows) -> Apply:
    move = Setting(GOGC, situation.container.literal(GOGC), str(proposal.next_gogc))
    change = Change(proposal.container, (move,))
    trial = Trial(
        change=change,
        reason=Reason.GC_COST if proposal.rises else Reason.MEMORY_CEILING,
        prediction=proposal.prediction,
        baseline=level(windows, situation.profile.latency_quantile),
        template_digest=situation.workload.template_digest,
        phase=Phase.PLANNED,
        started_at=situation.now,
        phase_at=situation.now,
    )
    share, target = situation.signals.gc_share, situation.profile.gc_share_target
    return Apply(
        trial,
        f"GC takes {share:.1%} of the CPU, target {target:.1%}: {describe(trial)}",
    )


def describe(trial: Trial) -> str:
    """A change and its prediction in words."""
    prediction = trial.prediction
    return (
        f"{trial.change}, "
        f"predicted CPU {-prediction.cpu_saving_ratio:+.1%}, "
        f"memory up to {prediction.memory_peak_bytes / (1024 * 1024):.0f} MiB"
    )


def _resumed(trial: Trial, mode: Mode, source: SourceState, policy: Policy) -> Decision:
    """A plan that stands in the record but not in the workload."""
    if policy.dry_run or mode is not Mode.AUTO:
        reason = Reason.DRY_RUN if policy.dry_run else Reason.MODE_RECOMMEND
        return Hold(reason, f"planned before, not written: {describe(trial)}")
    if trial.reason is not Reason.ROLLBACK:
        # A rollback needs no figures to be right; anything else waits for the source.
        if source.readings is None:
            return Hold(Reason.SOURCE_UNAVAILABLE, source.trouble)
        window = policy.timing.rate_window_seconds
        warming = source_warming(source.steady_seconds, window)
        if warming is not None:
            return warming
    return Apply(trial, f"as planned: {describe(trial)}")


def _assessment(
    workload: Workload, record: Record | None, mode: Mode, answer: _Answer
) -> Assessment:
    """The answer with the record that tells it."""
    record = msgspec.structs.replace(record or _blank(mode), mode=mode)
    if answer.decision.reason not in OPERATOR_WIDE:
        record = record.decided(answer.decision)
    if answer.signals is not None:
        record = msgspec.structs.replace(record, observed=_observed(answer.signals))
    if answer.proposal is not None:
        record = msgspec.structs.replace(record, recommended=_recommended(answer.proposal))
    return Assessment(
        workload=workload,
        mode=mode,
        signals=answer.signals,
        proposal=answer.proposal,
        decision=answer.decision,
        record=record,
    )


def _blank(mode: Mode) -> Record:
    return Record(mode=mode, decision=Verb.HOLD, reason=Reason.NO_DATA, message="")


def _observed(signals: Signals) -> Observed:
    return Observed(
        at=signals.at,
        gogc="off" if math.isinf(signals.gogc) else f"{signals.gogc:g}",
        gomemlimit_bytes=_whole(signals.gomemlimit_bytes),
        gc_share=signals.gc_share,
        gc_share_source=signals.gc_share_source.value,
        live_bytes=round(signals.live_bytes),
        resident_bytes=round(signals.resident_bytes),
        cpu_cores=signals.cpu_cores,
        requests_per_second=signals.requests_per_second,
        cpu_seconds_per_request=signals.cpu_seconds_per_request,
        latency_p95_seconds=signals.latency_p95_seconds,
        latency_p99_seconds=signals.latency_p99_seconds,
        pause_ratio=signals.pause_ratio,
        pause_longest_seconds=signals.pause_longest_seconds,
        barrier_threshold=_whole(signals.barrier_threshold),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _recommended(proposal: Proposal) -> Recommended:
    return Recommended(
        gogc=proposal.target_gogc,
        cpu_saving_ratio=proposal.target_prediction.cpu_saving_ratio,
        memory_peak_bytes=proposal.target_prediction.memory_peak_bytes,
    )
