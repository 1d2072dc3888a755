"""The record of a workload, kept in the cluster as a GCTuning object: the only state there is."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from tuner.model.decision import Apply, Decision
from tuner.model.reason import Reason
from tuner.model.trial import Change, Outcome, Phase, Stored, Trial, Verdict
from tuner.model.workload import GOGC, Mode

HISTORY_LENGTH = 10
HISTORY_DETAILED = 2
"""So many of them keep all their figures and words: the whole has to fit into 4 KiB."""
COST_KNOWN_RATIO = 0.3
"""A marking cost that may be further off than this is a guess."""
MOVED_RATIO = 0.05
"""A recommended value that moves by less than this has not changed its meaning."""


class Verb(StrEnum):
    """The two decisions."""

    APPLY = "Apply"
    HOLD = "Hold"


class Observed(Stored, frozen=True):
    """Figures at the time of the last write of the record; not part of its meaning."""

    at: float
    gogc: str
    """In force: percent, or off."""
    gomemlimit: str
    """In force: whole MiB, or off."""
    gc_share: float
    gc_share_source: str
    live_bytes: int
    resident_bytes: int
    cpu_cores: float
    requests_per_second: float | None = None
    cpu_seconds_per_request: float | None = None
    latency_p95_seconds: float | None = None
    latency_p99_seconds: float | None = None
    pause_ratio: float | None = None
    """Share of time in stop-the-world pauses, worst pod."""
    pause_longest_seconds: float | None = None
    barrier_threshold: int | None = None
    """Requests in flight that each pod admits."""


class Recommended(Stored, frozen=True):
    """Where the loops want to end."""

    gogc: int | None
    """Percent; None where GOGC is not tuned."""
    cpu_saving_ratio: float
    memory_peak_bytes: int
    memory_limit: str | None = None
    """GOMEMLIMIT as it is written; None where none is asked for."""


class AppliedSetting(Stored, frozen=True):
    """One tuned name that gc-tuner has written."""

    name: str
    value: str | None
    """What ought to stand there now; None: not set."""
    prior: str | None
    """What stood there before gc-tuner's first change; None: not set."""


class Applied(Stored, frozen=True):
    """What gc-tuner has put into the workload."""

    container: str
    settings: tuple[AppliedSetting, ...]
    written_at: float


def applied(known: Applied | None, change: Change, at: float) -> Applied | None:
    """What is applied once a change is written on top of what was.

    Returns:
        None where everything reads again what it read before gc-tuner's first change.
    """
    settings = {each.name: each for each in known.settings} if known is not None else {}
    for move in change.settings:
        old = settings.get(move.name)
        prior = move.before if old is None else old.prior
        settings[move.name] = AppliedSetting(move.name, move.after, prior)
    left = tuple(each for each in settings.values() if each.value != each.prior)
    return Applied(change.container, left, at) if left else None


class Learned(Stored, frozen=True):
    """What the workload's own trials taught."""

    cost_seconds_per_byte: float | None = None
    """Marking cost per live byte and cycle."""
    cost_deviation: float | None = None
    """How far it may be off, one standard deviation, seconds per byte; None beside a cost that was
    learned before this was kept: as far as a known cost may."""
    utilisation: float | None = None
    """CPU used by GOMAXPROCS where the cost was learned: idle processors mark too, and at low load
    that is half of the cost."""
    alpha: float | None = None
    """Exponent of GC CPU over GOGC."""
    ln_range: float = 0.0
    """Logarithms of GOGC that the trials went over: the evidence behind the exponent."""
    killed_peak_bytes: int | None = None
    """Smallest predicted peak of a setting under which the kernel killed for memory."""
    killed_limit_bytes: int | None = None
    """The container's memory limit at that time."""
    killed_at: float | None = None
    """When the newest kill was, of those that are accounted for."""

    @property
    def cost_known(self) -> bool:
        """Whether the marking cost is known well enough to build on."""
        cost, deviation = self.cost_seconds_per_byte, self.cost_deviation
        if cost is None or cost <= 0:
            return False
        return deviation is None or 0 < deviation <= COST_KNOWN_RATIO * cost


class Barrier(Stored, frozen=True):
    """The barrier threshold that gc-tuner has put into the live channel."""

    threshold: int
    prior: str | None
    """What stood there before gc-tuner's first change; None: not set."""
    written_at: float


class Sighting(Stored, frozen=True):
    """When an override that lasts for a while was first seen."""

    entry: str
    """Name and digest of the entry."""
    seen_at: float


class Record(Stored, frozen=True):
    """Everything that gc-tuner knows of a workload across its own restarts."""

    mode: Mode
    decision: Verb
    reason: Reason
    message: str
    observed: Observed | None = None
    recommended: Recommended | None = None
    applied: Applied | None = None
    trial: Trial | None = None
    learned: Learned = Learned()
    history: tuple[Outcome, ...] = ()
    """Newest first, at most HISTORY_LENGTH."""
    unwritten: int = 0
    """Plans in a row, for one reason, that were given up before they were known to be written. All
    of them have one place in the history, the newest; 0: what stands there was written."""
    reverted_at: float | None = None
    """When someone else was last seen to have taken gc-tuner's value away."""
    reverts: int = 0
    """How often in a row, with less than a day between the value and its end."""
    restored_at: float | None = None
    """When a rollback was complete: what was killed until then ran with what was taken back."""
    barrier: Barrier | None = None
    sightings: tuple[Sighting, ...] = ()
    """Overrides that last for a while and concern this workload."""

    @property
    def done(self) -> tuple[object, ...]:
        """What was done or ordered, as opposed to what is thought of it at the moment."""
        return (
            self.mode,
            self.decision,
            self.applied,
            self.trial,
            self.learned,
            self.history,
            self.reverted_at,
            self.reverts,
            self.restored_at,
            self.barrier,
            self.sightings,
        )

    @property
    def blank(self) -> bool:
        """Whether nothing was done yet, nor has to be remembered."""
        return self.done == Record(self.mode, self.decision, self.reason, "").done

    @property
    def plan(self) -> Trial | None:
        """The change under way as long as it is not known to be written."""
        trial = self.trial
        return trial if trial is not None and trial.phase is Phase.PLANNED else None

    @property
    def holds_values(self) -> bool:
        """Whether a value of gc-tuner's stands in the workload, or may."""
        return (self.applied, self.barrier, self.trial) != (None, None, None)

    def decided(self, decision: Decision) -> "Record":
        """The same record with another decision."""
        verb = Verb.APPLY if isinstance(decision, Apply) else Verb.HOLD
        return msgspec.structs.replace(
            self, decision=verb, reason=decision.reason, message=decision.detail
        )

    def ended(self, outcome: Outcome) -> "Record":
        """The same record after its trial.

        Plans that are given up in a row take one place together: each would push out what the
        record remembers of harm, and say nothing of the workload.
        """
        before, unwritten = self.history, 0
        if self.plan is not None:
            again = self.unwritten > 0 and bool(before) and before[0].reason is outcome.reason
            unwritten = self.unwritten + 1 if again else 1
            before = before[1:] if self.unwritten > 0 else before
        ends = (outcome, *before)[:HISTORY_LENGTH]
        detailed, older = ends[:HISTORY_DETAILED], ends[HISTORY_DETAILED:]
        last = last_verdict_on(GOGC, ends)
        history = (*detailed, *(_bare(each, lasting=each is last) for each in older))
        return msgspec.structs.replace(self, trial=None, history=history, unwritten=unwritten)


def last_verdict_on(name: str, history: Iterable[Outcome]) -> Outcome | None:
    """The newest trial of a tuned name that came to a verdict; None where none did."""
    return next(
        (
            each
            for each in history
            if each.verdict is not Verdict.VOID and each.change.of(name) is not None
        ),
        None,
    )


def _bare(outcome: Outcome, *, lasting: bool) -> Outcome:
    """What was done, foretold and seen, and nothing of how it was known.

    Args:
        outcome: The end of a trial.
        lasting: Whether its load and live heap are kept: it may have its say until they move.
    """
    return msgspec.structs.replace(
        outcome,
        detail="",
        requests_per_second=outcome.requests_per_second if lasting else None,
        live_bytes=outcome.live_bytes if lasting else None,
        predicted_peak_bytes=None,
        measured_peak_bytes=None,
    )


def meaning_changed(old: Record | None, new: Record) -> bool:
    """Whether a record has to be written anew.

    Mode, decision, reason, applied values, trial, history and what was learned count; figures that
    moved do not, and a recommended value only when it moved by MOVED_RATIO or more.
    """
    if old is None:
        return True
    if (old.done, old.reason) != (new.done, new.reason):
        return True
    if old.recommended is None or new.recommended is None:
        return old.recommended is not new.recommended
    if old.recommended.gogc is None or new.recommended.gogc is None:
        return old.recommended.gogc is not new.recommended.gogc
    return abs(new.recommended.gogc - old.recommended.gogc) >= MOVED_RATIO * old.recommended.gogc
