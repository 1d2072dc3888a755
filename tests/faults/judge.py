"""Which of the writes that the API server accepted were wrong, by its own audit log.

A write of a workload is wrong that differs from what the workload's record said at that moment
would be written, or touches anything else, or names no version and so could land on changed state.
A second writer is a replica that writes while another one may: the one that holds the Lease, or,
as long as the holder of a Lease that was made anew has not written, the one before it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tuner.cluster.workload import CHANGE_CAUSE, WITHDRAWN
from tuner.model.trial import Phase
from tuner.model.workload import GOGC, GOMEMLIMIT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from tests.e2e.testbed.audit import AuditEvent

_TUNED = (GOGC, GOMEMLIMIT)
_OTHERS_ANNOTATIONS = (CHANGE_CAUSE, "deployment.kubernetes.io/revision")
_SUCCESS = range(200, 300)

Moves = dict[tuple[str, str], tuple[str | None, str | None]]
"""Container and name to the value before and after; None: it is not set."""


@dataclass(frozen=True)
class Change:
    """A write that changed the settings of a workload.

    Attributes:
        at: when the request arrived.
        user: who wrote.
        namespace: of the workload.
        name: of the workload.
        moves: what was changed.
        reason: as the record has it; empty where there is no plan on record.
    """

    at: datetime
    user: str
    namespace: str
    name: str
    moves: Moves
    reason: str


@dataclass
class Judgement:
    """What came of it.

    Attributes:
        changes: every write of an operator that changed settings, in order.
        wrong: a line for each that was wrong.
        second_writers: a line for each write of a replica that had no right to.
        refused: writes of operators that the API server refused for their version.
    """

    changes: list[Change] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    second_writers: list[str] = field(default_factory=list)
    refused: list[AuditEvent] = field(default_factory=list)


def judge(events: Iterable[AuditEvent], users: Collection[str]) -> Judgement:
    """Hold the writes of one group of replicas against the log.

    Args:
        events: of the API server, with the bodies of workloads, records and Leases.
        users: the replicas' names in the log; they run for one Lease.
    """
    court = _Court(users)
    for each in sorted(events, key=_when):
        if each.user in users and each.code == _CONFLICT:
            court.judgement.refused.append(each)
        elif each.code in _SUCCESS and each.answered is not None:
            court.hear(each, each.answered)
    return court.judgement


_CONFLICT = 409


def _when(event: AuditEvent) -> tuple[int, datetime]:
    """The API server's order: versions grow over all resources; what has none changed nothing."""
    answered = event.answered or {}
    version = str(answered.get("metadata", {}).get("resourceVersion", ""))
    return (int(version) if version.isdecimal() else 0), event.at


@dataclass
class _Court:
    users: Collection[str]
    judgement: Judgement = field(default_factory=Judgement)
    _workloads: dict[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    _records: dict[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    _holder: str = ""
    _before: str = ""
    """Holder of a Lease that is gone, until the new one's first write."""

    def hear(self, event: AuditEvent, answered: Mapping[str, Any]) -> None:
        match event.resource:
            case "leases":
                self._lease(event)
            case "gctunings":
                self._record(event, answered)
            case "deployments" | "statefulsets" if event.subresource == "":
                self._workload(event, answered)

    def _lease(self, event: AuditEvent) -> None:
        if event.user not in self.users or event.user == self._holder:
            return
        self._before = self._holder if event.verb == "create" else ""
        self._holder = event.user

    def _check_writer(self, event: AuditEvent, what: str) -> None:
        if event.user not in self.users:
            return
        if event.user == self._holder:
            self._before = ""
        elif event.user != self._before:
            self.judgement.second_writers.append(
                f"{event.at}: {event.user} wrote {what} while {self._holder or 'nobody'} led"
            )

    def _record(self, event: AuditEvent, answered: Mapping[str, Any]) -> None:
        if event.verb == "delete":
            return
        self._check_writer(event, f"record {event.namespace}/{event.name}")
        target = answered["spec"]["targetRef"]
        key = (event.namespace, target["kind"], target["name"])
        self._records[key] = answered.get("status", {})

    def _workload(self, event: AuditEvent, answered: Mapping[str, Any]) -> None:
        if event.verb == "delete":
            return
        name = answered["metadata"]["name"]
        key = (event.namespace, answered["kind"], name)
        before = self._workloads.get(key)
        if before is not None and _uid(before) != _uid(answered):
            before = None
        self._workloads[key] = answered
        if event.user not in self.users or (before is not None and _same(before, answered)):
            return
        what = f"{event.namespace}/{name}"
        self._check_writer(event, what)
        self._check(event, before, answered, what)

    def _check(
        self,
        event: AuditEvent,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any],
        what: str,
    ) -> None:
        words = f"{event.at}: {event.user} wrote {what}"
        if before is None:
            self.judgement.wrong.append(f"{words}, and how it stood before is not known")
            return
        sent = event.sent or {}
        if not sent.get("metadata", {}).get("resourceVersion"):
            self.judgement.wrong.append(f"{words} at whatever version it was")
        if _rest(before) != _rest(after):
            self.judgement.wrong.append(f"{words}: more than settings: {dict(sent)}")
        moves = _moves(before, after)
        if not moves:
            return
        trial = self._records.get((event.namespace, after["kind"], event.name), {}).get("trial", {})
        plan = planned(trial)
        if moves != plan:
            self.judgement.wrong.append(f"{words}: {moves}, the record plans {plan}")
        self.judgement.changes.append(
            Change(
                event.at,
                event.user,
                event.namespace,
                event.name,
                moves,
                trial.get("reason", "") if plan else "",
            )
        )


def planned(trial: Mapping[str, Any]) -> Moves:
    """What a record says is about to be written.

    Args:
        trial: of its status, as JSON; empty where there is none.
    """
    if trial.get("phase") != Phase.PLANNED:
        return {}
    change = trial["change"]
    return {
        (change["container"], each["name"]): (each.get("before"), each.get("after"))
        for each in change["settings"]
    }


def _uid(found: Mapping[str, Any]) -> str:
    return str(found["metadata"]["uid"])


def _same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    version = before["metadata"]["resourceVersion"]
    return bool(version == after["metadata"]["resourceVersion"])


def _containers(workload: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workload["spec"]["template"]["spec"]["containers"]
    return found


def _settings(workload: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    return {
        (container["name"], entry["name"]): entry.get("value", "")
        for container in _containers(workload)
        for entry in container.get("env", [])
        if entry["name"] in _TUNED
    }


def _moves(before: Mapping[str, Any], after: Mapping[str, Any]) -> Moves:
    old, new = _settings(before), _settings(after)
    return {
        key: (old.get(key), new.get(key))
        for key in old.keys() | new.keys()
        if old.get(key) != new.get(key)
    }


def _rest(workload: Mapping[str, Any]) -> tuple[Any, ...]:
    """All that is not gc-tuner's to change."""
    spec = copy.deepcopy(workload["spec"])
    for container in _containers({"spec": spec}):
        entries = container.get("env", [])
        container["env"] = [each for each in entries if each["name"] not in _TUNED]
    metadata = workload["metadata"]
    annotations = {
        name: text
        for name, text in metadata.get("annotations", {}).items()
        if name not in _OTHERS_ANNOTATIONS
    }
    labels = {name: text for name, text in metadata.get("labels", {}).items() if name != WITHDRAWN}
    return spec, labels, annotations
