"""An Observer that writes Kubernetes Events: what an SRE should find beside the workload.

``notify`` only decides whether a happening is worth an Event and queues it; a thread writes. Events
are told for people and may be lost: the queue is bounded, and an API server that does not answer is
tried a few times. The same Event again within half an hour counts up the first one's series.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from tuner.cluster.client import MERGE, Request, decoded
from tuner.cluster.collection import DEPLOYMENTS, EVENTS
from tuner.cluster.rfc3339 import micro_time
from tuner.errors import ClusterError, GoneError, NotLeadingError, UnavailableError
from tuner.model.decision import Hold
from tuner.model.happening import (
    ChangeWritten,
    ConfigRefused,
    ConfigReloaded,
    HoldBegan,
    OverridesMoved,
    SourceFound,
    SourceLost,
    TrialEnded,
)
from tuner.model.reason import Reason
from tuner.model.trial import Change, Verdict
from tuner.model.workload import FIELD_MANAGER, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tuner.cluster.client import Api
    from tuner.model.happening import Happening
    from tuner.model.workload import Workload, WorkloadKey

CONTROLLER = "gc-tuner.io/gc-tuner"
NOTEWORTHY = frozenset(
    {
        Reason.MODE_INVALID,
        Reason.OWNED_BY_OTHER,
        Reason.VALUE_FROM,
        Reason.DUPLICATE_ENV,
        Reason.REVERTED_BY_OTHER,
        Reason.CONTAINER_UNCLEAR,
        Reason.ANNOTATION_INVALID,
        Reason.LIVE_CHANNEL_INVALID,
        Reason.IN_PROCESS_TUNER,
        Reason.OVERRIDE_INVALID,
        Reason.LEAK_SUSPECTED,
        Reason.NO_DATA,
        Reason.MEMORY_SHORT,
        Reason.MEMORY_BUDGET_UNKNOWN,
        Reason.ROLLOUT_FAILING,
        Reason.WRITE_REFUSED,
        Reason.INTERNAL_ERROR,
    }
)
"""Reasons to hold that somebody may want to do something about."""

_SAME_HOLD_SECONDS = 3600.0
_SERIES_SECONDS = 1800.0
"""Shorter than the hour for which the API server keeps an Event by default."""
_NOTE_LENGTH = 1024
_NAME_LENGTH = 128
_PREFIX_LENGTH = 50
"""Of the names of Events: the API server adds a few characters of its own."""
_QUEUE_LENGTH = 1000
_ATTEMPTS = 3
_RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Regarded:
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """An Event before it is written."""

    at: float
    regarding: Regarded
    warning: bool
    reason: str
    action: str
    note: str
    series_by: str
    """Occurrences on one object with the same reason and the same text here are one series."""

    @property
    def series(self) -> tuple[Regarded, str, str]:
        """Which series it belongs to."""
        return self.regarding, self.reason, self.series_by


@dataclass(slots=True)
class _Series:
    """An Event that was written."""

    name: str
    count: int
    last: float


class _Named(msgspec.Struct):
    name: str


class _Answer(msgspec.Struct):
    metadata: _Named


_ANSWER = msgspec.json.Decoder(_Answer)


def operator_pod(namespace: str, name: str | None, uid: str = "") -> Regarded:
    """The operator as an object: its pod, or its namespace where it does not run in one.

    Args:
        namespace: Where its Events are written.
        name: Name of the pod; None outside of one.
        uid: Of the pod; without it ``kubectl describe pod`` does not show the Events.
    """
    if name is None:
        return Regarded("v1", "Namespace", namespace, namespace)
    return Regarded("v1", "Pod", namespace, name, uid)


@dataclass(slots=True)
class _Pending:
    """How many Events were queued and not dealt with yet."""

    count: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, number: int) -> None:
        with self.changed:
            self.count += number
            self.changed.notify_all()

    def wait_none(self, timeout_seconds: float) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.count == 0, timeout_seconds)


class EventObserver:
    """Writes Events. Call ``notify`` from one thread only."""

    def __init__(
        self,
        api: Api,
        *,
        operator: Regarded,
        instance: str,
        report: Callable[[str], None],
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is written before ``start``.

        Args:
            api: The way to the API server.
            operator: What Events on gc-tuner itself are about; see ``operator_pod``.
            instance: Who reports: the name of the pod or host.
            report: Told, in one line, of the first Event in a row that could not be written; must
                not raise.
            wait: Lets seconds pass between attempts.
        """
        self._api = api
        self._operator = operator
        self._instance = instance[:_NAME_LENGTH]
        self._report = report
        self._wait = wait
        self._queue: queue.Queue[_Occurrence] = queue.Queue(_QUEUE_LENGTH)
        self._pending = _Pending()
        self._held: dict[tuple[WorkloadKey, Reason], float] = {}
        self._series: dict[tuple[Regarded, str, str], _Series] = {}
        self._failing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write, in a thread that ends with the process."""
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def flush(self, timeout_seconds: float) -> bool:
        """Whether all that was queued is dealt with, waiting for it no longer than this."""
        return self._pending.wait_none(timeout_seconds)

    def notify(self, happening: Happening) -> None:
        """Queue an Event where the happening is worth one; what the queue cannot hold is lost."""
        occurrence = self._occurrence(happening)
        if occurrence is None:
            return
        self._pending.add(1)
        try:
            self._queue.put_nowait(occurrence)
        except queue.Full:
            self._pending.add(-1)

    def _occurrence(self, happening: Happening) -> _Occurrence | None:
        found: _Occurrence | None = None
        match happening:
            case ChangeWritten(trial=trial) if trial.reason is Reason.BARRIER:
                pass  # under load it moves every minute: the log and the metrics tell
            case ChangeWritten(at=at, workload=workload, trial=trial):
                saving = trial.prediction.cpu_saving_ratio
                note = f"{_words(trial.change)}, predicted CPU {0 - saving:+.1%}"
                found = _on(workload, at, "ChangeWritten", "Tune", note)
            case TrialEnded(at=at, workload=workload, outcome=outcome):
                note = f"{_words(outcome.change)}: {outcome.detail}"
                warning = outcome.verdict is Verdict.REGRESSED
                reason = f"Trial{outcome.verdict.value}"
                found = _on(workload, at, reason, "Judge", note, warning=warning)
            case HoldBegan(at=at, workload=workload, decision=Hold(reason=why, detail=note)):
                if self._worth_telling(workload, why, at):
                    found = _on(workload, at, camel_case(why), "Hold", note, warning=True)
            case OverridesMoved():
                found = _overrides(happening)
            case SourceLost(at=at, cause=cause, detail=detail):
                note = f"nothing is changed until the metrics source answers again: {detail}"
                found = _Occurrence(at, self._operator, True, "SourceLost", "Read", note, cause)
            case SourceFound(at=at, outage_seconds=seconds):
                note = f"the metrics source answers again after {seconds:.0f} s"
                found = _Occurrence(at, self._operator, False, "SourceFound", "Read", note, "")
            case ConfigReloaded() | ConfigRefused():
                found = self._configured(happening)
            case _:
                pass
        return found

    def _configured(self, happening: ConfigReloaded | ConfigRefused) -> _Occurrence:
        match happening:
            case ConfigRefused(at=at, detail=detail):
                note = f"the last good configuration stays in force: {detail}"
                return _Occurrence(at, self._operator, True, "ConfigRefused", "Load", note, note)
            case ConfigReloaded(at=at, changed=changed):
                words = ", ".join(changed) or "what was refused was put right, nothing else"
                note = f"the configuration is another one: {words}"
                return _Occurrence(at, self._operator, False, "ConfigReloaded", "Load", note, note)

    def _worth_telling(self, workload: Workload, reason: Reason, at: float) -> bool:
        """Whether a hold is noteworthy, asked for by label, and was not told within the hour."""
        if reason not in NOTEWORTHY or workload.label_mode in {None, Mode.OFF}:
            return False
        key = (workload.key, reason)
        if at - self._held.get(key, -_SAME_HOLD_SECONDS) < _SAME_HOLD_SECONDS:
            return False
        if len(self._held) >= _QUEUE_LENGTH:
            self._held = _younger(self._held, at - _SAME_HOLD_SECONDS)
        self._held[key] = at
        return True

    def _run(self) -> None:
        while True:
            occurrence = self._queue.get()
            try:
                self._write(occurrence)
            except NotLeadingError:
                pass  # what another replica has to tell is not lost
            except ClusterError as error:
                if not self._failing:
                    self._report(f"events are lost: {error}")
                self._failing = True
            except Exception as error:  # noqa: BLE001 - Events must not end for one that is odd
                self._report(f"an event is lost: {type(error).__name__}: {error}")
            else:
                self._failing = False
            finally:
                self._pending.add(-1)

    def _write(self, occurrence: _Occurrence) -> None:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._write_once(occurrence)
            except UnavailableError:
                self._wait(_RETRY_SECONDS)
        return self._write_once(occurrence)

    def _write_once(self, occurrence: _Occurrence) -> None:
        oldest = occurrence.at - _SERIES_SECONDS
        self._series = {key: each for key, each in self._series.items() if each.last > oldest}
        series = self._series.get(occurrence.series)
        if series is not None:
            try:
                self._count_up(occurrence, series)
            except GoneError:
                pass  # It has expired, or somebody deleted it.
            else:
                return
        request = self._request("create", occurrence, "", self._event(occurrence))
        answer = decoded(request, self._api.ask(request), _ANSWER)
        self._series[occurrence.series] = _Series(answer.metadata.name, 1, occurrence.at)

    def _count_up(self, occurrence: _Occurrence, series: _Series) -> None:
        count = series.count + 1
        seen = {"count": count, "lastObservedTime": micro_time(occurrence.at)}
        self._api.ask(self._request("patch", occurrence, series.name, {"series": seen}))
        series.count, series.last = count, occurrence.at

    def _request(
        self, verb: str, occurrence: _Occurrence, name: str, body: Mapping[str, Any]
    ) -> Request:
        namespace = occurrence.regarding.namespace
        return Request(
            verb=verb,
            what=f"event {occurrence.reason} in {namespace}",
            path=EVENTS.path(namespace, name),
            query={"fieldManager": FIELD_MANAGER},
            body=body,
            content_type=MERGE if verb == "patch" else "application/json",
        )

    def _event(self, occurrence: _Occurrence) -> dict[str, Any]:
        regarding = occurrence.regarding
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {
                "generateName": f"{regarding.name[:_PREFIX_LENGTH].rstrip('-.')}-",
                "namespace": regarding.namespace,
            },
            "eventTime": micro_time(occurrence.at),
            "regarding": {
                "apiVersion": regarding.api_version,
                "kind": regarding.kind,
                "namespace": regarding.namespace,
                "name": regarding.name,
                **({"uid": regarding.uid} if regarding.uid else {}),
            },
            "type": "Warning" if occurrence.warning else "Normal",
            "reason": occurrence.reason[:_NAME_LENGTH],
            "action": occurrence.action,
            "note": cut(occurrence.note),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
        }


def _overrides(moved: OverridesMoved) -> _Occurrence:
    taken, released = ", ".join(moved.taken), ", ".join(moved.released)
    parts = [f"overrides in force: {taken}: {moved.override.reason}"] if taken else []
    parts += [f"overrides no longer in force: {released}"] if released else []
    reason = "OverrideTaken" if taken else "OverrideReleased"
    return _on(moved.workload, moved.at, reason, "Override", "; ".join(parts))


def _on(
    workload: Workload, at: float, reason: str, action: str, note: str, *, warning: bool = False
) -> _Occurrence:
    key = workload.key
    regarding = Regarded(
        DEPLOYMENTS.api_version, key.kind.value, key.namespace, key.name, workload.uid
    )
    return _Occurrence(at, regarding, warning, reason, action, note, note)


def _words(change: Change) -> str:
    return f"container {change.container}: {change}"


def _younger(
    times: Mapping[tuple[WorkloadKey, Reason], float], oldest: float
) -> dict[tuple[WorkloadKey, Reason], float]:
    return {key: at for key, at in times.items() if at > oldest}


def camel_case(reason: Reason) -> str:
    """A reason as Kubernetes writes them: ``owned_by_other`` is ``OwnedByOther``."""
    return "".join(word.capitalize() for word in reason.value.split("_"))


def cut(note: str) -> str:
    """A note within the 1,024 bytes that the API server takes."""
    data = note.encode()
    if len(data) <= _NOTE_LENGTH:
        return note
    return data[: _NOTE_LENGTH - len("…".encode())].decode(errors="ignore") + "…"
