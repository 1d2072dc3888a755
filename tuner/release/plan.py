"""What it takes to release one workload: the workload and its record in, a plan out.

The record is what a release goes by: what gc-tuner has put there and what stood there before its
first change. An entry is still gc-tuner's where it reads what the record says, or where gc-tuner is
its only owner. Whatever else stands there has been taken over by somebody, and is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from tuner.guards.mode import mode_of
from tuner.guards.ownership import ownership_of
from tuner.guards.rollout import rollout_of
from tuner.model.override import Override
from tuner.model.policy import Policy
from tuner.model.reason import Reason
from tuner.model.record import AppliedSetting, Record, Verb
from tuner.model.trial import Change, Phase, Setting
from tuner.model.workload import (
    BARRIER,
    FIELD_MANAGER,
    TUNED,
    Container,
    Mode,
    Workload,
    WorkloadKey,
)
from tuner.signals.container import ANNOTATION
from tuner.verification import cut_short

WHY = "released on request"
"""How a trial ends that is under way when its workload is released."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a release depends on besides the workload and its record."""

    policy: Policy
    stopped: bool
    """Whether somebody vouches that no gc-tuner is running."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one workload is released."""

    workload: Workload
    """As it was when this was planned."""
    change: Change | None
    """What is written to it; None: no value of gc-tuner stands there."""
    left: tuple[str, ...]
    """What somebody else has taken over, in words, one for each setting."""
    record: Record | None
    """The record once it is done; None where none has to be written."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self.change is None and self.record is None and not self.workload.cause_is_ours

    @property
    def restarts(self) -> bool:
        """Whether it replaces the workload's pods."""
        return self.change is not None and self.workload.live is None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a workload is not released, for people."""

    key: WorkloadKey
    why: str


def plan(
    workload: Workload, record: Record | None, override: Override, terms: Terms, now: float
) -> Plan | Refusal:
    """How to take gc-tuner's values out of a workload, or why not now.

    Args:
        workload: The workload as it is.
        record: Its record; None where there is none.
        override: What people have laid down for it.
        terms: What else it depends on.
        now: Seconds since the Unix epoch.
    """
    if record is None or record.blank:
        return _without_record(workload)
    if not record.holds_values:
        return Plan(workload, None, (), None)
    if workload.live is not None and workload.live.trouble:
        return Refusal(workload.key, workload.live.trouble)  # what stands in it is not seen
    settled = cut_short(record, workload, now, WHY)
    back, left = [], []
    container = _container(workload, settled)
    for each in _written(workload, settled):
        found = _back(workload, workload.container(container), each)
        if isinstance(found, Setting):
            back.append(found)
        elif found:
            left.append(found)
    change = Change(container, tuple(back)) if back else None
    refusal = _set_again(workload, override, terms) or (change and _not_now(workload, record))
    if refusal:
        return Refusal(workload.key, refusal)
    return Plan(workload, change, tuple(left), _released(settled, change, now))


def _without_record(workload: Workload) -> Plan | Refusal:
    """Nothing is on record of it: a value in gc-tuner's name has lost what stood there before."""
    stray = [
        f"{name}={entry.value} of container {container.name!r}"
        for container in workload.containers
        for name, entry in container.env.items()
        if entry.owners == (FIELD_MANAGER,)
    ]
    if not stray:
        return Plan(workload, None, (), None)
    return Refusal(
        workload.key,
        f"{', '.join(stray)} stands there in gc-tuner's name, and no record says what stood there "
        "before: set or remove it by hand",
    )


def _container(workload: Workload, record: Record) -> str:
    """Name of the container that was written to; a barrier alone has one on the live channel."""
    if record.applied is not None:
        return record.applied.container
    return workload.annotations.get(ANNOTATION) or workload.containers[0].name


def _written(workload: Workload, record: Record) -> Iterator[AppliedSetting]:
    """What gc-tuner has put there, in the order in which it is written."""
    settings = () if record.applied is None else record.applied.settings
    by_name = {each.name: each for each in settings}
    if record.barrier is not None and workload.live is not None:
        threshold = str(record.barrier.threshold)
        by_name[BARRIER] = AppliedSetting(BARRIER, threshold, record.barrier.prior)
    yield from (by_name[name] for name in TUNED if name in by_name)


def _back(
    workload: Workload, container: Container | None, each: AppliedSetting
) -> Setting | str | None:
    """The move that takes a value back; why it is left, in words; None where nothing is to do."""
    wrote = f"gc-tuner wrote {each.value or 'unset'}"
    if container is None:
        return f"{each.name}: {wrote}, and its container is gone"
    entry = container.env.get(each.name)
    reads = None if entry is None else entry.value
    by_reference = entry is not None and reads is None
    if reads == each.prior and not by_reference:
        return None
    ours = entry is not None and entry.owners == (FIELD_MANAGER,)
    if by_reference or (reads != each.value and not ours):
        words = "a valueFrom" if by_reference else reads or "unset"
        return f"{each.name} reads {words}, {wrote}"
    refusal = ownership_of(workload, container, each.name)
    return Setting(each.name, reads, each.prior) if refusal is None else refusal.detail


def _set_again(workload: Workload, override: Override, terms: Terms) -> str:
    """Why a gc-tuner that runs would set its values again; empty where it would not.

    An override that cannot be read here may be known to it in its last good version: it counts for
    nothing.
    """
    halted = terms.stopped or override.paused or override.frozen
    if halted or mode_of(workload, terms.policy) is not Mode.AUTO:
        return ""
    return (
        "it is in mode auto, so gc-tuner would set its values again: label it "
        "gc-tuner.io/mode=recommend or off, or pause or freeze it in the overrides; or end "
        "gc-tuner, and say so with --stopped"
    )


def _not_now(workload: Workload, record: Record) -> str:
    """Why nothing may be written to it at the moment; empty where it may.

    As for a rollback, our own rollout is not waited for: what it brings is what is taken back.
    """
    if workload.live is not None:
        return ""  # it has no rollouts
    trial = record.trial
    our_own = (
        trial is not None
        and trial.phase in {Phase.PLANNED, Phase.ROLLING_OUT}
        and trial.template_digest == workload.template_digest
    )
    refusal = None if our_own else rollout_of(workload)
    return "" if refusal is None else f"{refusal.detail}; try again when it is over"


def _released(record: Record, change: Change | None, now: float) -> Record:
    """The record without anything that stands in the workload; what was learned stays."""
    words = "nothing of gc-tuner stood there any more" if change is None else str(change)
    return msgspec.structs.replace(
        record,
        applied=None,
        barrier=None,
        restored_at=record.restored_at if change is None else now,
        decision=Verb.APPLY,
        reason=Reason.ROLLBACK,
        message=f"{WHY}: {words}",
    )
