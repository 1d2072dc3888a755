"""Leases of a server that remembers, as the API server keeps them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.contract.cluster.server import Asked, FakeApiServer, Reply, json_reply, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ops/leases"
CONFLICT = refused(409, "Conflict", "the object has been modified")
NOT_FOUND = refused(404, "NotFound", "not found")


@dataclass
class Leases:
    """The Leases of the namespace ``ops``, by name."""

    server: FakeApiServer
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def serve(self, name: str) -> None:
        """Answer for a Lease from now on."""
        path = f"{LEASES}/{name}"
        self.server.on("GET", path, lambda _: self._read(name))
        self.server.on("PUT", path, self._update)
        self.server.on("POST", LEASES, self._create)

    def holder(self, name: str) -> str | None:
        """Who holds it; None where there is none."""
        lease = self.stored.get(name)
        return None if lease is None else str(lease["spec"].get("holderIdentity", ""))

    def put(self, name: str, **spec: Any) -> None:  # noqa: ANN401 - of a Lease
        """Write it as somebody else would."""
        known = self.stored.get(name, {"metadata": {"uid": f"uid-{next(self._numbers)}"}})
        self._store({"metadata": {**known["metadata"], "name": name}, "spec": spec})

    def _read(self, name: str) -> Reply:
        lease = self.stored.get(name)
        return NOT_FOUND if lease is None else json_reply(lease)

    def _create(self, asked: Asked) -> Reply:
        if asked.json["metadata"]["name"] in self.stored:
            return refused(409, "AlreadyExists", "it exists")
        lease = json.loads(asked.body)
        lease["metadata"]["uid"] = f"uid-{next(self._numbers)}"
        return json_reply(self._store(lease), 201)

    def _update(self, asked: Asked) -> Reply:
        lease = json.loads(asked.body)
        known = self.stored.get(lease["metadata"]["name"], {"metadata": {}})["metadata"]
        given = lease["metadata"]
        same = all(given[each] == known.get(each) for each in ("uid", "resourceVersion"))
        return json_reply(self._store(lease)) if same else CONFLICT

    def _store(self, lease: dict[str, Any]) -> dict[str, Any]:
        lease["metadata"]["resourceVersion"] = str(next(self._numbers))
        self.stored[lease["metadata"]["name"]] = lease
        return lease
