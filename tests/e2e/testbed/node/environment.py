"""The environment of a container, put together as the kubelet does it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.expansion import expand
from tests.e2e.testbed.node.fields import field_value, resource_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.testbed.node.fields import PodFacts
    from tests.e2e.testbed.node.objects import JsonObject


class ConfigError(Exception):
    """A container cannot be created because something it refers to is not there."""


@dataclass(frozen=True)
class Sources:
    """ConfigMaps and Secrets of one namespace, by name; what is absent does not exist."""

    config_maps: Mapping[str, JsonObject] = field(default_factory=dict)
    secrets: Mapping[str, JsonObject] = field(default_factory=dict)


@dataclass(frozen=True)
class References:
    """The names of the ConfigMaps and Secrets that something reads."""

    config_maps: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()

    def __or__(self, other: References) -> References:
        """Unite two sets of names."""
        return References(self.config_maps | other.config_maps, self.secrets | other.secrets)


def config_map_entries(item: JsonObject) -> dict[str, bytes]:
    """Return the keys of a ConfigMap with their content."""
    texts = {key: value.encode() for key, value in (item.get("data") or {}).items()}
    binaries = {
        key: base64.b64decode(value) for key, value in (item.get("binaryData") or {}).items()
    }
    return texts | binaries


def secret_entries(item: JsonObject) -> dict[str, bytes]:
    """Return the keys of a Secret with their decoded content."""
    return {key: base64.b64decode(value) for key, value in (item.get("data") or {}).items()}


def environment_references(container: JsonObject) -> References:
    """Return what a container's `env` and `envFrom` read."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for source in container.get("envFrom") or []:
        if "configMapRef" in source:
            config_maps.add(source["configMapRef"]["name"])
        if "secretRef" in source:
            secrets.add(source["secretRef"]["name"])
    for entry in container.get("env") or []:
        source = entry.get("valueFrom") or {}
        if "configMapKeyRef" in source:
            config_maps.add(source["configMapKeyRef"]["name"])
        if "secretKeyRef" in source:
            secrets.add(source["secretKeyRef"]["name"])
    return References(frozenset(config_maps), frozenset(secrets))


def resolve_environment(
    container: JsonObject,
    pod: JsonObject,
    sources: Sources,
    facts: PodFacts,
    base: Mapping[str, str],
) -> dict[str, str]:
    """Return the variables of a container on top of `base` (the image's and the node's own).

    `envFrom` comes first, `env` overrides it; each literal value may use the variables above it
    by `$(NAME)`; values that come from elsewhere are taken as they are.

    Raises:
        ConfigError: a ConfigMap, Secret or key is missing and not optional, or a field unknown.
    """
    variables = dict(base)
    for source in container.get("envFrom") or []:
        variables.update(_imported(source, sources))
    for entry in container.get("env") or []:
        if entry.get("valueFrom"):
            value = _referenced(entry["valueFrom"], container, pod, sources, facts)
            if value is None:
                continue
        else:
            value = expand(str(entry.get("value") or ""), variables)
        variables[str(entry["name"])] = value
    return variables


def _imported(source: JsonObject, sources: Sources) -> Iterator[tuple[str, str]]:
    prefix = source.get("prefix") or ""
    for kind, objects, entries in (
        ("configMapRef", sources.config_maps, config_map_entries),
        ("secretRef", sources.secrets, secret_entries),
    ):
        reference = source.get(kind)
        if not reference:
            continue
        item = objects.get(reference["name"])
        if item is None:
            if reference.get("optional"):
                continue
            raise ConfigError(_not_found(kind, reference["name"]))
        for key, value in entries(item).items():
            yield prefix + key, value.decode(errors="surrogateescape")


def _referenced(
    source: JsonObject,
    container: JsonObject,
    pod: JsonObject,
    sources: Sources,
    facts: PodFacts,
) -> str | None:
    try:
        if "fieldRef" in source:
            return field_value(pod, source["fieldRef"]["fieldPath"], facts)
        if "resourceFieldRef" in source:
            reference = source["resourceFieldRef"]
            return resource_value(container, reference, facts)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    for kind, objects, entries in (
        ("configMapKeyRef", sources.config_maps, config_map_entries),
        ("secretKeyRef", sources.secrets, secret_entries),
    ):
        reference = source.get(kind)
        if not reference:
            continue
        item = objects.get(reference["name"])
        if item is None:
            if reference.get("optional"):
                return None
            raise ConfigError(_not_found(kind, reference["name"]))
        value = entries(item).get(reference["key"])
        if value is None:
            if reference.get("optional"):
                return None
            message = f"couldn't find key {reference['key']} in {_title(kind)} {reference['name']}"
            raise ConfigError(message)
        return value.decode(errors="surrogateescape")
    message = f"unsupported env source: {', '.join(source)}"
    raise ConfigError(message)


def _title(kind: str) -> str:
    return "ConfigMap" if kind.startswith("configMap") else "Secret"


def _not_found(kind: str, name: str) -> str:
    return f'{_title(kind).lower()} "{name}" not found'
