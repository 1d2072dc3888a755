"""The API server's audit log: which user asked for what, when, and what was answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
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
    events = [
        event
        for event in _events(path)
        if (user is None or event.user == user)
        and (verbs is None or event.verb in verbs)
        and (resource is None or event.resource == resource)
        and (since is None or event.at >= since)
    ]
    return sorted(events, key=lambda event: event.at)


def _events(path: Path) -> Iterator[AuditEvent]:
    with path.open() as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # being written
            entry = json.loads(line)
            # A watch is logged when it begins and again when it ends.
            if entry["stage"] == (
                "ResponseComplete" if entry["verb"] == "watch" else "ResponseStarted"
            ):
                continue
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
    )
