"""ConfigMaps and Secrets of a namespace, from the API or from what the watches have told."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.api import ApiError, Unreachable
from tests.e2e.testbed.node.environment import References, Sources
from tests.e2e.testbed.node.objects import name_of

if TYPE_CHECKING:
    from tests.e2e.testbed.node.context import NodeContext
    from tests.e2e.testbed.node.objects import JsonObject

_LOG = logging.getLogger(__name__)
_NOT_FOUND = 404


class Lookup:
    """Finds what the pods of one namespace refer to."""

    def __init__(self, node: NodeContext, namespace: str) -> None:
        """Take the ways to the API; nothing is read yet."""
        self._api = node.api
        self._config_maps = node.config_maps
        self._secrets = node.secrets
        self._namespace = namespace

    async def fresh(self, references: References) -> Sources:
        """Read what a start needs fresh from the API; while that is away, from the last known."""
        config_maps = await asyncio.gather(
            *(self._fetch_one("configmaps", name) for name in sorted(references.config_maps))
        )
        secrets = await asyncio.gather(
            *(self._fetch_one("secrets", name) for name in sorted(references.secrets))
        )
        return Sources(
            {name_of(item): item for item in config_maps if item is not None},
            {name_of(item): item for item in secrets if item is not None},
        )

    async def _fetch_one(self, resource: str, name: str) -> JsonObject | None:
        try:
            return await self._api.get(f"/api/v1/namespaces/{self._namespace}/{resource}/{name}")
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            _LOG.warning("%s %s/%s: %s", resource, self._namespace, name, error)
        except Unreachable as error:
            _LOG.warning("%s %s/%s: %s", resource, self._namespace, name, error)
        mirror = self._config_maps if resource == "configmaps" else self._secrets
        return mirror.by_name.get((self._namespace, name))

    def mirrored(self, references: References) -> Sources:
        """Return what the watches have last told."""
        found: list[dict[str, JsonObject]] = []
        for mirror, names in (
            (self._config_maps, references.config_maps),
            (self._secrets, references.secrets),
        ):
            items = {name: mirror.by_name.get((self._namespace, name)) for name in names}
            found.append({name: item for name, item in items.items() if item is not None})
        return Sources(*found)
