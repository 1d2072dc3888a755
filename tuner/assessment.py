"""One workload on one tick, without I/O: readings in, the decision and the next record out."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from tuner.admission import Admission, admission
from tuner.control import propose
from tuner.control.barrier import BarrierState
from tuner.control.ceiling import Memory, memory_of
from tuner.control.danger import danger_of, killed_since
from tuner.control.latency import Seen
from tuner.control.memory_limit import in_words, parse, text
from tuner.control.prediction import predict
from tuner.control.states import Advanced, States, advance_loops
from tuner.control.tier import tier_of
from tuner.guards import decide, limit_left, mode_of
from tuner.guards.alert import firing
from tuner.guards.change_window import outside_window
from tuner.guards.cooldown import cooldown_seconds, retry_seconds
from tuner.guards.in_process import memory_limit_in_process
from tuner.guards.orders import stopped
from tuner.guards.ownership import limit_is_free
from tuner.guards.resize import resizing
from tuner.guards.situation import Situation
from tuner.guards.source import source_warming
from tuner.guards.trial import trial_running
from tuner.model.decision import Apply, Decision, Hold
from tuner.model.happening import Assessment
from tuner.model.override import NONE, Override
from tuner.model.policy import ControlLaw, Policy, Profile
from tuner.model.proposal import GogcMove, Proposal
from tuner.model.reading import Quantity
from tuner.model.reason import OPERATOR_WIDE, Reason
from tuner.model.record import Observed, Recommended, Record, Verb
from tuner.model.signals import Signals
from tuner.model.trial import Change, Outcome, Phase, Setting, Trial
from tuner.model.workload import GOGC, GOMEMLIMIT, Container, Mode, Rollout, Workload
from tuner.signals import choose_container, derive
from tuner.verification import View, Windows, advance, learn_kill, level, observe, pooled
from tuner.verification.learning import ALPHA_HIGHEST, ALPHA_LOWEST

LIMIT_SINCE = 1_019_000
"""Go release that brought GOMEMLIMIT."""
_SCALED_TO_ZERO = Hold(Reason.NOT_RUNNING, "scaled to zero")


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
    alerts: frozenset[str] = frozenset()
    """Names of the firing alerts that concern the workload."""


@dataclass(frozen=True, slots=True)
class LimitAsked:
    """That GOMEMLIMIT is asked to be another than it is."""

    beside: tuple[float | None, int | None]
    """The one in force and the container's memory limit, bytes; None: none is set."""
    at: float
    """When it was first asked."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a workload from tick to tick; losing it costs time, never correctness."""

    windows: Windows = field(default_factory=Windows)
    """Rate windows observed so far."""
    states: States = field(default_factory=States)
    barrier: BarrierState = field(default_factory=BarrierState)
    limit_asked: LimitAsked | None = None


@dataclass(frozen=True, slots=True)
class Assessed:
    """The answer, and what has to be kept for the next tick."""

    assessment: Assessment
    kept: Kept
    kept_if_written: Kept
    """To be kept instead where the decision is carried out."""
    ended: Outcome | None
    """Outcome of a trial that ended on this tick."""


def assess(
    workload: Workload,
    record: Record | None,
    kept: Kept,
    source: SourceState,
    policy: Policy,
    override: Override = NONE,
) -> Assessed:
    """Decide on one workload.

    Args:
        workload: The workload as it is.
        record: Its record; None where there is none yet.
        kept: What the last tick left.
        source: What the metrics source said of it.
        policy: The operator's policy.
        override: What people have laid down for it.
    """
    mode = mode_of(workload, policy)
    if isinstance(mode, Hold) or mode is Mode.OFF:
        hold = (
            mode
            if isinstance(mode, Hold)
            else Hold(Reason.MODE_OFF, "gc-tuner leaves this workload alone")
        )
        answer = _Answer(hold)
        return Assessed(_assessment(workload, record, Mode.OFF, answer), kept, kept, None)

    tier = tier_of(workload, policy, override)
    subject = tier if isinstance(tier, Hold) else _subject(workload, record, source, policy, tier)
    signals = seen = None
    if isinstance(subject, _Subject):
        seen = subject.signals
        windows = _observed_windows(kept.windows, workload, seen, policy)
        kept = kept if windows is kept.windows else replace(kept, windows=windows)
        signals = pooled(windows.signals, seen, policy.timing, policy.trial)
        subject = subject if signals is seen else replace(subject, signals=signals)
    elif source.readings is not None:  # else it is the source that has to be steady again
        kept = replace(kept, windows=kept.windows.broken_off(source.at))
    ended = None
    if record is not None:
        view = View(
            source.at,
            workload,
            seen,
            kept.windows,
            policy,
            quantile=_any_tier(tier, policy).latency_quantile,
            warming=isinstance(subject, Hold) and subject.reason is Reason.WARMING_UP,
            profile=None if isinstance(tier, Hold) else tier,
            override=override,
        )
        progress = advance(record, view)
        record, ended = progress.record, progress.ended

    if record is not None and record.plan is not None:
        given = _Given(mode, record, source, policy, override)
        answer = _Answer(_resumed(record.plan, workload, tier, given), signals)
    elif isinstance(subject, Hold):
        trial = None if record is None else record.trial
        # Young pods are what a change of ours makes: the trial is the reason, not they.
        young = subject.reason is Reason.WARMING_UP
        answer = _Answer((trial_running(trial) if young else None) or subject)
    else:
        record = _with_kills(subject, record or _blank(mode), policy.law)
        loops = _advanced(subject, record, kept, source.at, policy)
        given = _Given(mode, record, source, policy, override)
        answer = _decided(subject, given, kept, loops)
        kept = Kept(kept.windows, loops.states, kept.barrier, answer.limit_asked)
    assessment = _assessment(workload, record, mode, answer)
    if answer.admission is None:
        return Assessed(assessment, kept, kept, ended)
    unwritten = _with_barrier(kept, answer.admission.unwritten)
    written = _with_barrier(kept, answer.admission.written)
    if workload.live is None:
        return Assessed(assessment, unwritten, written, ended)  # it rode along, if anything went
    if isinstance(answer.decision, Hold) and answer.admission.apply is not None:
        assessment = replace(assessment, decision=answer.admission.apply)
    else:
        written = unwritten
    return Assessed(assessment, unwritten, written, ended)


def _with_barrier(kept: Kept, barrier: BarrierState) -> Kept:
    return kept if barrier is kept.barrier else replace(kept, barrier=barrier)


def broken_off(
    workload: Workload, record: Record | None, policy: Policy, error: Exception
) -> Assessment:
    """The answer where a mistake of our own left the workload without one.

    Args:
        workload: The workload as it is.
        record: Its record; None where there is none yet.
        policy: The operator's policy.
        error: What the mistake led to.
    """
    mode = mode_of(workload, policy)
    hold = Hold(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
    known = Mode.OFF if isinstance(mode, Hold) else mode
    return _assessment(workload, record, known, _Answer(hold))


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is tuned: a container under a tier, with its signals."""

    workload: Workload
    container: Container
    profile: Profile
    signals: Signals
    memory: Memory


@dataclass(frozen=True, slots=True)
class _Given:
    """What a decision goes by besides its subject."""

    mode: Mode
    record: Record
    source: SourceState
    policy: Policy
    override: Override


@dataclass(frozen=True, slots=True)
class _Answer:
    decision: Decision
    signals: Signals | None = None
    proposal: Proposal | None = None
    admission: Admission | None = None
    limit_asked: LimitAsked | None = None


def _any_tier(tier: Profile | Hold, policy: Policy) -> Profile:
    """The default one where the workload's own cannot be told."""
    return policy.profiles[policy.default_profile] if isinstance(tier, Hold) else tier


def _observed_windows(
    windows: Windows, workload: Workload, signals: Signals, policy: Policy
) -> Windows:
    setting = (
        workload.uid,
        workload.template_digest,
        signals.container,
        signals.gogc,
        signals.gomemlimit_bytes,
        signals.go_version,
    )
    return observe(
        windows,
        signals,
        setting,
        ready_pods=workload.ready_replicas,
        rate_window_seconds=policy.timing.rate_window_seconds,
        keep=policy.trial.patience_windows,
    )


def _subject(
    workload: Workload,
    record: Record | None,
    source: SourceState,
    policy: Policy,
    profile: Profile,
) -> _Subject | Hold:
    if workload.replicas == 0:
        return _SCALED_TO_ZERO
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
    if Quantity.GOMEMLIMIT_BYTES not in chosen[1]:
        signals = _with_limit(signals, workload, container)
    return _Subject(workload, container, profile, signals, memory_of(workload, container))


def _with_limit(signals: Signals, workload: Workload, container: Container) -> Signals:
    """The signals with the GOMEMLIMIT of the template: no metric tells what is in force."""
    if workload.rollout is not Rollout.COMPLETE:
        return signals
    try:
        given = parse(container.literal(GOMEMLIMIT))
    except ValueError:
        return signals  # no pod can have started with it
    return replace(signals, gomemlimit_bytes=None if given is None else float(given))


def _with_kills(subject: _Subject, record: Record, law: ControlLaw) -> Record:
    """The record once a kill for memory is accounted for, by the setting it happened under."""
    at = subject.container.running.oom_killed_at
    known = record.learned
    since = max((each for each in (known.killed_at, _changed_at(record)) if each), default=None)
    # While a change is on its way, ours or others', nobody knows which pod ran with what: of ours
    # its trial tells.
    on_its_way = record.trial is not None or subject.workload.rollout is not Rollout.COMPLETE
    if (
        at is None
        or on_its_way
        or not killed_since(subject.container.running, since, subject.signals.at)
    ):
        return record
    peak = predict(subject.signals, subject.signals.gogc_effective, law).memory_peak_bytes
    learned = learn_kill(known, peak_bytes=peak, limit_bytes=subject.memory.limit_bytes, at=at)
    return msgspec.structs.replace(record, learned=learned)


def _changed_at(record: Record) -> float | None:
    """When the setting was last changed, by us or by others; a trial that ends changes none."""
    written_at = None if record.applied is None else record.applied.written_at
    times = (written_at, record.restored_at, record.reverted_at)
    return max((each for each in times if each is not None), default=None)


def _advanced(
    subject: _Subject, record: Record, kept: Kept, now: float, policy: Policy
) -> Advanced:
    signals, profile = subject.signals, subject.profile
    at_rest = record.trial is None and subject.workload.rollout is Rollout.COMPLETE
    waiting = max(
        cooldown_seconds(record, profile, now),
        retry_seconds(record, profile, policy.timing.rate_window_seconds, now),
    )
    return advance_loops(
        kept.states,
        signals,
        subject.memory,
        profile,
        Seen(
            latency_seconds=signals.latency(profile.latency_quantile),
            gc_share=signals.gc_share,
            throttled=(signals.throttled_ratio or 0.0) > policy.guards.throttled_ratio,
            shedding=(signals.barrier_refused_per_second or 0.0) > 0 or kept.barrier.offset < 0,
        ),
        may_step=at_rest and waiting <= 0,
    )


def _decided(subject: _Subject, given: _Given, kept: Kept, loops: Advanced) -> _Answer:
    signals, now = subject.signals, given.source.at
    policy = _learned(given.policy, given.record)
    profile, share = subject.profile, loops.latency.gc_share_target
    if share != profile.gc_share_target:
        profile = replace(profile, gc_share_target=share)
    killed = killed_since(subject.container.running, _changed_at(given.record), now)
    asked = _still_asked(kept.limit_asked, subject, now)
    situation = Situation(
        now=now,
        workload=subject.workload,
        container=subject.container,
        mode=given.mode,
        signals=signals,
        record=given.record,
        windows=kept.windows.signals,
        seen_seconds=kept.windows.seen_seconds(now),
        source_steady_seconds=given.source.steady_seconds,
        profile=profile,
        policy=policy,
        override=given.override,
        memory=subject.memory,
        limit_free=(signals.go_version or LIMIT_SINCE) >= LIMIT_SINCE
        and limit_is_free(subject.workload, subject.container, signals.gomemlimit_bytes),
        correction=loops.states.correction.k,
        latency=loops.latency,
        alerts=given.source.alerts,
        limit_asked_at=None if asked is None else asked.at,
    )
    if memory_limit_in_process(situation) is not None:
        situation = replace(situation, limit_free=False)
    terms = situation.terms(
        danger=danger_of(signals, subject.memory, policy.guards, killed=killed),
        limit_trusted=not killed and given.record.reverts == 0,
    )
    proposal = propose(signals, terms)
    if asked is None and proposal.memory_limit is not None:
        asked = LimitAsked(_beside(subject), now)
    if proposal.memory_limit is not None and limit_left(proposal, situation) is None:
        # GOGC must not lean on a GOMEMLIMIT that does not come.
        proposal = propose(signals, replace(terms, limit_stays=True))
    guarded = decide(proposal, situation)
    barrier = admission(situation, kept.barrier)
    if isinstance(guarded, Hold):
        return _Answer(guarded, signals, proposal, barrier, asked)
    passengers = barrier.settings if subject.workload.live is None else ()
    apply = _planned(guarded, situation, kept.windows, passengers)
    return _Answer(apply, signals, _carried(proposal, guarded), barrier, asked)


def _beside(subject: _Subject) -> tuple[float | None, int | None]:
    return subject.signals.gomemlimit_bytes, subject.memory.limit_bytes


def _still_asked(before: LimitAsked | None, subject: _Subject, now: float) -> LimitAsked | None:
    """Since when; it stays known while it is not asked for, as a service is idle now and then."""
    if before is None or before.beside != _beside(subject) or before.at > now:
        return None
    return before


def _carried(asked: Proposal, guarded: Proposal) -> Proposal:
    """What is written, and beside it what the loops ask for of a GOGC that stays."""
    return guarded if isinstance(guarded.gogc, GogcMove) else replace(guarded, gogc=asked.gogc)


def _learned(policy: Policy, record: Record) -> Policy:
    """The policy with what this workload's own trials taught of the law."""
    alpha = record.learned.alpha
    # A record may have been edited by hand.
    if alpha is None or not ALPHA_LOWEST <= alpha <= ALPHA_HIGHEST:
        return policy
    return replace(policy, law=replace(policy.law, alpha=alpha))


def _planned(
    proposal: Proposal, situation: Situation, windows: Windows, passengers: Iterable[Setting]
) -> Apply:
    container, gogc, limit = situation.container, proposal.gogc, proposal.memory_limit
    moves, prediction = [], proposal.prediction
    if isinstance(gogc, GogcMove):
        moves.append(Setting(GOGC, container.literal(GOGC), str(gogc.next_gogc)))
        prediction = gogc.prediction
    if limit is not None:
        moves.append(Setting(GOMEMLIMIT, container.literal(GOMEMLIMIT), text(limit.mib)))
    moves += passengers
    trial = Trial(
        change=Change(container.name, tuple(moves)),
        reason=proposal.reason,
        prediction=prediction,
        baseline=level(windows, situation.profile.latency_quantile) if len(windows) else None,
        template_digest=situation.workload.template_digest,
        phase=Phase.PLANNED,
        started_at=situation.now,
        phase_at=situation.now,
    )
    return Apply(trial, f"{_why(proposal, situation)}: {describe(trial)}")


def _why(proposal: Proposal, situation: Situation) -> str:
    if proposal.danger:
        return proposal.danger
    if proposal.reason is Reason.PINNED:
        return f"as {', '.join(situation.override.entries)} has it"
    if proposal.reason is Reason.MEMORY_LIMIT:
        return "GOMEMLIMIT stands behind the memory limit"
    share, target = situation.signals.gc_share, situation.profile.gc_share_target
    return f"GC takes {share:.1%} of the CPU, target {target:.1%}"


def describe(trial: Trial) -> str:
    """A change and its prediction in words."""
    prediction = trial.prediction
    return (
        f"{trial.change}, "
        f"predicted CPU {0 - prediction.cpu_saving_ratio:+.1%}, "
        f"memory up to {prediction.memory_peak_bytes / (1024 * 1024):.0f} MiB"
    )


def _resumed(trial: Trial, workload: Workload, tier: Profile | Hold, given: _Given) -> Decision:
    """A plan that stands in the record but not in the workload."""
    refusal = stopped(given.override, given.source.at)
    if refusal is not None:
        return refusal
    if given.policy.read_only is not None or given.mode is not Mode.AUTO:
        reason = given.policy.read_only or Reason.MODE_RECOMMEND
        return Hold(reason, f"planned before, not written: {describe(trial)}")
    if trial.reason is not Reason.ROLLBACK:
        # A rollback needs no figures to be right, and no good time.
        refusal = tier if isinstance(tier, Hold) else _not_now(trial, workload, given)
    return refusal or Apply(trial, f"as planned: {describe(trial)}")


def _not_now(trial: Trial, workload: Workload, given: _Given) -> Hold | None:
    """Why a plan has to wait; None where it need not."""
    source, policy = given.source, given.policy
    if workload.replicas == 0:  # nobody knows what will run when it comes back
        return _SCALED_TO_ZERO
    if source.readings is None:
        return Hold(Reason.SOURCE_UNAVAILABLE, source.trouble)
    container = workload.container(trial.change.container)
    return (
        (None if container is None else resizing(container))
        or source_warming(source.steady_seconds, policy.timing.rate_window_seconds)
        or outside_window(policy, source.at)
        or firing(source.alerts)
    )


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
        gomemlimit=in_words(signals.gomemlimit_bytes),
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
    gogc, limit = proposal.gogc, proposal.memory_limit
    prediction = gogc.target_prediction if isinstance(gogc, GogcMove) else proposal.prediction
    return Recommended(
        gogc=gogc.target_gogc if isinstance(gogc, GogcMove) else None,
        cpu_saving_ratio=prediction.cpu_saving_ratio,
        memory_peak_bytes=prediction.memory_peak_bytes,
        memory_limit=None if limit is None else text(limit.mib),
    )
