"""A Lease of coordination.k8s.io: read, made, claimed and given up, each by one request.

Every update names uid and resourceVersion. Without the uid, the API server would make a Lease anew
that was deleted since it was read. Times are MicroTime: six digits after the point, or refused.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import msgspec

from tuner.cluster.client import Request, decoded
from tuner.cluster.collection import LEASES
from tuner.cluster.rfc3339 import micro_time
from tuner.election import Lease
from tuner.errors import GoneError
from tuner.model.workload import FIELD_MANAGER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tuner.cluster.client import Api

_RELEASED_SECONDS = 1
"""What client-go writes for a Lease that was given up: as it may not be 0."""


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    uid: str
    resource_version: str


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _Spec = _Spec()


_DECODER = msgspec.json.Decoder(_Lease)


class LeaseObject:
    """One Lease."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        *,
        duration_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is asked yet.

        Args:
            api: The way to the API server: not one whose writes wait for this Lease.
            namespace: Of the Lease.
            name: Of the Lease.
            duration_seconds: How long a holder asks to be waited for; whole seconds are written.
            clock: Wall clock, seconds since the Unix epoch; for people.
        """
        self._api = api
        self._namespace = namespace
        self.name = name
        self._duration_seconds = math.ceil(duration_seconds)
        self._clock = clock

    def __str__(self) -> str:
        return f"lease {self._namespace}/{self.name}"

    def read(self, timeout_seconds: float) -> Lease | None:
        """What it says now; None where there is none.

        Raises:
            ClusterError: The API server cannot be asked.
        """
        try:
            return self._ask("get", None, timeout_seconds)
        except GoneError:
            return None

    def claim(self, over: Lease | None, identity: str, timeout_seconds: float) -> Lease:
        """Become or stay its holder.

        Args:
            over: The version that may be overwritten; None: there is none, make one.
            identity: Of the holder.
            timeout_seconds: Longest time to connect, and again to wait for the answer.

        Returns:
            What the API server answered that it says now.

        Raises:
            ConflictError: It is not at that version any more, is gone, or is there already.
            ClusterError: It was not written, or it is not known whether it was.
        """
        now = micro_time(self._clock())
        stays = over is not None and over.holder == identity
        spec = {
            "holderIdentity": identity,
            "leaseDurationSeconds": self._duration_seconds,
            "acquireTime": (over.acquired_at if over is not None and stays else "") or now,
            "renewTime": now,
            "leaseTransitions": 0 if over is None else over.transitions + (0 if stays else 1),
        }
        return self._write(over, spec, timeout_seconds)

    def release(self, held: Lease, timeout_seconds: float) -> None:
        """Give it up: whoever is next need not wait.

        Raises:
            ConflictError: It is not at that version any more.
            ClusterError: It was not written, or it is not known whether it was.
        """
        now = micro_time(self._clock())
        spec = {
            "holderIdentity": "",
            "leaseDurationSeconds": _RELEASED_SECONDS,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": held.transitions,
        }
        self._write(held, spec, timeout_seconds)

    def _write(self, over: Lease | None, spec: Mapping[str, Any], timeout_seconds: float) -> Lease:
        metadata = {"name": self.name, "namespace": self._namespace}
        if over is not None:
            metadata |= {"uid": over.uid, "resourceVersion": over.version}
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": spec,
        }
        return self._ask("create" if over is None else "update", body, timeout_seconds)

    def _ask(self, verb: str, body: Mapping[str, Any] | None, timeout_seconds: float) -> Lease:
        request = Request(
            verb=verb,
            what=str(self),
            path=LEASES.path(self._namespace, "" if verb == "create" else self.name),
            query={} if verb == "get" else {"fieldManager": FIELD_MANAGER},
            body=body,
        )
        answer = self._api.ask(request, timeout_seconds)
        return self._lease(decoded(request, answer, _DECODER))

    def _lease(self, found: _Lease) -> Lease:
        spec = found.spec
        holder, seconds = spec.holder_identity or "", spec.lease_duration_seconds
        return Lease(
            uid=found.metadata.uid,
            version=found.metadata.resource_version,
            holder=holder,
            duration_seconds=seconds or self._duration_seconds,
            # One that was made by hand is empty too, and somebody may still count on the last one.
            released=not holder and seconds == _RELEASED_SECONDS,
            transitions=spec.lease_transitions or 0,
            acquired_at=spec.acquire_time or "",
        )
