"""All figures of all Go containers, out of a constant number of queries."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial

from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from tuner.errors import SourceError
from tuner.model.reading import ContainerKey, Quantity, Readings
from tuner.model.workload import Kind, WorkloadKey
from tuner.prometheus.access import Access
from tuner.prometheus.metric_names import MetricNames
from tuner.prometheus.queries import ALERTS, COVERAGE, COVERED, GO_VERSIONS, queries
from tuner.prometheus.session import PrometheusSession, Series, Vector

_KINDS = {kind.value: kind for kind in Kind}
_QUANTITIES = {quantity.value: quantity for quantity in Quantity}
_COUNTED_AS = {
    **{quantity: quantity for quantity in COVERED if quantity is not Quantity.PODS},
    Quantity.GOGC_HIGHEST: Quantity.GOGC_LOWEST,
    Quantity.BARRIER_THRESHOLD_HIGHEST: Quantity.BARRIER_THRESHOLD_LOWEST,
}
"""Quantity to the one that its metric's pods were counted under."""

_GO_RELEASE = re.compile(r"go([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3}))?(?:[^0-9].*)?")
"""Such as go1.26.8, go1.27rc1 and go1.26.8-custom; what devel builds call themselves is none."""

_Labels = tuple[str, str, str, str]
"""Namespace, kind, workload and container: cheaper for each of many series than its key."""
_Figures = dict[_Labels, dict[Quantity, float]]


def connect(access: Access) -> PrometheusConnect:
    """A client of the Prometheus API; does not talk to it yet."""
    return PrometheusConnect(
        access.url.rstrip("/"), session=PrometheusSession(access), retry=Retry(0, read=False)
    )


class PrometheusSource:
    """The figures as Prometheus has them; implements `tuner.ports.MetricsSource`.

    Attributes:
        queries_sent: HTTP requests so far, for our own metrics.
    """

    def __init__(
        self,
        client: PrometheusConnect,
        names: MetricNames,
        *,
        rate_window_seconds: float,
        warm_up_seconds: float,
        timeout_seconds: float,
        alerts: Sequence[str] = (),
    ) -> None:
        """Prepare the queries; nothing is sent yet.

        Args:
            client: What `connect` returned.
            names: Names of metrics and labels.
            rate_window_seconds: Window of every rate.
            warm_up_seconds: How long a pod's figures are left out after its start.
            timeout_seconds: Longest time that `read` takes; Prometheus is told it too.
            alerts: Names of the alerts to look for.

        Raises:
            ValueError: The name of an alert is empty.
        """
        self.queries_sent = 0
        self._client = client
        self._names = names
        self._written = partial(
            queries,
            names,
            rate_window_seconds=rate_window_seconds,
            warm_up_seconds=warm_up_seconds,
        )
        self._timeout_seconds = timeout_seconds
        self._pool = ThreadPoolExecutor(len(self._written()) + 1, thread_name_prefix="prometheus")
        self.look_for(alerts)

    def look_for(self, alerts: Sequence[str]) -> None:
        """Ask for other alerts from the next `read` on.

        Args:
            alerts: Their names.

        Raises:
            ValueError: One is empty.
        """
        self._queries = self._written(alerts=alerts)

    def read(self, at: float) -> Readings:
        """All figures as of a time.

        Raises:
            SourceError: One of the queries gave no answer that may be believed; then none is.
        """
        answers = self._ask_all(at)
        coverage: _Figures = {}
        figures: _Figures = {}
        alerts: Mapping[str, frozenset[str]] = {}
        versions: Mapping[_Labels, float] = {}
        while answers:  # each is let go before the next one is decoded
            name, answer = answers.popitem()
            with _about(name):
                if name == ALERTS:
                    alerts = self._alerts(answer.series())
                elif name == GO_VERSIONS:
                    versions = self._go_versions(answer.series())
                else:
                    self._add(answer.series(), coverage if name == COVERAGE else figures)
        for labels, version in versions.items():
            figures.setdefault(labels, {})[Quantity.GO_VERSION] = version
        covered = {
            _key(labels): _covered(found, coverage.get(labels, {}))
            for labels, found in figures.items()
        }
        return Readings(at, covered, alerts)

    def close(self) -> None:
        """Let go of connections and threads, once the last queries have ended or timed out."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def _ask_all(self, at: float) -> dict[str, Vector]:
        """The answers by the names of their queries."""
        futures = {self._pool.submit(self._ask, query.text, at): query for query in self._queries}
        self.queries_sent += len(futures)
        try:
            done, late = wait(futures, self._timeout_seconds, return_when=FIRST_EXCEPTION)
            answers = {}
            for each in done:
                with _about(futures[each].name):
                    answers[futures[each].name] = each.result()
            if late:
                raise SourceError(
                    "timeout",
                    f"{futures[next(iter(late))].name}: no complete answer within "
                    f"{self._timeout_seconds:g} s",
                )
        finally:
            for each in futures:
                each.cancel()
        return answers

    def _ask(self, text: str, at: float) -> Vector:
        # Prometheus stops working on a query whose answer nobody waits for any more. Its durations
        # know no fractions; a bare number of seconds may have them.
        limit = {"timeout": f"{self._timeout_seconds:g}", "time": f"{at:.3f}"}
        found: Vector = self._client.custom_query(text, params=limit)
        return found

    def _add(self, answer: Iterable[Series], figures: _Figures) -> None:
        for series in answer:
            try:
                labels = self._labels(series)
                quantity = _QUANTITIES[series.metric["quantity"]]
                number = float(series.value[1])
            except (KeyError, ValueError) as error:
                raise _malformed(series) from error
            readings = figures.get(labels)
            if readings is None:
                readings = figures[labels] = {}
            if quantity in readings:
                raise SourceError("duplicate", f"{quantity.value} of {_key(labels)} came twice")
            readings[quantity] = number

    def _go_versions(self, answer: Iterable[Series]) -> Mapping[_Labels, float]:
        """The oldest release of each container's pods; none where one of them is not known."""
        releases: defaultdict[_Labels, list[float | None]] = defaultdict(list)
        for series in answer:
            try:
                labels = self._labels(series)
            except KeyError as error:
                raise _malformed(series) from error
            release = series.metric.get(self._names.version_label, "")
            releases[labels].append(_release_number(release))
        oldest = {labels: min(found, key=_unknown_first) for labels, found in releases.items()}
        return {labels: number for labels, number in oldest.items() if number is not None}

    def _alerts(self, answer: Iterable[Series]) -> Mapping[str, frozenset[str]]:
        firing: defaultdict[str, set[str]] = defaultdict(set)
        for series in answer:
            namespace = series.metric.get(self._names.namespace_label, "")
            try:
                firing[namespace].add(series.metric["alertname"])
            except KeyError as error:
                raise _malformed(series) from error
        return {namespace: frozenset(names) for namespace, names in firing.items()}

    def _labels(self, series: Series) -> _Labels:
        names, labels = self._names, series.metric
        kind = labels["kind"]
        if kind not in _KINDS:
            raise KeyError(kind)
        namespace, container = names.namespace_label, names.container_label
        return labels[namespace], kind, labels["workload"], labels.get(container, "")


def _key(labels: _Labels) -> ContainerKey:
    namespace, kind, workload, container = labels
    return ContainerKey(WorkloadKey(namespace, _KINDS[kind], workload), container)


def _malformed(series: Series) -> SourceError:
    return SourceError("malformed", f"unexpected series {series}")


def _release_number(release: str) -> float | None:
    """1026008 for go1.26.8; None for what is no release."""
    found = _GO_RELEASE.fullmatch(release)
    if found is None:
        return None
    major, minor, patch = (int(part or 0) for part in found.groups())
    return float(1_000_000 * major + 1_000 * minor + patch)


def _unknown_first(release: float | None) -> float:
    return -math.inf if release is None else release


@contextmanager
def _about(query: str) -> Iterator[None]:
    """Name the query in whatever goes wrong with its answer."""
    try:
        yield
    except SourceError as error:
        raise SourceError(error.cause, f"{query}: {error}") from error


def _covered(
    readings: dict[Quantity, float], pods_by_quantity: dict[Quantity, float]
) -> dict[Quantity, float]:
    """The quantities that all pods took part in.

    The sum or worst over the pods that happen to export an optional metric would be set against
    sums over all pods.
    """
    pods = pods_by_quantity.get(Quantity.PODS)
    return {
        quantity: number
        for quantity, number in readings.items()
        if quantity not in _COUNTED_AS or pods_by_quantity.get(_COUNTED_AS[quantity]) == pods
    }
