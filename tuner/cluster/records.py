"""The Records port: a GCTuning object beside each workload, owned by it.

Reading goes by the mirror, with the answers to our own writes put in ahead of the watch, so that
what was saved is read again at once and what was deleted stays deleted. On a conflict it reads
again, and puts its own record there if nobody wrote another one.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tuner.cluster.client import Request, decoded
from tuner.cluster.collection import APPLY_DEFINITION, RECORDS, WORKLOADS
from tuner.cluster.mirror import Mirror, Upkeep, mirrored
from tuner.cluster.reflector import Item
from tuner.cluster.rfc3339 import times_to_seconds, times_to_text
from tuner.errors import ConflictError, GoneError, RefusedError
from tuner.model.record import Record
from tuner.model.workload import FIELD_MANAGER, Kind, Workload, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuner.cluster.client import Api
    from tuner.ports import Inventory

_SAVE_ATTEMPTS = 4
_NAME_LENGTH = 253
_DIGEST_LENGTH = 10


class StoredRecord(NamedTuple):
    """A GCTuning object, reduced to what reading and writing it takes."""

    uid: str
    owner_uid: str | None
    """The workload that it was made for."""
    version: int
    record: Record | None
    """None where there is none yet, or none that can be read."""


class _Owner(msgspec.Struct):
    uid: str


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    uid: str
    resource_version: str
    owner_references: list[_Owner] = []


class _Target(msgspec.Struct, rename="camel"):
    kind: str
    name: str


class _Spec(msgspec.Struct, rename="camel"):
    target_ref: _Target


class _Tuning(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Tuning)
# `convert` below meets a type that is known by then: msgspec crashes where two threads are the
# first to show it one.
msgspec.json.Decoder(Record)


def record_name(key: WorkloadKey) -> str:
    """Name of a workload's GCTuning object: cut, and told apart by a digest, where it is too long.

    A workload's own name may take all 253 characters.
    """
    name = f"{key.kind.value.lower()}-{key.name}"
    if len(name) <= _NAME_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: _NAME_LENGTH - _DIGEST_LENGTH - 1].rstrip('-.')}-{digest}"


def status_of(record: Record) -> dict[str, Any]:
    """A record as the object's status."""
    return dict(times_to_text(msgspec.to_builtins(record)))


def record_of(status: Mapping[str, Any]) -> Record:
    """The record in an object's status.

    Raises:
        ValueError: A time cannot be read.
        msgspec.ValidationError: It is not a record.
    """
    return msgspec.convert(times_to_seconds(status), Record)  # noqa: TID251 - see _DECODER


class ClusterRecords(Mirror):
    """Records kept as GCTuning objects."""

    def __init__(
        self, api: Api, upkeep: Upkeep, inventory: Inventory, namespaces: Sequence[str] = ()
    ) -> None:
        """Nothing is asked before ``start``.

        Args:
            api: The way to the API server.
            upkeep: How it is kept; ``report`` is told once of each record that cannot be read.
            inventory: Tells whether a workload is still the one that a record was made for.
            namespaces: Empty for all of them.
        """
        self._api = api
        self._inventory = inventory
        self._report = upkeep.report
        self._reported: dict[WorkloadKey, int] = {}
        self._view = mirrored(api, RECORDS, namespaces, self._read, upkeep)
        super().__init__(self._view)

    def all(self) -> Mapping[WorkloadKey, Record]:
        """Every record that can be read, own writes included at once; costs nothing to ask for.

        The record of a workload that was deleted and made anew under the same name is not the new
        one's: it is left out.

        Raises:
            UnavailableError: The first list has not come in, or the view is too old to act on.
        """
        return _OfLiving(self._view.values(), self._inventory.workloads())

    def save(self, workload: Workload, record: Record) -> None:
        """Write a record, creating it where there is none, in place of an earlier workload's.

        Raises:
            GoneError: The workload does not exist any more; nothing is written for it.
            ConflictError: Somebody else wrote another record meanwhile.
            RefusedError: The API server refused, or dropped a part of the record.
            ClusterError: It was not written, or it is not known whether it was.
        """
        key = workload.key
        stored = self._view.values().get(key)
        known = None if stored is None else stored.record
        for attempt in range(_SAVE_ATTEMPTS):
            try:
                if stored is not None and stored.owner_uid != workload.uid:
                    self._delete(key, stored)
                    stored = None
                if stored is None:
                    self._require_living(workload)
                    stored = self._create(workload)
                self._write_status(key, stored, record)
            except ConflictError:
                if attempt == _SAVE_ATTEMPTS - 1:
                    raise
                stored = self._fetch(key)
                if stored is not None and stored.record not in (None, known, record):
                    raise  # a release, or the leader before us: what they wrote is decided by next
            except GoneError:
                if stored is None or attempt == _SAVE_ATTEMPTS - 1:
                    raise
                self._forget(key, stored)
                stored = None
            else:
                return

    def _create(self, workload: Workload) -> StoredRecord:
        key = workload.key
        version = WORKLOADS[key.kind].api_version
        target = {"apiVersion": version, "kind": key.kind.value, "name": key.name}
        body = {
            "apiVersion": RECORDS.api_version,
            "kind": RECORDS.kind,
            "metadata": {
                "name": record_name(key),
                "namespace": key.namespace,
                "ownerReferences": [{**target, "uid": workload.uid, "controller": False}],
            },
            "spec": {"targetRef": target},
        }
        path = RECORDS.path(key.namespace)
        return self._written(key, self._request("create", key, path, body))

    def _write_status(self, key: WorkloadKey, stored: StoredRecord, record: Record) -> None:
        status = status_of(record)
        body = {
            "apiVersion": RECORDS.api_version,
            "kind": RECORDS.kind,
            "metadata": {
                "name": record_name(key),
                "namespace": key.namespace,
                "uid": stored.uid,
                "resourceVersion": str(stored.version),
            },
            "status": status,
        }
        path = RECORDS.path(key.namespace, record_name(key), "status")
        request = self._request("update", key, path, body)
        kept = self._written(key, request)
        # What is read again must be what was saved, also to the last microsecond.
        if kept.record != record_of(status):
            raise RefusedError(
                f"{request}: the API server did not keep all of it: "
                f"is the custom resource definition of another version? {APPLY_DEFINITION}"
            )

    def _written(self, key: WorkloadKey, request: Request) -> StoredRecord:
        """Carry out a write, and take its answer into the view."""
        item = self._item(decoded(request, self._api.ask(request), _DECODER), key)
        reflector = self._view.of(key.namespace)
        if reflector is not None:
            reflector.put(item)
        if item.value is None:  # pragma: no cover - an item of ours always has one
            raise GoneError(f"{request}: the answer is no record")
        return item.value

    def _delete(self, key: WorkloadKey, stored: StoredRecord) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": stored.uid},
            "propagationPolicy": "Background",
        }
        path = RECORDS.path(key.namespace, record_name(key))
        with contextlib.suppress(GoneError):  # The garbage collector was faster.
            self._api.ask(self._request("delete", key, path, body))
        self._forget(key, stored)

    def _fetch(self, key: WorkloadKey) -> StoredRecord | None:
        path = RECORDS.path(key.namespace, record_name(key))
        try:
            return self._written(key, self._request("get", key, path, None))
        except GoneError:
            return None

    def _require_living(self, workload: Workload) -> None:
        """Make sure that the workload still exists, so that no record comes back from the dead.

        The garbage collector would take it, but only after a while.

        Raises:
            GoneError: It does not.
        """
        if self._inventory.fetch(workload.key).uid != workload.uid:
            raise GoneError(f"{workload.key}: it was deleted and made anew")

    def _forget(self, key: WorkloadKey, stored: StoredRecord) -> None:
        reflector = self._view.of(key.namespace)
        if reflector is not None:
            reflector.forget(key, stored.version)

    @staticmethod
    def _request(verb: str, key: WorkloadKey, path: str, body: Mapping[str, Any] | None) -> Request:
        return Request(
            verb=verb,
            what=f"gctuning {key.namespace}/{record_name(key)}",
            path=path,
            query={} if verb in {"get", "delete"} else {"fieldManager": FIELD_MANAGER},
            body=body,
        )

    def _read(self, raw: bytes) -> Item[WorkloadKey, StoredRecord] | None:
        """An object as an item; None where it is none of ours, such as one made by hand."""
        tuning = _DECODER.decode(raw)
        target = tuning.spec.target_ref
        if target.kind not in set(Kind):
            return None
        key = WorkloadKey(tuning.metadata.namespace, Kind(target.kind), target.name)
        if tuning.metadata.name != record_name(key):
            return None
        return self._item(tuning, key)

    def _item(self, tuning: _Tuning, key: WorkloadKey) -> Item[WorkloadKey, StoredRecord]:
        metadata = tuning.metadata
        version = int(metadata.resource_version)
        owner = metadata.owner_references[0].uid if metadata.owner_references else None
        record: Record | None = None
        if tuning.status:
            try:
                record = record_of(tuning.status)
            except (ValueError, msgspec.MsgspecError) as error:
                self._tell_once(key, version, str(error))
        return Item(key, version, StoredRecord(metadata.uid, owner, version, record))

    def _tell_once(self, key: WorkloadKey, version: int, why: str) -> None:
        if self._reported.get(key) != version:
            self._reported[key] = version
            self._report(
                f"gctuning {key.namespace}/{record_name(key)}: "
                f"its status cannot be read and counts as absent: {why}"
            )


class _OfLiving(Mapping[WorkloadKey, Record]):
    """The records in one view, without those of workloads that are not the same any more."""

    def __init__(
        self,
        stored: Mapping[WorkloadKey, StoredRecord],
        workloads: Mapping[WorkloadKey, Workload],
    ) -> None:
        self._stored = stored
        self._workloads = workloads

    def __getitem__(self, key: WorkloadKey) -> Record:
        stored = self._stored[key]
        workload = self._workloads.get(key)
        if stored.record is None or (workload is not None and workload.uid != stored.owner_uid):
            raise KeyError(key)
        return stored.record

    def __iter__(self) -> Iterator[WorkloadKey]:
        return (key for key in self._stored if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
