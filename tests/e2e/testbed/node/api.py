"""The Kubernetes API over HTTP with raw JSON, and a mirror of a collection kept by a watch."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import random
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import yaml

from tests.e2e.testbed.node.objects import name_of, namespace_of, uid_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tests.e2e.testbed.node.objects import JsonObject

_LOG = logging.getLogger(__name__)
_GONE = 410
_ERRORS_FROM = 400
_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=15)
# The server ends a watch after 300 s at most; until then a quiet collection may say nothing at all.
_LONGEST_WATCH_SECONDS = 300
_WATCH_TIMEOUT = aiohttp.ClientTimeout(
    total=None, sock_connect=5, sock_read=_LONGEST_WATCH_SECONDS + 30
)
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.1, 2.0

STRATEGIC_MERGE = "application/strategic-merge-patch+json"

Unreachable = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


class ApiError(Exception):
    """The API server answered with an error status."""

    def __init__(self, status: int, body: JsonObject) -> None:
        """Take the HTTP status and the `Status` object."""
        super().__init__(f"{status} {body.get('reason', '')}: {body.get('message', '')}")
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Access:
    """Where the API server is and how to be let in."""

    server: str
    token: str | None
    tls: ssl.SSLContext | None


def read_kubeconfig(path: Path) -> Access:
    """Read the current context of a kubeconfig file."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    context = _named(config, "contexts", config["current-context"])["context"]
    cluster = _named(config, "clusters", context["cluster"])["cluster"]
    user = _named(config, "users", context["user"])["user"]
    server = str(cluster["server"]).rstrip("/")
    tls = _tls_context(cluster, user, path.parent) if server.startswith("https:") else None
    token = user.get("token")
    if token is None and "tokenFile" in user:
        token = (path.parent / user["tokenFile"]).read_text(encoding="utf-8").strip()
    return Access(server=server, token=token, tls=tls)


class Api:
    """A thin client: one method a verb, JSON in and out."""

    def __init__(self, access: Access) -> None:
        """Remember where to go; nothing is opened before `__aenter__`."""
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the session."""
        headers = {"User-Agent": "testbed-node"}
        if self._access.token:
            headers["Authorization"] = f"Bearer {self._access.token}"
        connector = (
            aiohttp.TCPConnector(limit=0)
            if self._access.tls is None
            else aiohttp.TCPConnector(limit=0, ssl=self._access.tls)
        )
        self._session = aiohttp.ClientSession(
            headers=headers, connector=connector, timeout=_REQUEST_TIMEOUT
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **params: str) -> JsonObject:
        """Read an object or a list."""
        return await self._request("GET", path, params=params)

    async def create(self, path: str, body: JsonObject) -> JsonObject:
        """Create an object, or a subresource such as a token."""
        return await self._request("POST", path, body=body)

    async def replace(self, path: str, body: JsonObject) -> JsonObject:
        """Write a whole object."""
        return await self._request("PUT", path, body=body)

    async def patch(self, path: str, body: JsonObject) -> JsonObject:
        """Apply a strategic-merge patch."""
        return await self._request("PATCH", path, body=body, content_type=STRATEGIC_MERGE)

    async def delete(self, path: str, options: JsonObject) -> JsonObject:
        """Delete an object."""
        return await self._request("DELETE", path, body=options)

    async def watch(
        self, path: str, headers: Mapping[str, str], params: Mapping[str, str]
    ) -> AsyncIterator[tuple[str, JsonObject]]:
        """Yield (type, object) until the server ends the watch."""
        query = {"watch": "true", "allowWatchBookmarks": "true", **params}
        async with self._open.get(
            self._access.server + path, params=query, headers=headers, timeout=_WATCH_TIMEOUT
        ) as response:
            if response.status >= _ERRORS_FROM:
                raise ApiError(response.status, await _error_body(response))
            pending = bytearray()
            async for chunk in response.content.iter_any():
                pending += chunk
                if b"\n" not in chunk:
                    continue
                *lines, rest = pending.split(b"\n")
                pending = bytearray(rest)
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]

    async def list(
        self, path: str, headers: Mapping[str, str], params: Mapping[str, str]
    ) -> JsonObject:
        """Read a collection; served from the server's cache, as a reflector may."""
        return await self._request(
            "GET", path, params={"resourceVersion": "0", **params}, headers=headers
        )

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            message = "the API client is used outside its context"
            raise RuntimeError(message)
        return self._session

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: JsonObject | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> JsonObject:
        async with self._open.request(
            method,
            self._access.server + path,
            params=params,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type, **(headers or {})},
        ) as response:
            if response.status >= _ERRORS_FROM:
                raise ApiError(response.status, await _error_body(response))
            answer: JsonObject = json.loads(await response.read())
            return answer


@dataclass
class Mirror:
    """A local copy of a collection, kept up to date by a watch for as long as `run` runs.

    `changed` is called with the object and whether it still exists. What is in the copy survives
    an API server that is away; after it comes back the copy is corrected by a fresh list.
    `revision` is another number after each change.
    """

    api: Api
    path: str
    changed: Callable[[JsonObject, bool], None] = lambda _item, _exists: None
    params: Mapping[str, str] = field(default_factory=dict)
    metadata_only: bool = False
    by_uid: dict[str, JsonObject] = field(default_factory=dict)
    by_name: dict[tuple[str, str], JsonObject] = field(default_factory=dict)
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    revision: int = 0

    async def run(self) -> None:
        """List and watch for ever."""
        delay = _FIRST_RETRY_SECONDS
        while True:
            try:
                version = await self._list()
                delay = _FIRST_RETRY_SECONDS
                await self._follow(version)
            except (*Unreachable, ApiError, json.JSONDecodeError) as error:
                # Once an outage is enough.
                if delay == _FIRST_RETRY_SECONDS:
                    _LOG.info("%s: %s", self.path, str(error) or type(error).__name__)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LAST_RETRY_SECONDS)

    async def _list(self) -> str:
        listing = await self.api.list(self.path, self._headers("List"), self.params)
        items = {uid_of(item): item for item in listing.get("items") or []}
        for uid in [uid for uid in self.by_uid if uid not in items]:
            self._remove(self.by_uid[uid])
        for item in items.values():
            self._store(item)
        self.synced.set()
        return str(listing["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> None:
        """Watch, and watch again from where the last one ended, until the version expires."""
        while True:
            seconds = str(random.randint(240, _LONGEST_WATCH_SECONDS))  # noqa: S311 - spread, not secrecy
            params = {"resourceVersion": version, "timeoutSeconds": seconds, **self.params}
            async for kind, item in self.api.watch(self.path, self._headers(""), params):
                if kind == "ERROR":
                    if item.get("code") == _GONE:
                        return
                    raise ApiError(int(item.get("code") or 0), item)
                version = str(item["metadata"]["resourceVersion"])
                if kind == "DELETED":
                    self._remove(item)
                elif kind != "BOOKMARK":
                    self._store(item)

    def _headers(self, suffix: str) -> dict[str, str]:
        if not self.metadata_only:
            return {"Accept": "application/json"}
        kind = f"PartialObjectMetadata{suffix}"
        return {"Accept": f"application/json;as={kind};g=meta.k8s.io;v=v1"}

    def _store(self, item: JsonObject) -> None:
        known = self.by_uid.get(uid_of(item))
        version = item["metadata"]["resourceVersion"]
        if known is not None and known["metadata"]["resourceVersion"] == version:
            return
        item["metadata"].pop("managedFields", None)
        replaced = self.by_name.get((namespace_of(item), name_of(item)))
        if replaced is not None and uid_of(replaced) != uid_of(item):
            self._remove(replaced)
        self.by_uid[uid_of(item)] = item
        self.by_name[namespace_of(item), name_of(item)] = item
        self.revision += 1
        self.changed(item, True)

    def _remove(self, item: JsonObject) -> None:
        if self.by_uid.pop(uid_of(item), None) is None:
            return
        self.by_name.pop((namespace_of(item), name_of(item)), None)
        self.revision += 1
        self.changed(item, False)


def _named(config: JsonObject, section: str, name: str) -> JsonObject:
    return next(item for item in config[section] if item["name"] == name)


def _tls_context(cluster: JsonObject, user: JsonObject, directory: Path) -> ssl.SSLContext:
    authority = _material(cluster, "certificate-authority", directory)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _material(user, "client-certificate", directory)
    key = _material(user, "client-key", directory)
    if certificate and key:
        # The ssl module takes a client certificate from a file only.
        descriptor, name = tempfile.mkstemp()
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(certificate + b"\n" + key)
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()
    return context


def _material(section: JsonObject, name: str, directory: Path) -> bytes | None:
    if f"{name}-data" in section:
        return base64.b64decode(str(section[f"{name}-data"]))
    if name in section:
        return (directory / str(section[name])).read_bytes()
    return None


async def _error_body(response: aiohttp.ClientResponse) -> JsonObject:
    text = await response.text()
    try:
        body: Any = json.loads(text)
    except json.JSONDecodeError:
        body = None
    return body if isinstance(body, dict) else {"message": text}
