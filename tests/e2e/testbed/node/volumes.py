"""Volumes as files: what they hold, and how they are swapped under a running reader."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.environment import (
    ConfigError,
    References,
    Sources,
    config_map_entries,
    secret_entries,
)
from tests.e2e.testbed.node.fields import field_value, resource_value
from tests.e2e.testbed.node.objects import pod_containers, pod_init_containers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.e2e.testbed.node.fields import PodFacts
    from tests.e2e.testbed.node.objects import JsonObject

_DEFAULT_MODE = 0o644
_CURRENT = "..data"


@dataclass(frozen=True)
class VolumeFile:
    """One file of a volume."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class TokenRequest:
    """A service-account token that a projected volume asks for."""

    audience: str | None
    expiration_seconds: int


def volume_references(volume: JsonObject) -> References:
    """Return what ConfigMaps and Secrets a volume reads."""
    config_maps: set[str] = set()
    secret_names: set[str] = set()
    for source in _sources(volume):
        if "configMap" in source:
            config_maps.add(source["configMap"]["name"])
        if "secret" in source:
            secret = source["secret"]
            secret_names.add(secret.get("secretName") or secret["name"])
    return References(frozenset(config_maps), frozenset(secret_names))


def token_requests(volume: JsonObject) -> tuple[TokenRequest, ...]:
    """Return the tokens that a projected volume asks for."""
    return tuple(
        _token_request(source["serviceAccountToken"])
        for source in _sources(volume)
        if "serviceAccountToken" in source
    )


def is_writable(volume: JsonObject) -> bool:
    """Tell whether containers may write into a volume."""
    return "emptyDir" in volume


def volume_files(
    volume: JsonObject,
    pod: JsonObject,
    sources: Sources,
    facts: PodFacts,
    tokens: Mapping[TokenRequest, str],
) -> dict[str, VolumeFile]:
    """Return the files of a volume by their path inside it.

    Raises:
        ConfigError: something that the volume needs is missing, or its type is not supported.
    """
    if "emptyDir" in volume:
        return {}
    files: dict[str, VolumeFile] = {}
    found = False
    for source in _sources(volume):
        found = True
        mode = int(source.get("defaultMode") or _DEFAULT_MODE)
        if "configMap" in source:
            reference = source["configMap"]
            item = sources.config_maps.get(reference["name"])
            entries = None if item is None else config_map_entries(item)
            label = f'configmap "{reference["name"]}"'
            files.update(_selected(reference, entries, label, mode))
        elif "secret" in source:
            reference = source["secret"]
            name = reference.get("secretName") or reference["name"]
            item = sources.secrets.get(name)
            entries = None if item is None else secret_entries(item)
            files.update(_selected(reference, entries, f'secret "{name}"', mode))
        elif "downwardAPI" in source:
            files.update(_downward(source["downwardAPI"], pod, facts, mode))
        else:
            reference = source["serviceAccountToken"]
            token = tokens[_token_request(reference)]
            files[reference["path"]] = VolumeFile(token.encode(), mode)
    if not found:
        kinds = ", ".join(sorted(set(volume) - {"name"}))
        message = f"volume {volume['name']!r} has an unsupported type: {kinds}"
        raise ConfigError(message)
    return files


def write_volume(directory: Path, files: Mapping[str, VolumeFile]) -> bool:
    """Make a directory hold exactly these files, in one atomic step.

    As the kubelet's AtomicWriter: the files lie in a fresh time-stamped directory, `..data` is a
    symbolic link to it that is replaced by rename, and each visible name is a link through
    `..data`. Returns False when the content is already there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    current = directory / _CURRENT
    if current.is_symlink() and _same(current, files):
        return False
    stamp = datetime.now(UTC).strftime("%Y_%m_%d_%H_%M_%S")
    fresh = directory / f"..{stamp}.{secrets.token_hex(4)}"
    fresh.mkdir(mode=0o755)
    for path, file in files.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    previous = current.resolve() if current.is_symlink() else None
    staged = directory / "..data_tmp"
    staged.unlink(missing_ok=True)
    staged.symlink_to(fresh.name)
    staged.rename(current)
    _link_visible_names(directory, {path.split("/", 1)[0] for path in files})
    if previous is not None:
        shutil.rmtree(previous, ignore_errors=True)
    return True


def mounted_volumes(pod: JsonObject) -> list[JsonObject]:
    """Return the volumes of a pod that a container mounts."""
    mounted = {
        mount["name"]
        for container in (*pod_init_containers(pod), *pod_containers(pod))
        for mount in container.get("volumeMounts") or []
    }
    return [volume for volume in pod["spec"].get("volumes") or [] if volume["name"] in mounted]


def _sources(volume: JsonObject) -> Iterator[JsonObject]:
    """Yield each thing a volume is made of, each with the mode that holds for it."""
    if "projected" in volume:
        projected = volume["projected"]
        for source in projected.get("sources") or []:
            yield {**source, "defaultMode": projected.get("defaultMode")}
        return
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            yield {kind: volume[kind], "defaultMode": volume[kind].get("defaultMode")}


def _token_request(reference: JsonObject) -> TokenRequest:
    return TokenRequest(reference.get("audience"), int(reference.get("expirationSeconds") or 3600))


def _selected(
    reference: JsonObject, entries: Mapping[str, bytes] | None, label: str, mode: int
) -> Iterator[tuple[str, VolumeFile]]:
    optional = bool(reference.get("optional"))
    if entries is None:
        if optional:
            return
        message = f"{label} not found"
        raise ConfigError(message)
    items = reference.get("items")
    if not items:
        for key, content in entries.items():
            yield key, VolumeFile(content, mode)
        return
    for item in items:
        selected = entries.get(item["key"])
        if selected is not None:
            yield item["path"], VolumeFile(selected, int(item.get("mode") or mode))
        elif not optional:
            message = f"{label} references non-existent config key: {item['key']}"
            raise ConfigError(message)


def _downward(
    reference: JsonObject, pod: JsonObject, facts: PodFacts, mode: int
) -> Iterator[tuple[str, VolumeFile]]:
    containers = {item["name"]: item for item in (*pod_init_containers(pod), *pod_containers(pod))}
    for item in reference.get("items") or []:
        try:
            if "fieldRef" in item:
                text = field_value(pod, item["fieldRef"]["fieldPath"], facts)
            else:
                resource = item["resourceFieldRef"]
                text = resource_value(containers[resource["containerName"]], resource, facts)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        yield item["path"], VolumeFile(text.encode(), int(item.get("mode") or mode))


def _same(current: Path, files: Mapping[str, VolumeFile]) -> bool:
    root = current.resolve()
    present = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return present == set(files) and all(
        (current / path).read_bytes() == file.content for path, file in files.items()
    )


def _link_visible_names(directory: Path, names: set[str]) -> None:
    for name in names:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{_CURRENT}/{name}")
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
