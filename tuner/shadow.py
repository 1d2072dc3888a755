"""Ports that write nothing, for a dry run: by construction, whatever the loop decides."""

from collections.abc import Iterator, Mapping
from typing import NoReturn

from tuner.errors import RefusedError
from tuner.model.record import Record
from tuner.model.trial import Change
from tuner.model.workload import Workload, WorkloadKey
from tuner.ports import Records


class ShadowRecords:
    """Records that are read from the cluster and kept in memory."""

    def __init__(self, records: Records) -> None:
        """Read from these records."""
        self._records = records
        self._kept: dict[WorkloadKey, tuple[Record | None, Record]] = {}

    def all(self) -> Mapping[WorkloadKey, Record]:
        """The cluster's records, and over each what was kept since it last changed there.

        Costs nothing to ask for.

        Raises:
            UnavailableError: The first list has not come in.
        """
        return _Overlaid(self._records.all(), self._kept)

    def save(self, workload: Workload, record: Record) -> None:
        """Keep a record in memory."""
        base = self._records.all().get(workload.key)
        self._kept[workload.key] = (base, record)


class _Overlaid(Mapping[WorkloadKey, Record]):
    """A view: the loop asks for all records once per workload, so copying would be quadratic."""

    def __init__(
        self,
        stored: Mapping[WorkloadKey, Record],
        kept: Mapping[WorkloadKey, tuple[Record | None, Record]],
    ) -> None:
        self._stored = stored
        self._kept = kept

    def __getitem__(self, key: WorkloadKey) -> Record:
        stored = self._stored.get(key)
        base, record = self._kept.get(key, (stored, stored))
        found = record if base == stored else stored
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[WorkloadKey]:
        yield from self._stored
        for key, (base, _) in self._kept.items():
            if base is None and key not in self._stored:
                yield key

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ShadowActuator:
    """Refuses every write."""

    def write(self, workload: Workload, change: Change, cause: str | None) -> NoReturn:
        """Refuse.

        Raises:
            RefusedError: Always.
        """
        del change, cause
        raise RefusedError(f"{workload.key}: nothing is written in a dry run")

    def withdraw(self, workload: Workload) -> NoReturn:
        """Refuse.

        Raises:
            RefusedError: Always.
        """
        raise RefusedError(f"{workload.key}: nothing is written in a dry run")

    def clear_cause(self, workload: Workload) -> None:
        """Refuse.

        Raises:
            RefusedError: Always.
        """
        raise RefusedError(f"{workload.key}: nothing is written in a dry run")
