"""One step of a trial: from what is seen of the workload to the trial's next phase or its end."""

import re
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from tuner.control.gogc import gogc_of
from tuner.control.memory_limit import parse
from tuner.control.prediction import RATIO_DIGITS
from tuner.model.override import NONE, Override
from tuner.model.policy import LatencyQuantile, Policy, Profile
from tuner.model.reason import Reason
from tuner.model.record import Applied, Record, applied
from tuner.model.signals import Signals
from tuner.model.trial import Change, Level, Outcome, Phase, Setting, Trial, Verdict
from tuner.model.tuning import Prediction
from tuner.model.workload import GOGC, GOMEMLIMIT, Kind, Rollout, Workload
from tuner.verification.allowed import disallowed
from tuner.verification.learning import learn, learn_kill
from tuner.verification.verdict import (
    MEMORY_SAFETY,
    Judgement,
    comparable,
    errors_broke_out,
    judge,
    latency_change,
)
from tuner.verification.windows import Windows, lacks_a_pod, level

KEPT = frozenset({Reason.PINNED, Reason.DANGER})
"""Reasons whose changes are judged but never taken back: people's word, and memory safety."""
RESTARTS_TOLERATED = 1
"""A probe that failed once is chance. Pods that restarted all the time before would never have
come to a baseline."""
FRESH_STARTS = 3
"""How often a trial begins anew because the number of pods moved."""
TAKE_UP_SECONDS = 300.0
"""How long the pods may take to show what was written on the live channel; a kubelet refreshes a
mounted ConfigMap within 90 s."""
ROLLOUT_SECONDS_PER_POD = 3600.0
"""How long a StatefulSet may take to replace a pod: it knows no deadline, and goes no further than
one that does not become ready. Databases that replay their logs take a while."""
STOOD_SECONDS = 86400.0
"""A value that was taken away after as long as this was accepted once."""
_WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Progress:
    """A record after one step of its trial."""

    record: Record
    ended: Outcome | None = None
    """The outcome, where the trial came to its end on this step."""


@dataclass(frozen=True, slots=True)
class View:
    """What is seen of a workload on one tick."""

    now: float
    workload: Workload
    signals: Signals | None
    """None while there are none that may be believed."""
    windows: Windows
    """Rate windows observed at the present setting."""
    policy: Policy
    quantile: LatencyQuantile = LatencyQuantile.P95
    """Of latency, that the tier's objective means; a trial keeps to that of its baseline."""
    warming: bool = False
    """Whether there are no signals because every pod is young."""
    profile: Profile | None = None
    """The tier, with what people laid down; None where it cannot be told."""
    override: Override = NONE
    """What people laid down."""


def advance(record: Record, view: View) -> Progress:
    """Compare record and workload, and move the record's trial on."""
    if record.plan is not None:
        return _planned(record, record.plan, view)
    trial = record.trial
    if record.applied is not None and _taken_away(record.applied, view.workload):
        return _reverted(record, record.applied, view.workload, view.now)
    if trial is None:
        return _never_old(record, view) or Progress(record)
    return _under_way(record, trial, view)


def _under_way(record: Record, trial: Trial, view: View) -> Progress:
    if view.workload.template_digest != trial.template_digest:
        judgement = Judgement(Verdict.VOID, "the pod template changed", None)
        return _end(record, trial, view.now, judgement)
    harmed = _killed(record, trial, view)
    if harmed is not None:
        return harmed
    if trial.phase is Phase.ROLLING_OUT:
        return _rolling_out(record, trial, view)
    if view.signals is None:
        return _unseen(record, trial, view)
    if trial.phase is Phase.SETTLING:
        return _settling(record, trial, view, view.signals)
    return _measuring(record, trial, view, view.signals)


def _killed(record: Record, trial: Trial, view: View) -> Progress | None:
    """The end of a trial in which the kernel killed for memory, or the new pods crash."""
    container = view.workload.container(trial.change.container)
    if trial.reason is Reason.ROLLBACK or container is None:
        return None
    running = container.running
    # Of pods that are about to be replaced, a kill is what the change was for; those of the new
    # ones are still told of once it is complete.
    replaced = (
        trial.phase is Phase.ROLLING_OUT
        and trial.reason in MEMORY_SAFETY
        and view.workload.live is None
    )
    killed_at = running.oom_killed_at
    if killed_at is not None and killed_at > trial.started_at and not replaced:
        judgement = Judgement(Verdict.REGRESSED, "the kernel killed it for its memory", None)
        learned = learn_kill(
            record.learned,
            peak_bytes=trial.prediction.memory_peak_bytes,
            limit_bytes=running.memory_limit_bytes or container.memory_limit_bytes,
            at=killed_at,
        )
        record = msgspec.structs.replace(record, learned=learned)
        back = _down(trial.change)
        if trial.reason is Reason.GC_COST and back.settings:
            return _take_back(record, trial, view.now, judgement, None, back=back)
        # What stood there before takes no less memory: the next step goes down, not back.
        return _end(record, trial, view.now, judgement)
    if trial.reason in KEPT:
        return None
    words = "its pods crash" if running.crashing_pods else ""
    if trial.phase in {Phase.SETTLING, Phase.MEASURING}:
        restarts = running.restarts - trial.restarts
        words = words or (f"{restarts} restarts" if restarts > RESTARTS_TOLERATED else "")
    if not words:
        return None
    judgement = Judgement(Verdict.REGRESSED, words, None)
    return _take_back(record, trial, view.now, judgement, None)


def _down(change: Change) -> Change:
    """What undoes a change, without the part that would give the heap more room after a kill."""
    back = change.back
    moves = tuple(each for each in back.settings if each.name != GOMEMLIMIT or _tightens(each))
    return Change(back.container, moves)


def _tightens(limit: Setting) -> bool:
    try:
        before, after = parse(limit.before), parse(limit.after)
    except ValueError:  # a record that was edited by hand
        return False
    return after is not None and (before is None or after < before)


def _never_old(record: Record, view: View) -> Progress | None:
    """The way back where the kernel kills all pods before they are old enough to be seen.

    Outside of a trial that is no change's doing, such as a memory limit that was lowered under what
    we have set; but nobody would ever see figures to mend it by.
    """
    known, lost_at = record.applied, view.windows.lost_at
    container = None if known is None else view.workload.container(known.container)
    if known is None or container is None or lost_at is None or not view.warming:
        return None
    running = container.running
    killed_at = running.oom_killed_at
    killed = killed_at is not None and killed_at > known.written_at
    if not killed or running.restarts <= RESTARTS_TOLERATED:
        return None
    if view.now - max(lost_at, known.written_at) <= _patience_seconds(view.policy):
        return None
    written = (Setting(each.name, each.prior, each.value) for each in known.settings)
    back = _down(Change(known.container, tuple(filter(_raised, written))))
    if not back.settings:
        return None
    nothing = Prediction(cpu_saving_ratio=0.0, memory_peak_bytes=0)
    rollback = _rollback(back, nothing, view.workload.template_digest, view.now)
    return Progress(_with(record, rollback))


def _raised(setting: Setting) -> bool:
    """Whether a value leaves the heap more room than the one before."""
    if setting.name == GOGC:
        return gogc_of(setting.after) > gogc_of(setting.before)
    return setting.name == GOMEMLIMIT


def _patience_seconds(policy: Policy) -> float:
    """How long pods that come up may be too young to be seen and judged."""
    timing = policy.timing
    growing_up = timing.warm_up_seconds + timing.rate_window_seconds
    return growing_up + policy.trial.windows * timing.rate_window_seconds


def _unseen(record: Record, trial: Trial, view: View) -> Progress:
    """No signals: a source or a scrape that fails is waited out, pods that never grow old are not.

    After a change of ours, pods that are all young for longer than it takes to judge them keep
    being killed or crash; no signals will ever tell.
    """
    seen = view.windows.signals[-1].at if view.windows.signals else trial.phase_at
    if not view.warming or view.now - max(seen, trial.phase_at) <= _patience_seconds(view.policy):
        return Progress(record)
    judgement = Judgement(Verdict.REGRESSED, "the pods restart again and again", None)
    return _harmed(record, trial, view.now, judgement)


def patched(record: Record, trial: Trial, now: float) -> Record:
    """The record once the workload is known to carry the trial's value."""
    return msgspec.structs.replace(
        record,
        applied=applied(record.applied, trial.change, now),
        trial=_at(trial, Phase.ROLLING_OUT, now),
    )


def found_patched(record: Record, trial: Trial, workload: Workload, now: float) -> Record | None:
    """The record once the workload is found to carry the trial's values, or a part of them.

    Where an admission webhook made something else of a part, the trial goes on with the moves that
    stand; what became of the others is not ours.

    Returns:
        None where no move stands.
    """
    container = workload.container(trial.change.container)
    moves = trial.change.settings
    if container is not None and all(container.literal(each.name) == each.after for each in moves):
        return patched(record, trial, now)
    standing = _standing(trial.change, workload)
    if standing is None:
        return None
    lost = {each.name for each in moves if standing.of(each.name) is None}
    record = msgspec.structs.replace(record, applied=_without(record.applied, lost))
    return patched(record, msgspec.structs.replace(trial, change=standing), now)


def _without(applied: Applied | None, names: Collection[str]) -> Applied | None:
    if applied is None:
        return None
    left = tuple(each for each in applied.settings if each.name not in names)
    return msgspec.structs.replace(applied, settings=left) if left else None


def abandoned(record: Record, trial: Trial, workload: Workload, now: float, why: str) -> Progress:
    """The record after a plan that is given up; what of it stands all the same is ours."""
    standing = _standing(trial.change, workload)
    if standing is None:
        return _end(record, trial, now, Judgement(Verdict.VOID, f"not written: {why}", None))
    record = msgspec.structs.replace(record, applied=applied(record.applied, standing, now))
    words = f"{why}; written before: {standing}"
    return _end(record, trial, now, Judgement(Verdict.VOID, words, None))


def cut_short(record: Record, workload: Workload, now: float, why: str) -> Record:
    """The record without the trial that is under way, what of it stands on record as ours."""
    trial = record.trial
    if trial is None:
        return record
    if record.plan is not None:
        return abandoned(record, record.plan, workload, now, why).record
    return _end(record, trial, now, Judgement(Verdict.VOID, why, None)).record


def _planned(record: Record, trial: Trial, view: View) -> Progress:
    """A plan found in the record: its write was cut short, and may or may not have happened."""
    now, workload = view.now, view.workload
    # What is in force is on record before all else; a template that changed since ends it later.
    found = found_patched(record, trial, workload, now)
    if found is not None:
        return Progress(found)
    container = workload.container(trial.change.container)
    if container is None or workload.template_digest != trial.template_digest:
        return abandoned(record, trial, workload, now, "the pod template changed")
    for each in trial.change.settings:
        if container.literal(each.name) != each.before:
            why = f"{each.name} was changed by someone else"
            return abandoned(record, trial, workload, now, why)
    if view.profile is not None:
        why = disallowed(trial, workload, view.profile, view.override)
        if why:
            return abandoned(record, trial, workload, now, why)
    expires = trial.reason is not Reason.ROLLBACK  # harm does not pass with time
    if expires and now - trial.started_at > view.policy.timing.plan_lifetime_seconds:
        return abandoned(record, trial, workload, now, "the plan is too old")
    return Progress(record)


def _standing(change: Change, workload: Workload) -> Change | None:
    """The moves of a change that were made in our name; None where none was."""
    container = workload.container(change.container)
    if container is None:
        return None
    moves = tuple(
        each
        for each in change.settings
        if container.ours(each.name, each.after)
        or (each.after is None and each.before is not None and each.name not in container.env)
    )
    return Change(change.container, moves) if moves else None


def _taken_away(applied: Applied, workload: Workload) -> Collection[str]:
    """Names of what gc-tuner has put there and what does not stand there any more."""
    container = workload.container(applied.container)
    return {
        each.name
        for each in applied.settings
        if container is None or container.literal(each.name) != each.value
    }


def _reverted(record: Record, written: Applied, workload: Workload, now: float) -> Progress:
    """What still stands is ours as before, and to be taken back some day."""
    again = now - written.written_at < STOOD_SECONDS
    reverts = record.reverts + 1 if again else 1
    left = _without(written, _taken_away(written, workload))
    record = msgspec.structs.replace(record, applied=left, reverted_at=now, reverts=reverts)
    if record.trial is None:
        return Progress(record)
    judgement = Judgement(Verdict.VOID, "someone else took gc-tuner's value away", None)
    return _end(record, record.trial, now, judgement)


def _rolling_out(record: Record, trial: Trial, view: View) -> Progress:
    rollback = trial.reason is Reason.ROLLBACK
    if view.workload.live is not None and not rollback:
        return _taken_up(record, trial, view)
    if view.workload.rollout is Rollout.COMPLETE:
        if rollback:
            return Progress(msgspec.structs.replace(record, trial=None, restored_at=view.now))
        return Progress(_with(record, _complete(trial, view)))
    failing = view.workload.rollout is Rollout.FAILING or _stuck(trial, view)
    if failing and not rollback:
        judgement = Judgement(Verdict.REGRESSED, "the rollout passed its progress deadline", None)
        return _harmed(record, trial, view.now, judgement)
    return Progress(record)


def _stuck(trial: Trial, view: View) -> bool:
    """Whether the pods of a StatefulSet are not replaced, and will not be."""
    workload = view.workload
    patience = ROLLOUT_SECONDS_PER_POD * max(workload.replicas, 1)
    return (
        workload.key.kind is Kind.STATEFUL_SET
        and workload.rollout is Rollout.IN_PROGRESS
        and view.now - trial.phase_at > patience
    )


def _complete(trial: Trial, view: View) -> Trial:
    """The trial once all pods run with the change."""
    container = view.workload.container(trial.change.container)
    restarts = 0 if container is None else container.running.restarts
    trial = msgspec.structs.replace(trial, restarts=restarts)
    return _at(trial, Phase.SETTLING, view.now)


def _taken_up(record: Record, trial: Trial, view: View) -> Progress:
    """On the live channel no pod restarts: a change is in force when the pods say so."""
    if view.signals is not None and all(
        in_force(view.signals, each) for each in trial.change.settings
    ):
        return Progress(_with(record, _complete(trial, view)))
    if view.now - trial.phase_at > TAKE_UP_SECONDS:
        judgement = Judgement(Verdict.VOID, "the pods do not take the values up", None)
        return _end(record, trial, view.now, judgement)
    return Progress(record)


def in_force(signals: Signals, move: Setting) -> bool:
    """Whether the pods run with what a setting was written as; True where it cannot be told."""
    if move.name == GOGC:
        return (
            move.after is None
            or _WHOLE.fullmatch(move.after) is None
            or (signals.gogc_uniform and signals.gogc == int(move.after))
        )
    if move.name == GOMEMLIMIT:
        try:
            return parse(move.after) == signals.gomemlimit_bytes
        except ValueError:  # a record that was edited by hand
            return True
    return True


def _settling(record: Record, trial: Trial, view: View, signals: Signals) -> Progress:
    passed = view.now - trial.phase_at
    timing = view.policy.timing
    warm_up = timing.warm_up_seconds if view.workload.live is None else 0.0
    rested = passed >= warm_up + timing.rate_window_seconds
    cycled = signals.cycles_per_second * passed >= view.policy.trial.settle_cycles
    everyone = signals.pods_young == 0 and signals.pods >= view.workload.ready_replicas
    if rested and cycled and everyone:
        trial = msgspec.structs.replace(trial, pods=signals.pods)
        return Progress(_with(record, _at(trial, Phase.MEASURING, view.now)))
    rules = view.policy.trial
    if passed > warm_up + rules.patience_windows * timing.rate_window_seconds:
        few = f"fewer than {rules.settle_cycles} GC cycles per pod: too few to judge"
        why = few if everyone else "some pods never grew old enough to be measured"
        judgement = Judgement(Verdict.INCONCLUSIVE, why, None)
        return _end(record, trial, view.now, judgement)
    return Progress(record)


def _measuring(record: Record, trial: Trial, view: View, signals: Signals) -> Progress:
    rules, window = view.policy.trial, view.policy.timing.rate_window_seconds
    if signals.pods != trial.pods:
        if lacks_a_pod(view.windows, signals, view.workload.ready_replicas, window):
            return Progress(record)
        return _pods_moved(record, trial, view, signals)
    seen = tuple(each for each in view.windows.signals if each.at > trial.phase_at)
    impatient = view.now - trial.phase_at > rules.patience_windows * window
    before = trial.baseline
    why = "no rate window could be observed"
    if seen and before is not None:
        # The tier may have become another one since: two quantiles are no two sides.
        quantile = before.latency_quantile or view.quantile
        after = level(Windows(view.windows.setting, seen), quantile)
        requests = after.requests_per_second
        counted = None if requests is None else requests * len(seen) * window
        if len(seen) < rules.windows or (counted is not None and counted < rules.requests):
            why = f"{len(seen)} rate windows with {counted or 0:.0f} requests are too few"
        elif comparable(before, after, rules) or errors_broke_out(before, after, rules):
            judgement = judge(trial, before, after, rules)
            if judgement.verdict is Verdict.INCONCLUSIVE and not impatient:
                return Progress(record)
            return _judged(record, trial, before, after, judgement, view)
        else:
            why = "the load moved"
    if impatient:
        judgement = Judgement(Verdict.INCONCLUSIVE, why, None)
        return _end(record, trial, view.now, judgement)
    return Progress(record)


def _pods_moved(record: Record, trial: Trial, view: View, signals: Signals) -> Progress:
    """The same load over more or fewer pods is another experiment: it begins anew, not for ever."""
    if trial.fresh_starts == FRESH_STARTS:
        judgement = Judgement(Verdict.VOID, "the number of pods moved again and again", None)
        return _end(record, trial, view.now, judgement)
    again = msgspec.structs.replace(
        trial, pods=signals.pods, fresh_starts=trial.fresh_starts + 1, phase_at=view.now
    )
    return Progress(_with(record, again))


def _judged(
    record: Record,
    trial: Trial,
    before: Level,
    after: Level,
    judgement: Judgement,
    view: View,
) -> Progress:
    rules, law = view.policy.trial, view.policy.law
    # A fall that people ordered costs CPU, as the law says. What errors cost says nothing of GC.
    ordered = trial.reason in KEPT and judgement.saving_ratio is not None
    if judgement.verdict is not Verdict.REGRESSED or ordered:
        prior = law.cost_seconds_per_byte
        learned = learn(record.learned, before, after, rules, prior_cost=prior)
        record = msgspec.structs.replace(record, learned=learned)
    if trial.reason in KEPT:
        return _end(record, trial, view.now, judgement, after)
    if judgement.verdict is Verdict.REGRESSED and not trial.suspected:
        again = msgspec.structs.replace(trial, suspected=True, phase_at=view.now)
        return Progress(_with(record, again))
    if judgement.verdict is Verdict.REGRESSED:
        return _take_back(record, trial, view.now, judgement, after)
    return _end(record, trial, view.now, judgement, after)


def _harmed(record: Record, trial: Trial, now: float, judgement: Judgement) -> Progress:
    """The end of a trial whose pods do not come up: taken back, unless it has to be kept."""
    if trial.reason in KEPT:
        return _end(record, trial, now, judgement)
    return _take_back(record, trial, now, judgement, None)


def _take_back(
    record: Record,
    trial: Trial,
    now: float,
    judgement: Judgement,
    after: Level | None,
    *,
    back: Change | None = None,
) -> Progress:
    """End the trial and plan the exact prior entries in its place, or what is given of them."""
    ended = _end(record, trial, now, judgement, after)
    prediction = Prediction(
        cpu_saving_ratio=-(_shown(judgement.saving_ratio) or 0.0),
        memory_peak_bytes=trial.baseline.resident_bytes if trial.baseline is not None else 0,
    )
    change = trial.change.back if back is None else back
    rollback = _rollback(change, prediction, trial.template_digest, now)
    return Progress(_with(ended.record, rollback), ended.ended)


def _rollback(change: Change, prediction: Prediction, template_digest: str, now: float) -> Trial:
    return Trial(
        change=change,
        reason=Reason.ROLLBACK,
        prediction=prediction,
        baseline=None,
        template_digest=template_digest,
        phase=Phase.PLANNED,
        started_at=now,
        phase_at=now,
    )


def _end(
    record: Record, trial: Trial, now: float, judgement: Judgement, after: Level | None = None
) -> Progress:
    outcome = Outcome(
        at=now,
        change=trial.change,
        reason=trial.reason,
        verdict=judgement.verdict,
        detail=judgement.detail,
        predicted_saving_ratio=trial.prediction.cpu_saving_ratio,
        measured_saving_ratio=_shown(judgement.saving_ratio),
        requests_per_second=after.requests_per_second if after is not None else None,
        live_bytes=after.live_bytes if after is not None else None,
        predicted_peak_bytes=trial.prediction.memory_peak_bytes,
        measured_peak_bytes=after.resident_bytes if after is not None else None,
        latency_change_ratio=_shown(latency_change(trial.baseline, after)),
    )
    record = record.ended(outcome)
    return Progress(record, outcome)


def _shown(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, RATIO_DIGITS)


def _at(trial: Trial, phase: Phase, now: float) -> Trial:
    return msgspec.structs.replace(trial, phase=phase, phase_at=now)


def _with(record: Record, trial: Trial) -> Record:
    return msgspec.structs.replace(record, trial=trial)
