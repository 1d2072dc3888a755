"""What the loop needs of the world. Adapters and the simulation implement these."""

from collections.abc import Mapping
from typing import Protocol

from tuner.errors import RefusedError
from tuner.model.happening import Happening
from tuner.model.override import Resolved
from tuner.model.reading import Readings
from tuner.model.record import Record
from tuner.model.trial import Change
from tuner.model.workload import Workload, WorkloadKey


class Clock(Protocol):
    """The wall clock."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...


class MetricsSource(Protocol):
    """Where the figures of Go containers come from."""

    def read(self, at: float) -> Readings:
        """All figures as of a time.

        Raises:
            SourceError: The source gave no answer that may be believed.
        """
        ...


class Inventory(Protocol):
    """The workloads of the cluster."""

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        """All workloads that may be tuned, as last seen; never blocks on the network.

        Raises:
            UnavailableError: The first list has not come in, or the view is too old to act on.
        """
        ...

    def fetch(self, key: WorkloadKey) -> Workload:
        """The workload as it is now, asked of the API server.

        Raises:
            GoneError: It does not exist.
            ClusterError: The API server cannot be asked.
        """
        ...


class Records(Protocol):
    """The cluster's memory of each workload."""

    def all(self) -> Mapping[WorkloadKey, Record]:
        """Every record, own writes included at once.

        Raises:
            UnavailableError: The first list has not come in.
        """
        ...

    def save(self, workload: Workload, record: Record) -> None:
        """Write a record, creating it where there is none.

        Raises:
            ClusterError: It was not written.
        """
        ...


class AlteredError(RefusedError):
    """A write took effect, and not as asked: admission webhooks may have their own idea.

    Attributes:
        answer: The workload as the API server answered it: a part of the change may stand.
    """

    def __init__(self, message: str, answer: Workload) -> None:
        """Keep the answer beside the words."""
        super().__init__(message)
        self.answer = answer


class Actuator(Protocol):
    """The one way to change a workload."""

    def write(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        """Bring a change about if the workload still is at its resource version.

        Args:
            workload: The workload as just fetched.
            change: The env entry to set or remove.
            cause: Change-cause for the rollout's history; left out where the user has their own.
                None: none, and one of ours that stands there goes with the change.

        Returns:
            The workload as the API server answered it.

        Raises:
            ConflictError: It changed since it was fetched; nothing was written.
            GoneError: It does not exist.
            AlteredError: The API server made something else of it.
            ClusterError: It was not written, or it is not known whether it was.
        """
        ...

    def withdraw(self, workload: Workload) -> Workload:
        """Give what holds the settings another version, and change nothing else that counts.

        A write that was sent before and is still on its way names the version that it was then, and
        is refused from now on.

        Args:
            workload: The workload as just fetched.

        Returns:
            The workload as the API server answered it.

        Raises:
            ConflictError: It changed since it was fetched.
            GoneError: It does not exist.
            ClusterError: It was not written, or it is not known whether it was.
        """
        ...

    def clear_cause(self, workload: Workload) -> None:
        """Remove our change-cause, so that the user's next revision does not inherit it.

        Raises:
            ClusterError: It was not removed.
        """
        ...


class Overrides(Protocol):
    """What people have laid down."""

    def of(self, key: WorkloadKey, now: float, first_seen: Mapping[str, float]) -> Resolved:
        """What applies to a workload.

        Args:
            key: The workload.
            now: Seconds since the Unix epoch.
            first_seen: What the last answer for this workload said is to be remembered.
        """
        ...


class Leadership(Protocol):
    """Which of several replicas may write where."""

    def begin(self) -> None:
        """A tick begins: what is led from here on is what it may write to."""
        ...

    def term(self, namespace: str) -> int | None:
        """Which term of leadership over a namespace the tick began in.

        None where another replica leads, or may lead, as of now: it never becomes a number again
        before the next tick. Another number than before: another replica may have led in between.

        Args:
            namespace: Where something would be written.
        """
        ...


class Observer(Protocol):
    """Somebody who is told what happened: log, metrics, Events, a table."""

    def notify(self, happening: Happening) -> None:
        """Take note. Must neither block for long nor raise."""
        ...
