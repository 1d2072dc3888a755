"""The Actuator port: env entries of one container by strategic-merge patch, or a live ConfigMap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuner.cluster.client import STRATEGIC_MERGE, Request
from tuner.cluster.collection import WORKLOADS
from tuner.cluster.inventory import answered_workload
from tuner.cluster.live import containers_of, with_live
from tuner.cluster.wellformed import require_well_formed
from tuner.cluster.workload import ANNOTATION_PREFIX, CHANGE_CAUSE, WITHDRAWN, tuned_names
from tuner.errors import RefusedError
from tuner.model.workload import BARRIER_ENV, CAUSE_PREFIX, FIELD_MANAGER
from tuner.ports import AlteredError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tuner.cluster.client import Api
    from tuner.cluster.live import LiveConfigMaps
    from tuner.model.trial import Change, Setting
    from tuner.model.workload import LiveChannel, Workload


class ClusterActuator:
    """Writes to workloads, or to the ConfigMaps that they take their settings from."""

    def __init__(self, api: Api, live: LiveConfigMaps | None = None) -> None:
        """Take the way to the API server.

        Args:
            api: The way to it.
            live: The live channel; without it, what goes there is refused.
        """
        self._api = api
        self._live = live

    def write(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        """Set or remove settings if what holds them still is at the version that was fetched.

        A workload with a live channel takes them from its ConfigMap, and is not written itself. In
        env the order of entries and containers stays as it is. The change-cause is set in the same
        patch, behind ``gc-tuner: ``, unless the user has one of their own; without one, ours is
        removed in the same patch.

        Raises:
            ConflictError: It changed since it was fetched; nothing was written.
            GoneError: It does not exist.
            AlteredError: The API server's answer shows something else than what was asked for.
            RefusedError: The value is malformed, there is no such container or channel, or the API
                server refused.
            UnavailableError: It is not known whether it was written.
        """
        _check(workload, change)
        if workload.live is None:
            answer = self._write_env(workload, change, cause)
        else:
            answer = self._write_live(workload, workload.live, change)
        _compare(answer, change)
        return answer

    def withdraw(self, workload: Workload) -> Workload:
        """Have every write refused that was sent before and is still on its way.

        The label ``gc-tuner.io/withdrawn`` is set and taken away again: that makes it another
        version, also where an earlier attempt left the label behind. An annotation would count as
        a generation of a Deployment, and be copied to its ReplicaSet.

        Raises:
            ConflictError: The workload or its ConfigMap changed since it was fetched.
            GoneError: It does not exist.
            RefusedError: There is no such channel, the API server refused, or let neither pass.
            UnavailableError: It is not known whether it was written.
        """
        answer = self._label(self._label(workload, "true"), None)
        if _version(answer) == _version(workload):
            raise RefusedError(f"{workload.key}: the label {WITHDRAWN} makes no other version")
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

    def _label(self, workload: Workload, text: str | None) -> Workload:
        labels = {WITHDRAWN: text}
        if workload.live is None:
            metadata = {"resourceVersion": workload.resource_version, "labels": labels}
            return self._patch(workload, {"metadata": metadata})
        written = self._live_of(workload, workload.live).label(
            workload.key.namespace,
            workload.live.config_map,
            workload.live.resource_version,
            labels,
        )
        return with_live(workload, written, found=True)

    def _write_env(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        entries = _entries(workload, change)
        metadata: dict[str, Any] = {"resourceVersion": workload.resource_version}
        if workload.cause_is_ours or (workload.change_cause is None and cause is not None):
            text = None if cause is None else f"{CAUSE_PREFIX}{cause}"
            metadata["annotations"] = {CHANGE_CAUSE: text}
        template = {"spec": {"containers": [{"name": change.container, "env": entries}]}}
        return self._patch(workload, {"metadata": metadata, "spec": {"template": template}})

    def _write_live(self, workload: Workload, channel: LiveChannel, change: Change) -> Workload:
        live = self._live_of(workload, channel)
        if change.container not in containers_of(workload):
            raise RefusedError(
                f"{workload.key}: container {change.container!r} does not take its settings from "
                f"ConfigMap {channel.config_map!r}"
            )
        values = {move.name: move.after for move in change.settings}
        namespace = workload.key.namespace
        written = live.write(namespace, channel.config_map, channel.resource_version, values)
        return with_live(workload, written, found=True)

    def _live_of(self, workload: Workload, channel: LiveChannel) -> LiveConfigMaps:
        if channel.trouble or self._live is None:
            why = channel.trouble or "the live channel is not in use here"
            raise RefusedError(f"{workload.key}: {why}")
        return self._live

    def _patch(self, workload: Workload, body: Mapping[str, Any]) -> Workload:
        key = workload.key
        request = Request(
            verb="patch",
            what=f"{key.kind.lower()} {key.namespace}/{key.name}",
            path=WORKLOADS[key.kind].path(key.namespace, key.name),
            query={"fieldManager": FIELD_MANAGER},
            body=body,
            content_type=STRATEGIC_MERGE,
        )
        return answered_workload(key.kind, request, self._api.ask(request))


def _version(workload: Workload) -> str:
    """Of what holds the settings."""
    return workload.resource_version if workload.live is None else workload.live.resource_version


def _check(workload: Workload, change: Change) -> None:
    """Refuse what must not reach the API server."""
    if workload.container(change.container) is None:
        # A patch would add a container.
        raise RefusedError(f"{workload.key}: there is no container {change.container!r}")
    for move in change.settings:
        require_well_formed(str(workload.key), move.name, move.after)


def _entries(workload: Workload, change: Change) -> list[dict[str, str]]:
    """The patch's env entries, under the names that the workload has for the settings."""
    names = {setting: name for name, setting in tuned_names(workload.annotations).items()}
    for move in change.settings:
        if move.name not in names:
            raise RefusedError(
                f"{workload.key}: no env entry for {move.name}: name one with the annotation "
                f"{ANNOTATION_PREFIX}{BARRIER_ENV}"
            )
    return [_entry(names[move.name], move) for move in change.settings]


def _entry(name: str, move: Setting) -> dict[str, str]:
    if move.after is None:
        return {"name": name, "$patch": "delete"}
    return {"name": name, "value": move.after}


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
            raise AlteredError(
                f"{answer.key}: asked for {move.name}={move.after or 'unset'} in container "
                f"{change.container!r}, the API server's answer has {found}",
                answer,
            )
