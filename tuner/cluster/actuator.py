"""The Actuator port: one env entry of one container, by strategic-merge patch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tuner.cluster.client import STRATEGIC_MERGE, Request
from tuner.cluster.collection import DEPLOYMENTS
from tuner.cluster.deployment import CHANGE_CAUSE
from tuner.cluster.inventory import answered_workload
from tuner.errors import RefusedError
from tuner.model.workload import CAUSE_PREFIX, FIELD_MANAGER, GOGC, GOMEMLIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tuner.cluster.client import Api
    from tuner.model.trial import Change, Setting
    from tuner.model.workload import Workload

_WELL_FORMED = {
    GOGC: re.compile(r"off|[1-9][0-9]{0,5}"),
    GOMEMLIMIT: re.compile(r"off|[1-9][0-9]{0,14}MiB"),
}
"""What may stand in a Go service's env: ``GOGC=330.0`` silently means 100, and
``GOMEMLIMIT=715Mi`` ends the process at start."""


class ClusterActuator:
    """Writes to Deployments."""

    def __init__(self, api: Api) -> None:
        """Take the way to the API server."""
        self._api = api

    def write(self, workload: Workload, change: Change, cause: str) -> Workload:
        """Set or remove env entries if the workload still is at its resource version.

        The order of env and containers stays as it is. The change-cause is set in the same patch,
        behind ``gc-tuner: ``, unless the user has one of their own.

        Raises:
            ConflictError: It changed since it was fetched; nothing was written.
            GoneError: It does not exist.
            RefusedError: The value is malformed, there is no such container, the API server
                refused, or its answer shows something else than what was asked for.
            UnavailableError: It is not known whether it was written.
        """
        _check(workload, change)
        metadata: dict[str, Any] = {"resourceVersion": workload.resource_version}
        if workload.change_cause is None or workload.cause_is_ours:
            metadata["annotations"] = {CHANGE_CAUSE: f"{CAUSE_PREFIX}{cause}"}
        container = {"name": change.container, "env": [_entry(each) for each in change.settings]}
        template = {"spec": {"containers": [container]}}
        answer = self._patch(workload, {"metadata": metadata, "spec": {"template": template}})
        _compare(answer, change)
        return answer

    def clear_cause(self, workload: Workload) -> None:
        """Remove our change-cause; one of the user's own, or none, is left as it is.

        Raises:
            ConflictError: The workload changed since it was seen; nothing was written.
            ClusterError: It was not removed.
        """
        if not workload.cause_is_ours:
            return
        metadata = {
            "resourceVersion": workload.resource_version,
            "annotations": {CHANGE_CAUSE: None},
        }
        self._patch(workload, {"metadata": metadata})

    def _patch(self, workload: Workload, body: Mapping[str, Any]) -> Workload:
        key = workload.key
        request = Request(
            verb="patch",
            what=f"deployment {key.namespace}/{key.name}",
            path=DEPLOYMENTS.path(key.namespace, key.name),
            query={"fieldManager": FIELD_MANAGER},
            body=body,
            content_type=STRATEGIC_MERGE,
        )
        return answered_workload(request, self._api.ask(request))


def _check(workload: Workload, change: Change) -> None:
    """Refuse what must not reach the API server."""
    if workload.container(change.container) is None:
        # A patch would add a container.
        raise RefusedError(f"{workload.key}: there is no container {change.container!r}")
    for move in change.settings:
        form = _WELL_FORMED.get(move.name)
        if form is None:
            raise RefusedError(f"{workload.key}: {move.name} is not ours to write")
        if move.after is not None and not form.fullmatch(move.after):
            raise RefusedError(f"{workload.key}: {move.name}={move.after!r} is not well formed")


def _entry(move: Setting) -> dict[str, str]:
    if move.after is None:
        return {"name": move.name, "$patch": "delete"}
    return {"name": move.name, "value": move.after}


def _compare(answer: Workload, change: Change) -> None:
    """Whether the answer has what was asked for: admission webhooks may have their own idea."""
    container = answer.container(change.container)
    for move in change.settings:
        entry = None if container is None else container.env.get(move.name)
        if move.after is None:
            as_asked = container is not None and entry is None
        else:
            as_asked = entry is not None and (entry.value, entry.count) == (move.after, 1)
        if not as_asked:
            found = "nothing" if entry is None else repr(entry.value)
            raise RefusedError(
                f"{answer.key}: asked for {move.name}={move.after or 'unset'} in container "
                f"{change.container!r}, the API server's answer has {found}"
            )
