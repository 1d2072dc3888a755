"""The tick: samples -> signals -> proposal -> guards -> decision -> actuation -> verification."""

import time
from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, cast

import msgspec

from tuner.assessment import Assessed, Kept, SourceState, assess, broken_off, describe
from tuner.election import Alone
from tuner.errors import (
    ClusterError,
    ConflictError,
    GoneError,
    NotLeadingError,
    RefusedError,
    SourceError,
    UnavailableError,
)
from tuner.guards.fleet import admit
from tuner.guards.freshness import objection_to
from tuner.guards.mode import concerns, mode_of
from tuner.guards.orders import stopped
from tuner.model.decision import Apply, Decision, Hold
from tuner.model.happening import (
    Assessment,
    ChangeWritten,
    Happening,
    HoldBegan,
    OverridesMoved,
    PhaseReached,
    SourceFound,
    SourceLost,
    TickEnded,
    TickFailed,
    TrialEnded,
    WorkloadFailed,
    WriteFailed,
)
from tuner.model.override import NONE, Override
from tuner.model.policy import Policy
from tuner.model.reading import FleetReadings
from tuner.model.reason import OPERATOR_WIDE, Reason
from tuner.model.record import Barrier, Record, Sighting, meaning_changed
from tuner.model.trial import Outcome, Trial
from tuner.model.workload import BARRIER, LiveChannel, Mode, Rollout, Workload, WorkloadKey
from tuner.ports import (
    Actuator,
    AlteredError,
    Inventory,
    Leadership,
    MetricsSource,
    Observer,
    Overrides,
    Records,
)
from tuner.verification import Windows, abandoned, found_patched, patched

WRITE_ATTEMPTS = 3
"""How often a change is tried anew on a workload that moves under our hands."""

RECORDS_PER_TICK = 300
"""So many records are written on one tick before those of workloads that nothing was done to wait
for the next: a fleet that is seen for the first time would hold the loop up for minutes."""

ON_ITS_WAY_SECONDS = 300.0
"""No request is on its way for longer: connections, proxies and the API server give up before."""

_Told = TypeVar("_Told", bound=Happening)
_Done = TypeVar("_Done")


@dataclass(slots=True)
class _Seen:
    """What is remembered of a workload between ticks; losing it costs time, never correctness."""

    kept: Kept = field(default_factory=Kept)
    kept_if_written: Kept = field(default_factory=Kept)
    """Instead of kept, once the decision of this tick is carried out."""
    answered: Workload | None = None
    """The API server's own last answer: newer than a view that lags behind it."""
    unsaved_since: float | None = None
    """Since when the record in the cluster has meant something else than ours does."""
    ended: Outcome | None = None
    """Outcome of a trial that is told of once it is on record."""
    override: Override = NONE
    """What people had last laid down."""
    withdrawn: bool = False
    """Whether nothing that was sent before can be written any more."""
    given_up_at: float | None = None
    """Since when the plan on record, which may be on its way, is not sent any more."""
    term: int | None = None
    """Of our leadership over its namespace on this tick; None: another replica may write to it."""

    def entering(self, term: int | None) -> "_Seen":
        """What is left of it when leadership changes: what was observed, not what was thought.

        The loops begin at what is in force, as in a new process, and what would have been written
        was not.
        """
        if term == self.term:
            return self
        return _Seen(kept=Kept(windows=self.kept.windows), term=term)


class Loop:
    """Runs ticks over all workloads. Single-threaded; call ``tick`` from one thread only."""

    def __init__(  # noqa: PLR0913 - the ports are what they are
        self,
        *,
        source: MetricsSource,
        inventory: Inventory,
        records: Records,
        actuator: Actuator,
        observers: Sequence[Observer],
        policy: Policy,
        overrides: Overrides,
        leadership: Leadership | None = None,
        revised: Callable[[float], Policy | None] = lambda _: None,
    ) -> None:
        """Take the ports; no I/O before the first tick.

        Args:
            source: Where the figures come from.
            inventory: The workloads.
            records: The cluster's memory of each.
            actuator: What changes them.
            observers: Whom to tell.
            policy: What the core is told, to begin with.
            overrides: What people have laid down.
            leadership: Where this replica may write; None: it is alone.
            revised: Asked at the beginning of each tick for the policy from there on; None: it
                stays. What is remembered of the workloads stays in any case.
        """
        self._source = source
        self._inventory = inventory
        self._records = records
        self._actuator = actuator
        self._observers = observers
        self._policy = policy
        self._standby = replace(policy, standby=True)
        self._leadership = leadership or Alone()
        self._overrides = overrides
        self._revised = revised
        self._seen: dict[WorkloadKey, _Seen] = defaultdict(_Seen)
        self._steady_since: float | None = None
        self._lost_since: float | None = None
        self._stored: MutableMapping[WorkloadKey, Record] = {}
        self._records_left = RECORDS_PER_TICK
        self._alerts: Mapping[str, frozenset[str]] = {}

    def tick(self, now: float) -> TickEnded | TickFailed:
        """Give every workload its decision, and carry out those that are Apply.

        Args:
            now: The time, seconds since the Unix epoch.
        """
        began = time.perf_counter()
        self._policy = self._revised(now) or self._policy
        self._standby = replace(self._policy, standby=True)
        self._leadership.begin()
        try:
            fleet, records = self._inventory.workloads(), self._records.all()
            # What this tick saves lies over what it began with; the view may go away under it.
            self._stored = ChainMap({}, cast("MutableMapping[WorkloadKey, Record]", records))
        except UnavailableError as error:
            return self._tell(TickFailed(now, str(error)))
        readings, trouble = self._read(now)
        assessments: dict[WorkloadKey, Assessment] = {}
        for workload in self._ours(fleet, records, readings):
            key = workload.key
            of_workload = None if readings is None else readings.get(key, {})
            alerts = self._alerts.get(key.namespace, frozenset()) | self._alerts.get(
                "", frozenset()
            )
            state = SourceState(now, of_workload, self._steady(now), trouble, alerts)
            step = partial(self._assess, workload, records.get(key), state)
            assessments[key] = self._apart(step, workload, records.get(key), now)
        for key, refusal in admit(assessments, self._policy.guards).items():
            assessments[key] = _held(assessments[key], refusal)
        self._records_left = RECORDS_PER_TICK
        for key, assessment in sorted(assessments.items(), key=_changes_first):
            step = partial(self._act, assessment, records.get(key), now)
            assessments[key] = self._apart(step, assessment.workload, records.get(key), now)
        # A workload that cannot be seen for a moment has its record all the same.
        for gone in self._seen.keys() - assessments.keys() - records.keys():
            del self._seen[gone]
        return self._tell(TickEnded(now, time.perf_counter() - began, assessments))

    def _apart(
        self,
        step: Callable[[], Assessment],
        workload: Workload,
        record: Record | None,
        now: float,
    ) -> Assessment:
        """One workload's part of a tick: a mistake of our own in it holds that workload alone.

        What was written ahead stays on record, so that nothing done is forgotten.
        """
        try:
            return step()
        except Exception as error:  # noqa: BLE001 - a mistake can be any, and the others go on
            self._tell(WorkloadFailed(now, workload.key, error))
            return broken_off(workload, record, self._policy, error)

    def _read(self, now: float) -> tuple[FleetReadings | None, str]:
        """Figures by workload, or None and why there are none."""
        try:
            readings = self._source.read(now)
        except SourceError as error:
            if self._lost_since is None:
                self._lost_since = now
                self._tell(SourceLost(now, error.cause, str(error)))
            self._steady_since = None
            return None, str(error)
        if self._lost_since is not None:
            self._tell(SourceFound(now, now - self._lost_since))
            self._lost_since = None
        if self._steady_since is None:
            self._steady_since = now
        self._alerts = readings.alerts
        return readings.by_workload, ""

    def _steady(self, now: float) -> float:
        if self._steady_since is None:
            return 0.0
        # A clock that was set back must not hold everything until it has caught up.
        self._steady_since = min(self._steady_since, now)
        return now - self._steady_since

    def _ours(
        self,
        fleet: Mapping[WorkloadKey, Workload],
        records: Mapping[WorkloadKey, Record],
        readings: FleetReadings | None,
    ) -> Iterable[Workload]:
        """Those that gc-tuner decides on."""
        for key, workload in fleet.items():
            known = key in self._seen if readings is None else key in readings
            if concerns(workload, self._policy, recorded=key in records, known=known):
                yield workload

    def _newest(self, view: Workload) -> Workload:
        """The view, or the API server's own last answer while the view lags behind it."""
        answered = self._seen[view.key].answered
        if answered is None or answered.uid != view.uid or not _behind(view, answered):
            self._seen[view.key].answered = None
            return view
        return _as_seen(answered, view)

    def _assess(self, view: Workload, record: Record | None, source: SourceState) -> Assessment:
        seen = self._seen[view.key].entering(self._leadership.term(view.key.namespace))
        self._seen[view.key] = seen
        workload, policy = self._newest(view), self._policy_in(seen.term)
        sightings = () if record is None else record.sightings
        first_seen = {each.entry: each.seen_at for each in sightings}
        resolved = self._overrides.of(workload.key, source.at, first_seen)
        self._tell_orders(workload, resolved.override, source.at)
        assessed: Assessed = assess(workload, record, seen.kept, source, policy, resolved.override)
        seen.kept, seen.kept_if_written = assessed.kept, assessed.kept_if_written
        seen.ended = assessed.ended or seen.ended
        trial = assessed.assessment.record.trial
        if trial is not None and seen.term is not None and _moved(record, trial):
            self._tell(PhaseReached(source.at, workload, trial))
        return _sighted(assessed.assessment, resolved.first_seen)

    def _tell_orders(self, workload: Workload, override: Override, now: float) -> None:
        """Tell of overrides that took the workload, or released it; only a leader is heard."""
        seen = self._seen[workload.key]
        if seen.term is None:
            return
        before, after = seen.override.entries, override.entries
        seen.override = override
        if before != after:
            taken = tuple(name for name in after if name not in before)
            released = tuple(name for name in before if name not in after)
            self._tell(OverridesMoved(now, workload, override, taken, released))

    def _act(self, assessment: Assessment, stored: Record | None, now: float) -> Assessment:
        """Carry out the decision and keep the record; one workload's trouble stays its own."""
        workload = assessment.workload
        term = self._leadership.term(workload.key.namespace)
        if term is None or term != self._seen[workload.key].term:
            return _held_back(assessment, _STANDING_BY)
        if stored is None or stored.plan is None:
            self._seen[workload.key].given_up_at = None  # the plan that was, if any, has arrived
        if stored is not None and _forgets_plan(stored, assessment.record):
            assessment = self._given_up(assessment, stored, now)
        decision = assessment.decision
        if isinstance(decision, Apply) and decision.barrier_alone:
            assessment = self._set_barrier(assessment, decision, now)
        elif isinstance(decision, Apply):
            assessment = self._carry_out(assessment, decision, now)
        seen, unsaved = self._seen[workload.key], self._worth_keeping(assessment, now)
        if unsaved and self._save(assessment, now):
            seen.unsaved_since, unsaved = None, False
            if isinstance(assessment.decision, Hold) and _new_reason(stored, assessment.decision):
                self._tell(HoldBegan(now, workload, assessment.decision))
        if not unsaved:
            self._tell_ended(workload, now)
        self._clear_cause(assessment, now)
        return assessment

    def _worth_keeping(self, assessment: Assessment, now: float) -> bool:
        """Whether the record has to be written now.

        What was done is written at once. A reason or a recommendation is written once it has
        differed for a whole rate window: figures near a threshold would otherwise write every tick.
        It can wait for its turn, as the first record of a workload can.
        """
        key, record = assessment.workload.key, assessment.record
        seen, stored = self._seen[key], self._stored.get(key)
        if stored is None:
            of_all = assessment.decision.reason in OPERATOR_WIDE
            return not of_all and (not record.blank or self._records_left > 0)
        if not meaning_changed(stored, record):
            seen.unsaved_since = None
            return False
        if seen.unsaved_since is None:
            seen.unsaved_since = now
        if record.done != stored.done:
            return True
        settled = now - seen.unsaved_since >= self._policy.timing.rate_window_seconds
        return settled and self._records_left > 0

    def _policy_in(self, term: int | None) -> Policy:
        return self._standby if term is None else self._policy

    def _carry_out(self, assessment: Assessment, decision: Apply, now: float) -> Assessment:
        """Write ahead, patch, and say what became of it."""
        key, trial = assessment.workload.key, decision.trial
        record = msgspec.structs.replace(assessment.record, trial=trial)
        assessment = replace(assessment, record=record)
        if meaning_changed(self._stored.get(key), record) and not self._save(assessment, now):
            hold = Hold(Reason.CLUSTER_UNAVAILABLE, "the plan could not be written ahead")
            return _held(assessment, hold)
        if self._seen[key].given_up_at is not None:
            return self._drop(assessment, _GIVEN_UP, now)
        try:
            written = self._write(assessment.workload, trial)
        except ClusterError as error:
            return self._unwritten(assessment, trial, error, now)
        if isinstance(written, Hold):
            return self._drop(assessment, written, now)
        self._changed(written, trial, now)
        return replace(assessment, workload=written, record=patched(record, trial, now))

    def _changed(self, answer: Workload, trial: Trial, now: float) -> None:
        """A change took effect: what was observed before is of another setting."""
        seen = self._seen[answer.key]
        seen.answered, seen.kept = answer, replace(seen.kept_if_written, windows=Windows())
        self._tell(ChangeWritten(now, answer, trial))

    def _set_barrier(self, assessment: Assessment, decision: Apply, now: float) -> Assessment:
        """Write a barrier threshold; what stood there before our first one is kept on record.

        There is no trial: the loop sees within a minute what it did.
        """
        key, trial = assessment.workload.key, decision.trial
        move = trial.change.of(BARRIER)
        assert move is not None  # noqa: S101  # what brought us here
        assert move.after is not None  # noqa: S101  # thresholds are set, never removed
        known = assessment.record.barrier
        prior = move.before if known is None else known.prior
        record = msgspec.structs.replace(
            assessment.record, barrier=Barrier(int(move.after), prior, now)
        )
        if known is None and not self._save(replace(assessment, record=record), now):
            hold = Hold(Reason.CLUSTER_UNAVAILABLE, "what stood there could not be written ahead")
            return replace(assessment, decision=hold)
        try:
            written = self._write(assessment.workload, trial)
        except ClusterError as error:
            self._tell_failed(now, key, "workload", error)
            if isinstance(error, AlteredError):
                self._seen[key].answered = error.answer
            # Something may stand there: what stood there before is right in any case.
            return replace(assessment, record=record, decision=_hold_for(error))
        if isinstance(written, Hold):
            return replace(assessment, decision=written)
        seen = self._seen[key]
        seen.answered, seen.kept = written, seen.kept_if_written
        self._tell(ChangeWritten(now, written, trial))
        return replace(assessment, workload=written, record=record)

    def _unwritten(
        self, assessment: Assessment, trial: Trial, error: ClusterError, now: float
    ) -> Assessment:
        """Hold after a write that failed; the plan stays on record where there is reason to."""
        self._tell_failed(now, assessment.workload.key, "workload", error)
        hold = _hold_for(error)
        if isinstance(error, AlteredError):
            self._seen[assessment.workload.key].answered = error.answer
            record = found_patched(assessment.record, trial, error.answer, now)
            if record is not None and record.trial is not None:
                self._changed(error.answer, record.trial, now)
                return _held(replace(assessment, record=record), hold)
        if hold.reason in {Reason.CLUSTER_UNAVAILABLE, Reason.STANDBY}:
            # Whether it was written is not known: the plan lets the next tick see.
            return _held(assessment, hold)
        if trial.reason is Reason.ROLLBACK and not isinstance(error, GoneError):
            return _held(assessment, hold)  # harm is not given up on: tried again next tick
        return self._drop(assessment, hold, now)

    def _write(self, decided_on: Workload, trial: Trial) -> Workload | Hold:
        """Read afresh, look again, patch at that version; anew when it moved in between.

        Raises:
            ConflictError: It moved under each attempt; nothing was written.
            ClusterError: It was not written, or it is not known whether it was.
        """

        def write(fresh: Workload) -> Workload | Hold:
            objection = objection_to(trial, fresh, decided_on)
            if objection is not None:
                return objection
            self._seen[fresh.key].withdrawn = False
            return self._actuator.write(fresh, trial.change, describe(trial))

        return self._at_its_version(decided_on.key, write)

    def _given_up(self, assessment: Assessment, stored: Record, now: float) -> Assessment:
        """The answer where a plan was given up, which stays on record as long as it has to."""
        hold = self._on_its_way(assessment, stored, now)
        if hold is None:
            return _held_back(assessment, _WITHDRAWN)
        self._seen[assessment.workload.key].ended = None
        thought = assessment.record
        kept = msgspec.structs.replace(stored, mode=thought.mode, sightings=thought.sightings)
        record = kept if hold.reason in OPERATOR_WIDE else kept.decided(hold)
        return replace(assessment, decision=hold, record=record)

    def _drop(self, assessment: Assessment, hold: Hold, now: float) -> Assessment:
        """Hold where a plan was not carried out, with the plan gone from the record."""
        trial = assessment.record.trial
        assert trial is not None  # noqa: S101  # only planned changes are dropped
        if trial.started_at != now:  # what was planned on this tick was not sent before
            kept_for = self._on_its_way(assessment, assessment.record, now)
            if kept_for is not None:
                return _held(assessment, kept_for)
        newest = self._newest(assessment.workload)
        progress = abandoned(assessment.record, trial, newest, now, hold.detail)
        self._seen[assessment.workload.key].ended = progress.ended
        return _held(replace(assessment, record=progress.record), hold)

    def _on_its_way(self, assessment: Assessment, record: Record, now: float) -> Hold | None:
        """Why a plan on record may not be forgotten yet; None where its write cannot come any more.

        It may have been sent by a leader before us, or by us without an answer: arriving later, it
        would be a change that nobody watches. So it is withdrawn; where that is not possible, it is
        waited for until nothing that was sent can be on its way.
        """
        key = assessment.workload.key
        seen = self._seen[key]
        if seen.withdrawn:
            return None
        try:
            hold = self._at_its_version(key, partial(self._withdraw, assessment, record, now))
        except GoneError:
            hold = None
        except ClusterError as error:
            self._tell_failed(now, key, "workload", error)
            hold = _hold_for(error)
        seen.withdrawn = hold is None
        if hold is not None and hold is not _ARRIVED:
            # A clock that was set back must not keep the plan until it has caught up.
            since = now if seen.given_up_at is None else min(seen.given_up_at, now)
            seen.given_up_at = since
            hold = hold if now - since <= ON_ITS_WAY_SECONDS else None
        if hold is None:
            seen.given_up_at = None
        return hold

    def _withdraw(
        self, assessment: Assessment, record: Record, now: float, fresh: Workload
    ) -> Hold | None:
        plan, decision = record.plan, assessment.decision
        if plan is not None and found_patched(record, plan, fresh, now) is not None:
            return _ARRIVED
        if fresh.live is not None and fresh.live.trouble:
            return None  # gone, or of another version since its label went
        if not self._may_write(fresh, now):
            return decision if isinstance(decision, Hold) else _LEFT_ALONE
        self._seen[fresh.key].answered = self._actuator.withdraw(fresh)
        return None

    def _at_its_version(self, key: WorkloadKey, act: Callable[[Workload], _Done]) -> _Done:
        """Read a workload afresh and act on it; anew when it moved in between.

        Raises:
            ConflictError: It moved under each attempt; nothing was written.
            ClusterError: It cannot be read, or what acting on it led to.
        """
        attempt = 0
        while True:
            attempt += 1
            fresh = self._inventory.fetch(key)
            self._seen[key].answered = fresh
            try:
                return act(fresh)
            except ConflictError:
                if attempt == WRITE_ATTEMPTS:
                    raise

    def _may_write(self, workload: Workload, now: float) -> bool:
        """Whether people let anything be written to a workload."""
        return (
            mode_of(workload, self._policy) is Mode.AUTO
            and self._policy.read_only is None
            and stopped(self._seen[workload.key].override, now) is None
        )

    def _save(self, assessment: Assessment, now: float) -> bool:
        try:
            self._records.save(assessment.workload, assessment.record)
        except ClusterError as error:
            self._tell_failed(now, assessment.workload.key, "record", error)
            return False
        self._stored[assessment.workload.key] = assessment.record
        self._records_left -= 1
        self._tell_ended(assessment.workload, now)
        return True

    def _tell_ended(self, workload: Workload, now: float) -> None:
        """Tell of a trial's outcome, once it is on record."""
        ended, self._seen[workload.key].ended = self._seen[workload.key].ended, None
        if ended is not None:
            self._tell(TrialEnded(now, workload, ended))

    def _clear_cause(self, assessment: Assessment, now: float) -> None:
        """Take our change-cause away once the rollout is done: its revision keeps a copy."""
        workload = assessment.workload
        done = workload.cause_is_ours and workload.rollout is Rollout.COMPLETE
        mistaken = assessment.decision.reason is Reason.INTERNAL_ERROR
        if not done or mistaken or not self._may_write(workload, now):
            return
        try:
            self._actuator.clear_cause(workload)
        except ConflictError:
            return  # The view was behind; the next tick sees whether anything is left to do.
        except ClusterError as error:
            self._tell_failed(now, workload.key, "change-cause", error)

    def _tell_failed(self, now: float, key: WorkloadKey, what: str, error: ClusterError) -> None:
        """Tell of a write that failed; one that is another replica's by now did not."""
        if not isinstance(error, NotLeadingError):
            self._tell(WriteFailed(now, key, what, str(error)))

    def _tell(self, happening: _Told) -> _Told:
        for observer in self._observers:
            observer.notify(happening)
        return happening


_STANDING_BY = Hold(Reason.STANDBY, "another replica leads, or may lead, by now")
_GIVEN_UP = Hold(Reason.WORKLOAD_CHANGED, "it was given up before")
_ARRIVED = Hold(Reason.WORKLOAD_CHANGED, "a write that was given up has arrived meanwhile")
_LEFT_ALONE = Hold(Reason.WORKLOAD_CHANGED, "nothing may be written to it any more")
_WITHDRAWN = Hold(Reason.WORKLOAD_CHANGED, "an earlier plan was withdrawn just before")


def _changes_first(of: tuple[WorkloadKey, Assessment]) -> bool:
    """Nothing that has to be written to a workload waits for records that have not."""
    return not isinstance(of[1].decision, Apply)


def _held(assessment: Assessment, hold: Hold) -> Assessment:
    return replace(assessment, decision=hold, record=assessment.record.decided(hold))


def _held_back(assessment: Assessment, hold: Hold) -> Assessment:
    """The same, without a change that would be carried out."""
    return _held(assessment, hold) if isinstance(assessment.decision, Apply) else assessment


def _sighted(assessment: Assessment, first_seen: Mapping[str, float]) -> Assessment:
    """The answer with what the record has to remember of the overrides."""
    sightings = tuple(Sighting(entry, at) for entry, at in sorted(first_seen.items()))
    if sightings == assessment.record.sightings:
        return assessment
    record = msgspec.structs.replace(assessment.record, sightings=sightings)
    return replace(assessment, record=record)


def _as_seen(answered: Workload, view: Workload) -> Workload:
    """What the API server answered, with what the view tells of pods and other controllers.

    Of a write to a live ConfigMap the answer is newer in what the ConfigMap says, and in no more.
    """
    if view.live is not None and answered.live is not None:
        containers = tuple(
            replace(each, env=known.env) if (known := answered.container(each.name)) else each
            for each in view.containers
        )
        return replace(view, live=answered.live, containers=containers)
    containers = tuple(
        replace(each, running=known.running) if (known := view.container(each.name)) else each
        for each in answered.containers
    )
    return replace(answered, containers=containers, autoscaling=view.autoscaling)


def _behind(view: Workload, answered: Workload) -> bool:
    """Whether a view is older than what the API server answered."""
    if view.live is None or answered.live is None:
        return view.generation < answered.generation
    if view.live.config_map != answered.live.config_map or view.live.trouble:
        return False  # one that is gone has no version to be late by
    return _version(view.live) < _version(answered.live)


def _version(live: LiveChannel) -> int:
    # The API server's versions are numbers that grow; what is no number was never written by us.
    return int(live.resource_version) if live.resource_version.isdecimal() else 0


def _hold_for(error: ClusterError) -> Hold:
    match error:
        case ConflictError():
            words = f"it changed under each of {WRITE_ATTEMPTS} attempts to write"
            return Hold(Reason.WORKLOAD_CHANGED, words)
        case RefusedError() | GoneError():
            return Hold(Reason.WRITE_REFUSED, str(error))
        case NotLeadingError():
            return _STANDING_BY
        case _:
            return Hold(Reason.CLUSTER_UNAVAILABLE, str(error))


def _new_reason(stored: Record | None, decision: Decision) -> bool:
    return stored is None or stored.reason is not decision.reason


def _forgets_plan(stored: Record, record: Record) -> bool:
    """Whether a record does not have the plan any more that it had when the tick began."""
    before, after = stored.plan, record.trial
    return before is not None and (after is None or after.started_at != before.started_at)


def _moved(stored: Record | None, trial: Trial) -> bool:
    """Whether a trial reached a phase that its stored record does not show."""
    before = None if stored is None else stored.trial
    return before is None or (before.started_at, before.phase) != (trial.started_at, trial.phase)
