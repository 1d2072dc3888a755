"""The volumes of one pod: filled, mounted, refreshed, their tokens renewed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.api import ApiError, Unreachable
from tests.e2e.testbed.node.environment import ConfigError, References, Sources
from tests.e2e.testbed.node.expansion import expand
from tests.e2e.testbed.node.objects import name_of, namespace_of, parse_timestamp, uid_of
from tests.e2e.testbed.node.process import Mount
from tests.e2e.testbed.node.staging import mount_refresh_seconds
from tests.e2e.testbed.node.volumes import (
    TokenRequest,
    is_writable,
    mounted_volumes,
    token_requests,
    volume_files,
    volume_references,
    write_volume,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.e2e.testbed.node.context import NodeContext
    from tests.e2e.testbed.node.fields import PodFacts
    from tests.e2e.testbed.node.lookup import Lookup
    from tests.e2e.testbed.node.objects import JsonObject

_LOG = logging.getLogger(__name__)
_ANYBODYS = 0o777  # a container of the pod may run as whoever it likes
_TOKEN_CHECK_SECONDS = 10.0
# The kubelet renews a token when a fifth of its life is left.
_TOKEN_LIFE_SHARE = 0.8


@dataclass
class Token:
    """A service-account token and when it must be renewed."""

    value: str
    renew_at: datetime


class PodVolumes:
    """Keeps the files of a pod's volumes below one directory.

    `pod` is the newest version of the pod's object and is to be kept so.
    """

    def __init__(
        self, pod: JsonObject, node: NodeContext, lookup: Lookup, facts: PodFacts, directory: Path
    ) -> None:
        """Take what is known; nothing is written before `fill`."""
        self.pod = pod
        self._node = node
        self._lookup = lookup
        self._facts = facts
        self._directory = directory
        self._sources = Sources()
        self._tokens: dict[TokenRequest, Token] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._label = f"{namespace_of(pod)}/{name_of(pod)}"

    def references(self) -> References:
        """Return the ConfigMaps and Secrets that the volumes show."""
        references = References()
        for volume in mounted_volumes(self.pod):
            references |= volume_references(volume)
        return references

    async def fill(self) -> None:
        """Write all volumes for the first time.

        Raises:
            ConfigError: what a volume shows is missing, or how often is malformed.
            ApiError: a token was refused.
        """
        self._refresh_seconds()
        self._sources = await self._lookup.fresh(self.references())
        await self._write()

    async def _write(self) -> None:
        for volume in mounted_volumes(self.pod):
            for request in token_requests(volume):
                if request not in self._tokens:
                    self._tokens[request] = await self._request_token(request)
            directory = self._place(volume["name"])
            tokens = {request: token.value for request, token in self._tokens.items()}
            files = volume_files(volume, self.pod, self._sources, self._facts, tokens)
            if is_writable(volume):
                directory.mkdir(parents=True, exist_ok=True)
                directory.chmod(_ANYBODYS)
            else:
                write_volume(directory, files)

    def mounts(self, container: JsonObject, variables: Mapping[str, str]) -> list[Mount]:
        """Return where a container wants which volume; `variables` fill in `subPathExpr`.

        Raises:
            ConfigError: a `subPath` names what the volume does not hold.
        """
        volumes = {volume["name"]: volume for volume in self.pod["spec"].get("volumes") or []}
        mounts: list[Mount] = []
        for mount in container.get("volumeMounts") or []:
            volume = volumes[mount["name"]]
            source = self._place(mount["name"])
            below = expand(mount.get("subPathExpr") or "", variables) or mount.get("subPath")
            if below:
                source /= below
                if is_writable(volume):
                    source.mkdir(parents=True, exist_ok=True)
                elif not source.exists():
                    message = f"subPath {below!r} is not in volume {mount['name']!r}"
                    raise ConfigError(message)
                source = source.resolve()
            read_only = bool(mount.get("readOnly")) or not is_writable(volume)
            mounts.append(Mount(source, str(mount["mountPath"]).rstrip("/") or "/", read_only))
        return mounts

    def refresh_later(self) -> None:
        """Bring the files up to date once the refresh delay is over."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            await asyncio.sleep(self._refresh_seconds())
            # What comes from here on needs a refresh of its own.
            self._refreshing = None
            self._sources = self._lookup.mirrored(self.references())
            await self._write()
        except (ConfigError, ApiError, *Unreachable) as error:
            # The files stay as they were, as in a real pod.
            _LOG.warning("%s: volumes not refreshed: %s", self._label, error)

    def _refresh_seconds(self) -> float:
        return mount_refresh_seconds(self.pod, self._node.mount_refresh_seconds)

    async def renew_tokens(self) -> None:
        """Renew tokens that grow old, for ever."""
        while True:
            await asyncio.sleep(_TOKEN_CHECK_SECONDS)
            due = [
                request
                for request, token in self._tokens.items()
                if datetime.now(UTC) >= token.renew_at
            ]
            for request in due:
                try:
                    self._tokens[request] = await self._request_token(request)
                    await self._write()
                except (ConfigError, ApiError, *Unreachable) as error:
                    _LOG.warning("%s: token not renewed: %s", self._label, error)

    async def _request_token(self, request: TokenRequest) -> Token:
        account = self.pod["spec"].get("serviceAccountName") or "default"
        spec: JsonObject = {
            "expirationSeconds": request.expiration_seconds,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": name_of(self.pod),
                "uid": uid_of(self.pod),
            },
        }
        if request.audience:
            spec["audiences"] = [request.audience]
        answer = await self._node.api.create(
            f"/api/v1/namespaces/{namespace_of(self.pod)}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
        )
        now = datetime.now(UTC)
        expires = parse_timestamp(answer["status"]["expirationTimestamp"])
        life = min((expires - now).total_seconds(), 24 * 3600.0)
        return Token(answer["status"]["token"], now + timedelta(seconds=life * _TOKEN_LIFE_SHARE))

    def close(self) -> None:
        """Refresh no more."""
        if self._refreshing is not None:
            self._refreshing.cancel()

    def _place(self, name: str) -> Path:
        return self._directory / name
