"""The checks, one after another: asks, and has what it hears judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from tuner.cluster.collection import APPLY_DEFINITION
from tuner.cluster.permissions import PERMISSIONS, Permission, Scope, election_permissions
from tuner.doctor import checks
from tuner.doctor.finding import Finding, Status
from tuner.errors import ClusterError, GoneError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tuner.model.policy import Policy
    from tuner.model.reading import FleetReadings
    from tuner.overrides.book import Book
    from tuner.ports import Clock, Inventory, MetricsSource, Records


class ApiServer(Protocol):
    """The API server itself."""

    def version(self) -> str:
        """Its version.

        Raises:
            ClusterError: It cannot be asked.
        """
        ...

    def unkept(self) -> Sequence[str]:
        """What of a record the installed resource definition does not know, as dotted paths.

        Raises:
            GoneError: There is no such resource.
            ClusterError: It cannot be asked.
        """
        ...

    def allows(self, permission: Permission, verb: str, namespace: str | None) -> bool:
        """Whether gc-tuner may do something in a namespace; None: in all of them.

        Raises:
            ClusterError: It cannot be asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class View:
    """The cluster as the loop sees it."""

    inventory: Inventory
    records: Records
    book: Callable[[], Book]
    """What the overrides say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is examined."""

    api: ApiServer
    view: Callable[[], View]
    """Looks at the cluster, which takes a while the first time."""
    source: MetricsSource
    prometheus_clock: Callable[[], float | None]
    """Prometheus' own time, seconds since the Unix epoch; raises SourceError."""
    prometheus_url: str
    policy: Policy
    namespaces: Sequence[str]
    """Those that are looked at; none: all of them."""
    own_namespace: str
    overrides_namespace: str
    overrides_name: str
    leases: Sequence[str]
    """Names of the Leases of leader election; none: it is off."""
    leases_namespace: str
    clock: Clock


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the examination."""

    name: str
    """What is done meanwhile, for people who wait."""
    take: Callable[[], Iterator[Finding]]


@dataclass(slots=True)
class Examination:
    """What is known so far: steps that need what failed before are skipped."""

    subject: Subject
    cluster_answers: bool = field(default=False, init=False)
    prometheus_answers: bool = field(default=False, init=False)
    figures: FleetReadings | None = field(default=None, init=False)
    read_at: float = field(default=0.0, init=False)

    def steps(self) -> Sequence[Step]:
        """What to do, in this order."""
        return (
            Step("asking the API server for its version", self._api_server),
            Step("reading the schema of the records", self._records),
            Step("asking for each permission", self._permissions),
            Step("looking at the cluster", self._overrides),
            Step("asking Prometheus for its time", self._prometheus),
            Step("reading the figures of all workloads", self._read),
            Step("looking at the workloads", self._workloads),
        )

    def _api_server(self) -> Iterator[Finding]:
        check = "API server"
        try:
            version = self.subject.api.version()
        except ClusterError as error:
            yield Finding(
                check, Status.FAILED, str(error), "check the kubeconfig, the network and the token"
            )
            return
        self.cluster_answers = True
        yield Finding(check, Status.OK, version)

    def _records(self) -> Iterator[Finding]:
        check = "records"
        if not self.cluster_answers:
            yield _skipped(check, "the API server")
            return
        try:
            yield checks.records(self.subject.api.unkept())
        except GoneError:
            yield Finding(
                check,
                Status.FAILED,
                "there is no resource GCTuning",
                APPLY_DEFINITION,
            )
        except ClusterError as error:
            yield Finding(
                check,
                Status.WARNING,
                f"its schema could not be read: {error}",
                "permit gc-tuner's account to get /openapi/*, as every account may by default",
            )

    def _permissions(self) -> Iterator[Finding]:
        check = "permissions"
        if not self.cluster_answers:
            yield _skipped(check, "the API server")
            return
        try:
            for each in self._wanted():
                yield self._permission(each)
        except ClusterError as error:
            yield Finding(
                check,
                Status.FAILED,
                f"they could not be asked for: {error}",
                "permit gc-tuner's account to create selfsubjectaccessreviews, as every account "
                "may by default",
            )

    def _wanted(self) -> Iterator[Permission]:
        for each in PERMISSIONS:
            named = each.scope is Scope.OVERRIDES
            yield replace(each, names=(self.subject.overrides_name,)) if named else each
        if self.subject.leases:
            yield from election_permissions(self.subject.leases)

    def _permission(self, wanted: Permission) -> Finding:
        subject = self.subject
        places: Sequence[str | None] = {
            Scope.WATCHED: subject.namespaces or (None,),
            Scope.OWN: (subject.own_namespace,),
            Scope.OVERRIDES: (subject.overrides_namespace,),
            Scope.LEASES: (subject.leases_namespace,),
        }[wanted.scope]
        denied = [
            (verb, place)
            for place in places
            for verb in wanted.verbs
            if not subject.api.allows(wanted, verb, place)
        ]
        return checks.permission(wanted, places, denied)

    def _overrides(self) -> Iterator[Finding]:
        if not self.cluster_answers:
            yield _skipped("overrides", "the API server")
            return
        name = f"ConfigMap {self.subject.overrides_namespace}/{self.subject.overrides_name}"
        yield checks.overrides(name, self.subject.view().book())

    def _prometheus(self) -> Iterator[Finding]:
        check, url = "Prometheus", self.subject.prometheus_url
        began = self.subject.clock.now()
        try:
            time = self.subject.prometheus_clock()
        except SourceError as error:
            yield Finding(
                check,
                Status.FAILED,
                f"{url} cannot be used: {error}",
                "name an address where Prometheus answers and lets gc-tuner in: prometheus.url",
            )
            return
        ours = (began + self.subject.clock.now()) / 2  # it told its time somewhere in between
        self.prometheus_answers = True
        yield Finding(check, Status.OK, f"{url} answers")
        yield checks.clock("Prometheus' clock", None if time is None else time - ours)

    def _read(self) -> Iterator[Finding]:
        if not self.prometheus_answers:
            yield _skipped("figures", "Prometheus")
            return
        self.read_at = self.subject.clock.now()
        try:
            readings = self.subject.source.read(self.read_at)
        except SourceError as error:
            yield Finding(
                "figures",
                Status.FAILED,
                str(error),
                "without an answer to every query nothing is changed: prometheus.timeout, and "
                "Prometheus' own log",
            )
            return
        self.figures = readings.by_workload

    def _workloads(self) -> Iterator[Finding]:
        check = "workloads"
        if not self.cluster_answers:
            yield _skipped(check, "the API server")
            return
        try:
            view = self.subject.view()
            fleet, recorded = view.inventory.workloads(), view.records.all().keys()
        except ClusterError as error:
            yield Finding(
                check, Status.FAILED, str(error), "what is missing to see them is told above"
            )
            return
        policy, figures = self.subject.policy, self.figures
        if figures is None:
            yield _skipped("metrics", "the figures")
        else:
            concerned = checks.concerned(fleet, recorded, figures, policy)
            yield from checks.metrics(concerned, figures, policy, self.read_at)
        yield checks.modes(fleet, recorded, figures or {}, policy)


def _skipped(check: str, what: str) -> Finding:
    return Finding(check, Status.SKIPPED, f"not looked at: it needs {what}")
