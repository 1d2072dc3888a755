"""Mirrored objects, found by the workload that they belong to."""

from __future__ import annotations

from collections import ChainMap, defaultdict
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tuner.cluster.mirror import View
    from tuner.cluster.reflector import Reflector
    from tuner.model.workload import WorkloadKey


class Belonging(Protocol):
    """What knows its workload."""

    @property
    def workload(self) -> WorkloadKey:
        """The one that it belongs to."""
        ...


B = TypeVar("B", bound=Belonging)


class _Groups(Generic[B]):
    """Groups of what one reflector sees, made again only when it has seen something new."""

    def __init__(self, reflector: Reflector[Any, B]) -> None:
        self._reflector = reflector
        self._seen: Mapping[Any, B] = {}
        self._groups: dict[WorkloadKey, Sequence[B]] = {}

    def latest(self) -> dict[WorkloadKey, Sequence[B]]:
        values = self._reflector.values()
        if values is not self._seen:
            groups: defaultdict[WorkloadKey, list[B]] = defaultdict(list)
            for each in values.values():
                groups[each.workload].append(each)
            self._seen, self._groups = values, dict(groups)
        return self._groups


class ByWorkload(Generic[B]):
    """What is seen in a view, by workload. Ask from one thread only."""

    def __init__(self, view: View[Any, B]) -> None:
        """Take the view, which is started and stopped by others."""
        self._parts = [_Groups(each) for each in view.reflectors]

    def groups(self) -> Mapping[WorkloadKey, Sequence[B]]:
        """The groups as they are now; they do not change any more. Workloads without are left out.

        Raises:
            UnavailableError: A part of it was not listed yet, or is too old.
        """
        parts = [each.latest() for each in self._parts]
        return parts[0] if len(parts) == 1 else ChainMap(*parts)
