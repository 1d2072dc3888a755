"""The live channel: ConfigMaps that services read while they run, so that no pod restarts.

A workload names its ConfigMap with the annotation ``gc-tuner.io/live``; the ConfigMap itself says
with a label of that name that it may be written. Both have to agree, so that nobody who may
annotate a workload can have gc-tuner write to another team's ConfigMap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from tuner.cluster.client import MERGE, Request, decoded
from tuner.cluster.collection import LIVE_CONFIG_MAPS
from tuner.cluster.managed import ManagedFields, owners
from tuner.cluster.mirror import Mirror, Upkeep, mirrored
from tuner.cluster.reflector import Item
from tuner.cluster.wellformed import require_well_formed
from tuner.errors import GoneError, RefusedError
from tuner.model.workload import FIELD_MANAGER, TUNED, EnvEntry, LiveChannel
from tuner.signals.container import ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tuner.cluster.client import Api
    from tuner.model.workload import Workload

LABEL = "gc-tuner.io/live"
LIVE = "live"
"""Annotation of a workload, without its prefix, that names its ConfigMap."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""A DNS subdomain, as Kubernetes wants it of a ConfigMap's name."""

_OVERRIDES = "gc-tuner-overrides"
"""What people order of gc-tuner: never its own to write, whatever its labels say."""

NamespacedName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What a live ConfigMap says, as of one resource version."""

    resource_version: str
    entries: Mapping[str, EnvEntry]
    """The tuned settings that are set, and only those."""


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str
    resource_version: str
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    managed_fields: list[ManagedFields] = []


class _ConfigMap(msgspec.Struct, frozen=True):
    metadata: _Metadata
    data: dict[str, str] = {}


_DECODER = msgspec.json.Decoder(_ConfigMap)


class LiveConfigMaps(Mirror):
    """The ConfigMaps with the label ``gc-tuner.io/live: "true"``, mirrored by list and watch."""

    def __init__(self, api: Api, upkeep: Upkeep, namespaces: Sequence[str] = ()) -> None:
        """Nothing is asked before ``start``.

        Args:
            api: The way to the API server.
            upkeep: How it is kept.
            namespaces: Empty for all of them.
        """
        self._api = api
        self._view = mirrored(api, LIVE_CONFIG_MAPS, namespaces, _read, upkeep)
        super().__init__(self._view)

    def of(self, namespace: str, name: str) -> LiveSettings | None:
        """What a ConfigMap says as last seen, own writes included at once; None without one.

        Raises:
            UnavailableError: The first list has not come in, or the view is too old to act on.
        """
        reflector = self._view.of(namespace)
        return None if reflector is None else reflector.values().get((namespace, name))

    def fetch(self, namespace: str, name: str) -> LiveSettings:
        """What a ConfigMap says now, asked of the API server.

        Raises:
            GoneError: It does not exist, is being deleted, or does not carry the label.
            ClusterError: The API server cannot be asked.
        """
        if not _may_be_live(name):
            raise GoneError(_trouble(namespace, name))
        return self._ask(_request("get", namespace, name))

    def write(
        self, namespace: str, name: str, resource_version: str, values: Mapping[str, str | None]
    ) -> LiveSettings:
        """Set or remove keys if the ConfigMap still is at a resource version.

        Args:
            namespace: Of the ConfigMap.
            name: Of the ConfigMap.
            resource_version: As fetched: it had the label then, and so it still has.
            values: By key; None removes it.

        Returns:
            What the API server answered that it says now.

        Raises:
            ConflictError: It changed since it was fetched; nothing was written.
            GoneError: It does not exist.
            RefusedError: A key is none of the tuned settings, a value is malformed, no version is
                given, or the API server refused.
            UnavailableError: It is not known whether it was written.
        """
        for key, value in values.items():
            require_well_formed(_words(namespace, name), key, value)
        return self._patch(namespace, name, resource_version, {"data": dict(values)})

    def label(
        self, namespace: str, name: str, resource_version: str, labels: Mapping[str, str | None]
    ) -> LiveSettings:
        """Set or remove labels if the ConfigMap still is at a resource version, as `write` does."""
        metadata = {"labels": dict(labels)}
        return self._patch(namespace, name, resource_version, {"metadata": metadata})

    def _patch(
        self, namespace: str, name: str, resource_version: str, body: Mapping[str, Any]
    ) -> LiveSettings:
        if not _may_be_live(name):
            raise RefusedError(_trouble(namespace, name))
        if not resource_version:
            # The patch would be unconditional.
            words = "it was not read before it is written"
            raise RefusedError(f"{_words(namespace, name)}: {words}")
        metadata = {**body.get("metadata", {}), "resourceVersion": resource_version}
        return self._ask(_request("patch", namespace, name, {**body, "metadata": metadata}))

    def _ask(self, request: Request) -> LiveSettings:
        """Ask for a ConfigMap, and take the answer into the view."""
        item = _item(decoded(request, self._api.ask(request), _DECODER))
        reflector = self._view.of(item.key[0])
        if reflector is not None:
            reflector.put(item)
        if item.value is None:
            raise GoneError(f'{request}: it is being deleted, or without the label {LABEL}: "true"')
        return item.value


def containers_of(workload: Workload) -> Collection[str]:
    """Names of the containers that a workload's live ConfigMap holds for.

    It is the one that the annotation ``gc-tuner.io/container`` names, else all of them.
    """
    wanted = workload.annotations.get(ANNOTATION)
    return [each.name for each in workload.containers if wanted in {None, each.name}]


def with_live(workload: Workload, settings: LiveSettings | None, found: bool) -> Workload:
    """A workload with the settings of its live ConfigMap in place of those of env.

    Args:
        workload: As its own JSON has it; one without the annotation is given back as it is.
        settings: What the ConfigMap says; None where that is not known.
        found: Whether it is there, with its label, and may be written.
    """
    name = workload.annotations.get(LIVE)
    if name is None:
        return workload
    trouble = "" if settings is not None and found else _trouble(workload.key.namespace, name)
    version = "" if settings is None else settings.resource_version
    entries = {} if settings is None else settings.entries
    fed = containers_of(workload)
    return replace(
        workload,
        live=LiveChannel(name, version, trouble),
        containers=tuple(
            replace(each, env=entries) if each.name in fed else each for each in workload.containers
        ),
    )


def _trouble(namespace: str, name: str) -> str:
    if not _may_be_live(name):
        return f"{_words(namespace, name)}: no live ConfigMap can have that name"
    return f'{_words(namespace, name)}: not found, or without the label {LABEL}: "true"'


def _may_be_live(name: str) -> bool:
    return name != _OVERRIDES and _NAME.fullmatch(name) is not None


def _words(namespace: str, name: str) -> str:
    return f"ConfigMap {namespace}/{name}"


def _request(
    verb: str, namespace: str, name: str, body: Mapping[str, Any] | None = None
) -> Request:
    return Request(
        verb=verb,
        what=f"configmap {namespace}/{name}",
        path=LIVE_CONFIG_MAPS.path(namespace, name),
        query={"fieldManager": FIELD_MANAGER} if verb == "patch" else {},
        body=body,
        content_type=MERGE,
    )


def _read(raw: bytes) -> Item[NamespacedName, LiveSettings]:
    return _item(_DECODER.decode(raw))


def _item(found: _ConfigMap) -> Item[NamespacedName, LiveSettings]:
    """A ConfigMap as an item; without a value where it may not be written."""
    metadata = found.metadata
    writable = (
        metadata.deletion_timestamp is None
        and metadata.labels.get(LABEL) == "true"
        and _may_be_live(metadata.name)
    )
    settings = LiveSettings(
        metadata.resource_version,
        {
            key: EnvEntry(
                # Whoever reads the file ignores white space around the value.
                value=found.data[key].strip(),
                owners=owners(metadata.managed_fields, key, partial(_holds, key)),
            )
            for key in TUNED
            if key in found.data
        },
    )
    key = (metadata.namespace, metadata.name)
    return Item(key, int(metadata.resource_version), settings if writable else None)


def _holds(key: str, fields: Any) -> bool:  # noqa: ANN401 - JSON of any shape
    """Whether a tree of fieldsV1 reaches a key of the data."""
    return f"f:{key}" in fields.get("f:data", {})
