"""One entry of the overrides, checked; or what is wrong with it."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tuner.model.workload import Kind, WorkloadKey


@dataclass(frozen=True, slots=True)
class Match:
    """Which workloads an entry is about."""

    namespace: str
    """A glob, as all names here: ``*``, ``?`` and ``[a-c]``."""
    name: str
    kind: Kind | None = None
    """None: of any kind."""

    def covers(self, key: WorkloadKey) -> bool:
        """Whether the workload is one of them."""
        return (
            fnmatchcase(key.namespace, self.namespace)
            and fnmatchcase(key.name, self.name)
            and self.kind in {None, key.kind}
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range, open where None; GOGC in percent, GOMEMLIMIT in bytes."""

    lowest: int | None = None
    highest: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One good entry. None and false say nothing on the matter."""

    name: str
    match: Match
    reason: str
    digest: str
    """Of all that the entry says; it moves with every change but comments and layout."""
    freeze: bool = False
    pin_gogc: int | None = None
    pin_memory_limit_bytes: int | None = None
    pin_barrier: int | None = None
    immediate: bool = False
    gogc_bounds: Bounds | None = None
    memory_limit_bounds: Bounds | None = None
    gc_share_target: float | None = None
    latency_target_seconds: float | None = None
    profile: str | None = None
    ends_at: float | None = None
    """When it ends."""
    lasts_seconds: float | None = None
    """How long it is in force for a workload, from when it was first seen there."""

    @property
    def identity(self) -> str:
        """Tells this version of the entry from every other: changed or new, it counts anew."""
        return f"{self.name}:{self.digest}"

    def expires_at(self, first_seen: float) -> float | None:
        """When it ends for a workload where it was first seen at that time; None: never."""
        return self.ends_at if self.lasts_seconds is None else first_seen + self.lasts_seconds


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry that cannot be used."""

    name: str
    """The entry's; ``#3`` for the third one where it has none that is readable."""
    message: str
    """Line in the text, what is wrong where, and what would be right."""
    match: Match | None
    """None where it cannot be read: the entry may be about any workload."""

    def may_cover(self, key: WorkloadKey) -> bool:
        """Whether the entry is, or may have been meant, for the workload."""
        return self.match is None or self.match.covers(key)

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"
