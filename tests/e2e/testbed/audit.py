"""The API server's audit log: which user asked for what, when, and what was answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

READING_VERBS = frozenset({"get", "list", "watch"})
WRITING_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class AuditEvent:
    """One request that the API server answered.

    Attributes:
        at: when it arrived.
        user: who asked; a service account is `system:serviceaccount:NAMESPACE:NAME`.
        user_agent: the client's own name for itself.
        verb: get, list, watch, create, update, patch, delete, deletecollection; the HTTP method in
            lower case for paths that are no resource.
        resource: plural name, empty for paths that are no resource.
        subresource: such as `status`, else empty.
        namespace: empty for cluster-wide requests.
        name: empty for lists, and for creations.
        code: HTTP status of the answer.
        uri: path and query; `fieldManager` is in the latter.
        sent: body of the request; None where the audit policy keeps none.
        answered: body of the answer; None where the audit policy keeps none.
    """

    at: datetime
    user: str
    user_agent: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    uri: str
    sent: Mapping[str, Any] | None = field(default=None, repr=False)
    answered: Mapping[str, Any] | None = field(default=None, repr=False)


class AuditTail:
    """The log from where it was last read."""

    def __init__(self, path: Path) -> None:
        """Begin at the beginning.

        Args:
            path: the log, JSON lines.
        """
        self._path = path
        self._offset = 0

    def read(self) -> list[AuditEvent]:
        """Return what was answered since the last time, in the log's order."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            lines = list(_whole(log))
        self._offset += sum(map(len, lines))
        return list(_events(lines))


def read_audit_log(
    path: Path,
    *,
    user: str | None = None,
    verbs: Collection[str] | None = None,
    resource: str | None = None,
    since: datetime | None = None,
) -> list[AuditEvent]:
    """Return the answered requests in order of arrival, each once.

    A watch counts from its beginning; anything else once it is answered.

    Args:
        path: the log, JSON lines.
        user: only of this user.
        verbs: only these verbs.
        resource: only of this plural resource name.
        since: only those that arrived at or after this time.
    """
    with path.open("rb") as log:
        events = [
            event
            for event in _events(_whole(log))
            if (user is None or event.user == user)
            and (verbs is None or event.verb in verbs)
            and (resource is None or event.resource == resource)
            and (since is None or event.at >= since)
        ]
    return sorted(events, key=lambda event: event.at)


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines up to the one that is being written."""
    return takewhile(lambda line: line.endswith(b"\n"), lines)


def _events(lines: Iterable[bytes]) -> Iterator[AuditEvent]:
    for line in lines:
        entry = json.loads(line)
        # A watch is logged when it begins and again when it ends.
        if entry["stage"] != (
            "ResponseComplete" if entry["verb"] == "watch" else "ResponseStarted"
        ):
            yield _event(entry)


def _event(entry: dict[str, Any]) -> AuditEvent:
    target = entry.get("objectRef", {})
    return AuditEvent(
        at=datetime.fromisoformat(entry["requestReceivedTimestamp"]),
        user=entry["user"].get("username", ""),
        user_agent=entry.get("userAgent", ""),
        verb=entry["verb"],
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=entry.get("responseStatus", {}).get("code", 0),
        uri=entry["requestURI"],
        sent=entry.get("requestObject"),
        answered=entry.get("responseObject"),
    )
