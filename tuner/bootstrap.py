"""The composition root: settings in, a ready loop out. The only place that knows everyone."""

import contextlib
import math
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from tuner.cluster import (
    Api,
    AutoscalerMirror,
    Candidate,
    ClusterAccess,
    ClusterActuator,
    ClusterFleet,
    ClusterInventory,
    ClusterRecords,
    EventObserver,
    Inspection,
    LeaseObject,
    LiveConfigMaps,
    Mirror,
    OverridesWatch,
    PodMirror,
    ShardLeadership,
    Upkeep,
    identity,
    operator_pod,
)
from tuner.cluster import connect as connect_cluster
from tuner.doctor import Subject, View
from tuner.election import Alone, Standing
from tuner.errors import ConfigError, SourceError
from tuner.instrumentation.health import Health
from tuner.instrumentation.http import endpoints, serving
from tuner.instrumentation.log import LogObserver, build_log, capture_libraries
from tuner.instrumentation.metrics import MetricsObserver
from tuner.loop import Loop
from tuner.model.happening import Happening, SourceLost, TickFailed
from tuner.model.policy import Policy
from tuner.overrides.book import Book
from tuner.overrides.document import read_document
from tuner.overrides.source import BookOverrides
from tuner.ports import Actuator, Inventory, Leadership, Observer, Overrides, Records
from tuner.prometheus import PROBE, Access, PrometheusSource, Series, Vector, connect
from tuner.schedule import Clocks
from tuner.settings import ConfigFile, LogFormat, Reload, Settings
from tuner.shadow import ShadowActuator, ShadowRecords
from tuner.version import VERSION

SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where Kubernetes tells every pod with a service account its namespace."""
_STOP_CHECK_SECONDS = 0.1
_FLUSH_SECONDS = 2.0
_LASTING = frozenset(
    {
        *("http_301", "http_302", "http_303", "http_307", "http_308"),
        *("http_400", "http_401", "http_403", "http_404", "http_405"),
        *("malformed", "not_json"),
    }
)
"""Causes of a `SourceError` that has an answer, but none as of a Prometheus that lets us in."""
_SILENT_INTERVALS = 10
_SILENT_SECONDS = 300.0
"""A loop that has not ticked for this long, and for that many intervals, is stuck: shorter than
this, and a tick that waits out the timeouts of a dead API server would be killed for it."""


def logger(settings: Settings) -> FilteringBoundLogger:
    """The log on standard error, for our own code and, from warnings on, for libraries.

    Changes the root logger of the process: for the entry point, once.
    """
    chosen = settings.log.format
    json = chosen is LogFormat.JSON or (chosen is LogFormat.AUTO and not sys.stderr.isatty())
    capture_libraries(json=json, stream=sys.stderr)
    return build_log(json=json, level=settings.log.level, stream=sys.stderr)


def access(settings: Settings) -> Access:
    """Where Prometheus is and how to get in.

    Raises:
        ConfigError: No address is set.
    """
    prometheus = settings.prometheus
    if prometheus.url is None:
        raise ConfigError(
            "prometheus.url: not set: give one such as http://prometheus:9090 with "
            "--prometheus-url, GC_TUNER_PROMETHEUS__URL or in the file of --config"
        )
    return Access(
        url=prometheus.url,
        timeout_seconds=prometheus.timeout,
        bearer_token_file=prometheus.bearer_token_file,
        headers=prometheus.headers,
        ca_file=prometheus.ca_file,
        cert_file=prometheus.cert_file,
        key_file=prometheus.key_file,
    )


def check_prometheus(access: Access, log: FilteringBoundLogger) -> None:
    """Ask Prometheus something before the loop does: a wrong address is likeliest at the start.

    What may pass by itself is an outage, and survived at the start as it is later on: a rollback
    that is planned needs no figures.

    Args:
        access: Where Prometheus is and how to get in.
        log: Told of an outage.

    Raises:
        ConfigError: Waiting will not help: its name does not resolve, TLS fails, or what answers is
            no Prometheus or does not let us in.
    """
    try:
        _probe(access)
    except SourceError as error:
        if _lasts(error):
            raise ConfigError(
                f"prometheus.url: {access.url} cannot be used: {_words(error)}: name an "
                "address where Prometheus answers and lets gc-tuner in, such as "
                "http://prometheus:9090"
            ) from error
        log.warning(
            "prometheus does not answer at the start: asked again on every tick",
            url=access.url,
            cause=error.cause,
            detail=_words(error),
        )


def prometheus_clock(access: Access) -> float | None:
    """Prometheus' own time, seconds since the Unix epoch; None where its answer has none.

    Args:
        access: Where Prometheus is and how to get in.

    Raises:
        SourceError: It gave no answer that may be believed; without the libraries' wrapping words.
    """
    try:
        series = _probe(access)
    except SourceError as error:
        raise SourceError(error.cause, _words(error)) from error
    return float(series[0].value[1]) if series else None


def _probe(access: Access) -> list[Series]:
    with closing(connect(access)) as client:
        answer: Vector = client.custom_query(PROBE)
        return list(answer.series())


def _lasts(error: SourceError) -> bool:
    """Whether it takes somebody to end it: address, trust or credentials are wrong."""
    match _first(error):
        case socket.gaierror(errno=socket.EAI_AGAIN) | ssl.SSLEOFError():
            return False  # the name server is late, or the connection broke
        case socket.gaierror() | ssl.SSLError() | ValueError():
            return True  # the last of them: what no host can be called
        case _:
            return error.cause in _LASTING


def _words(error: SourceError) -> str:
    """The error without what the libraries wrap it in."""
    match first := _first(error):
        case socket.gaierror():
            return "its name does not resolve"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {first.verify_message}"
        case OSError(errno=int(number), filename=str(name)):
            return f"{name}: {os.strerror(number).lower()}"
        case OSError(errno=int(number)) if not isinstance(first, ssl.SSLError):
            return os.strerror(number).lower()
        case OSError():
            return " ".join(str(first).split())
        case _:
            return str(error)


def _first(error: BaseException) -> BaseException:
    """The error that brought about the others."""
    while (below := error.__cause__ or _context(error)) is not None:
        error = below
    return error


def _context(error: BaseException) -> BaseException | None:
    return None if error.__suppress_context__ else error.__context__


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSide:
    """The Kubernetes side of the loop's ports."""

    inventory: Inventory
    records: Records
    actuator: Actuator
    observers: Sequence[Observer] = ()
    """Whom to tell in the cluster: Events."""
    overrides: Overrides = field(default_factory=BookOverrides)
    """What people have laid down."""
    book: Callable[[], Book] = Book
    """All of that together."""
    leadership: Leadership = field(default_factory=Alone)
    """Where this replica may write."""
    standings: Callable[[], Iterable[Standing]] = tuple
    """Where it stands in the leader election."""


@contextlib.contextmanager
def open_cluster(
    settings: Settings,
    stop: threading.Event,
    log: FilteringBoundLogger,
    *,
    elects: bool = False,
    once: bool = False,
) -> Iterator[ClusterSide]:
    """The Kubernetes side of the loop, mirrored once or given up waiting for.

    Without a cluster the loop still starts: its ticks fail, and say why, until there is one.

    Args:
        settings: The settings in force.
        stop: Ends the wait, and leadership. Set at the end of the context at the latest.
        log: Told of objects that cannot be read, of Events that cannot be written, and of who
            leads.
        elects: Whether to run for leader, and to write only while leading.
        once: Whether to wait until it is known who leads: there will be no later tick.

    Raises:
        ConfigError: There is no usable kubeconfig or service account.
    """
    kubernetes = settings.kubernetes

    def report(words: str) -> None:
        log.warning("left out", detail=words)

    with ExitStack() as stack:
        leads, reach = None, _reach(settings)
        if elects:
            # Renewals go by a connection of their own: they must not queue behind other writes.
            unlimited = replace(reach, requests_per_second=math.inf)
            leases = stack.enter_context(closing(connect_cluster(unlimited)))
            leads = _leadership(leases, settings, log)
        fence = None if leads is None else leads.writing
        api = stack.enter_context(closing(connect_cluster(reach, fence)))
        names = kubernetes.namespaces
        upkeep = Upkeep(stale_after_seconds=kubernetes.stale_after, report=report)
        inventory = ClusterInventory(api, upkeep, names)
        live = LiveConfigMaps(api, upkeep, names)
        pods = PodMirror(api, upkeep, names)
        autoscalers = AutoscalerMirror(api, upkeep, names)
        fleet = ClusterFleet(inventory, pods, autoscalers, live, report)
        records = ClusterRecords(api, upkeep, inventory, names)
        place = _place_of_overrides(settings)
        name = settings.overrides.name
        log.info("overrides are looked for", config_map=f"{place}/{name}")
        overrides = OverridesWatch(api, upkeep, place, name, read=read_document)
        mirrors = (fleet, records, overrides)
        for mirror in mirrors:
            stack.callback(mirror.stop)
            mirror.start()
        events = _events(api, settings, report)
        events.start()
        if leads is not None:
            stack.callback(leads.stop)
            stack.callback(stop.set)
            leads.start(stop, (inventory, live, records))
        stack.callback(events.flush, _FLUSH_SECONDS)
        _wait_synced(mirrors, stop, kubernetes.timeout)
        if leads is not None and once:
            _wait_settled(leads, settings, log)
        yield ClusterSide(
            inventory=fleet,
            records=records,
            actuator=ClusterActuator(api, live),
            observers=(events,),
            overrides=BookOverrides(overrides.book),
            book=overrides.book,
            leadership=leads or Alone(),
            standings=lambda: () if leads is None else leads.standings,
        )


def _reach(settings: Settings) -> ClusterAccess:
    kubernetes = settings.kubernetes
    return ClusterAccess(
        kubeconfig=kubernetes.kubeconfig,
        context=kubernetes.context,
        timeout_seconds=kubernetes.timeout,
        requests_per_second=kubernetes.qps,
        burst=kubernetes.burst,
    )


def _leadership(api: Api, settings: Settings, log: FilteringBoundLogger) -> ShardLeadership:
    election = settings.leader_election
    place = _place_of_leases(settings)
    durations, name = election.durations(), identity(_instance())

    def report(words: str) -> None:
        log.info("leader election", detail=words)

    def complain(words: str) -> None:
        log.warning("leader election", detail=words)

    candidates = [
        Candidate(
            LeaseObject(api, place, lease, duration_seconds=durations.lease),
            name,
            durations,
            report=report,
            complain=complain,
        )
        for lease in election.lease_names()
    ]
    return ShardLeadership(candidates, durations.retry)


def _wait_settled(
    leadership: ShardLeadership, settings: Settings, log: FilteringBoundLogger
) -> None:
    """Wait until it is known who leads: at most as long as leaders that are gone are waited for."""
    durations = settings.leader_election.durations()
    shards = len(settings.leader_election.lease_names())
    leadership.wait_settled(durations.lease + (shards + 1) * durations.retry)
    for each in leadership.standings:
        if not each.leads:
            log.warning("another replica leads, or may lead: nothing is written", lease=each.lease)


def _instance() -> str:
    """Who we are: the name of the pod, or of the machine."""
    return os.environ.get("POD_NAME") or socket.gethostname()


def _events(api: Api, settings: Settings, report: Callable[[str], None]) -> EventObserver:
    """Who we are comes from the pod's downward API; outside of a pod, from the machine."""
    namespace = own_namespace(settings)
    name = os.environ.get("POD_NAME") or None
    return EventObserver(
        api,
        operator=operator_pod(namespace, name, os.environ.get("POD_UID", "")),
        instance=_instance(),
        report=report,
    )


def own_namespace(settings: Settings, service_account: Path = SERVICE_ACCOUNT_NAMESPACE) -> str:
    """Where gc-tuner runs; outside of a pod, the first namespace that it looks at.

    With a kubeconfig it may well work on another cluster than the one that its pod is in.

    Args:
        settings: The settings in force.
        service_account: The file with the namespace of the pod's service account.
    """
    named = os.environ.get("POD_NAMESPACE")
    if named:
        return named
    kubernetes = settings.kubernetes
    if kubernetes.kubeconfig is None and kubernetes.context is None:
        with contextlib.suppress(OSError):  # not in a pod, or without a service account
            return service_account.read_text(encoding="utf-8").strip()
    return kubernetes.namespaces[0] if kubernetes.namespaces else "default"


def _wait_synced(mirrors: Sequence[Mirror], stop: threading.Event, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for mirror in mirrors:
        while not mirror.wait_synced(_STOP_CHECK_SECONDS):
            if stop.is_set() or time.monotonic() > deadline:
                return


@contextlib.contextmanager
def examinable(
    settings: Settings, stop: threading.Event, log: FilteringBoundLogger
) -> Iterator[Subject]:
    """What the doctor examines; nothing is asked of it yet.

    Args:
        settings: The settings in force.
        stop: Ends the wait for the cluster.
        log: Told of objects that cannot be read.

    Raises:
        ConfigError: No address of Prometheus is set, or there is no usable kubeconfig or service
            account.
    """
    with ExitStack() as stack:
        source = stack.enter_context(closing(_source(settings)))
        api = stack.enter_context(closing(connect_cluster(_reach(settings))))
        election = settings.leader_election

        @cache
        def view() -> View:
            side = stack.enter_context(open_cluster(settings, stop, log))
            return View(side.inventory, side.records, side.book)

        yield Subject(
            api=Inspection(api),
            view=view,
            source=source,
            prometheus_clock=partial(prometheus_clock, access(settings)),
            prometheus_url=access(settings).url,
            policy=settings.policy(dry_run=True),
            namespaces=settings.kubernetes.namespaces,
            own_namespace=own_namespace(settings),
            overrides_namespace=_place_of_overrides(settings),
            leases=election.lease_names() if election.enabled else (),
            leases_namespace=_place_of_leases(settings),
            overrides_name=settings.overrides.name,
            clock=Clocks(),
        )


def _place_of_overrides(settings: Settings) -> str:
    return settings.overrides.namespace or own_namespace(settings)


def _place_of_leases(settings: Settings) -> str:
    return settings.leader_election.namespace or own_namespace(settings)


def shadowed(cluster: ClusterSide) -> ClusterSide:
    """The same cluster for a dry run: it is read, and nothing at all is written."""
    return ClusterSide(
        inventory=cluster.inventory,
        records=ShadowRecords(cluster.records),
        actuator=ShadowActuator(),
        overrides=cluster.overrides,
    )


@dataclass(slots=True)
class Outages:
    """Remembers whether Prometheus or the cluster failed to answer."""

    seen: bool = False

    def notify(self, happening: Happening) -> None:
        """Take note."""
        if isinstance(happening, SourceLost | TickFailed):
            self.seen = True


@contextlib.contextmanager
def ready_loop(  # noqa: PLR0913 - what the command line decides
    settings: Settings,
    cluster: ClusterSide,
    *,
    dry_run: bool,
    serve: bool,
    log: FilteringBoundLogger,
    observers: Sequence[Observer],
    config: ConfigFile | None = None,
) -> Iterator[Loop]:
    """A loop with all that it needs; what was opened is closed in the opposite order.

    Args:
        settings: The settings in force.
        cluster: The Kubernetes side.
        dry_run: Whether nothing at all may be written.
        serve: Whether to answer at the HTTP endpoints.
        log: Where to say what happens.
        observers: Whom to tell besides log, metrics and cluster.
        config: The file that the settings came from, to be followed; None: they stay.

    Raises:
        ConfigError: No address of Prometheus is set, or the HTTP address cannot be listened at.
    """
    with ExitStack() as stack:
        source = stack.enter_context(closing(_source(settings)))
        registry = CollectorRegistry()
        silence = max(_SILENT_SECONDS, _SILENT_INTERVALS * settings.interval)
        health = Health(silence, time.monotonic)
        metrics = MetricsObserver(registry, VERSION, lambda: source.queries_sent, cluster.standings)
        if serve:
            application = endpoints(registry, health)
            address, port = settings.http.address, settings.http.port
            port = stack.enter_context(serving(application, address, port))
            log.info("serving metrics and health", address=address, port=port)
        side = shadowed(cluster) if dry_run else cluster
        told: list[Observer] = [LogObserver(log), metrics, health, *side.observers, *observers]
        reload = None if config is None else Reload(config, settings, told)

        def revised(now: float) -> Policy | None:
            found = None if reload is None else reload.look(now)
            if found is None:
                return None
            source.look_for(found.guards.alerts)
            return found.policy(dry_run=dry_run)

        yield Loop(
            source=source,
            inventory=side.inventory,
            records=side.records,
            actuator=side.actuator,
            observers=told,
            policy=settings.policy(dry_run=dry_run),
            overrides=side.overrides,
            revised=revised,
            leadership=side.leadership,
        )


def _source(settings: Settings) -> PrometheusSource:
    return PrometheusSource(
        connect(access(settings)),
        settings.names(),
        rate_window_seconds=settings.rate_window,
        warm_up_seconds=settings.warm_up,
        timeout_seconds=settings.prometheus.timeout,
        alerts=settings.guards.alerts,
    )
