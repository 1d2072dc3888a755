"""All figures of all Go containers, out of a constant number of queries."""

from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from tuner.errors import SourceError
from tuner.model.reading import ContainerKey, Quantity, Readings
from tuner.model.workload import Kind, WorkloadKey
from tuner.prometheus.access import Access
from tuner.prometheus.metric_names import MetricNames
from tuner.prometheus.queries import COVERED, Query, queries
from tuner.prometheus.session import PrometheusSession, Series

_KINDS = {kind.value: kind for kind in Kind}
_QUANTITIES = {quantity.value: quantity for quantity in Quantity}
_COVERAGE = {
    **{quantity: quantity for quantity in COVERED if quantity is not Quantity.PODS},
    Quantity.GOGC_HIGHEST: Quantity.GOGC_LOWEST,
}
"""Quantity to the one that its metric's pods were counted under."""

_Figures = dict[ContainerKey, dict[Quantity, float]]


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
    ) -> None:
        """Prepare the queries; nothing is sent yet.

        Args:
            client: What `connect` returned.
            names: Names of metrics and labels.
            rate_window_seconds: Window of every rate.
            warm_up_seconds: How long a pod's figures are left out after its start.
            timeout_seconds: Longest time that `read` takes; Prometheus is told it too.
        """
        self.queries_sent = 0
        self._client = client
        self._names = names
        self._queries = queries(
            names, rate_window_seconds=rate_window_seconds, warm_up_seconds=warm_up_seconds
        )
        self._timeout_seconds = timeout_seconds
        self._pool = ThreadPoolExecutor(len(self._queries), thread_name_prefix="prometheus")

    def read(self, at: float) -> Readings:
        """All figures as of a time.

        Raises:
            SourceError: One of the queries gave no answer that may be believed; then none is.
        """
        futures = {self._pool.submit(self._ask, query.text, at): query for query in self._queries}
        self.queries_sent += len(futures)
        try:
            done, late = wait(futures, self._timeout_seconds, return_when=FIRST_EXCEPTION)
            answers = {futures[each].name: _answer(each, futures[each]) for each in done}
            if late:
                raise SourceError(
                    "timeout",
                    f"{futures[next(iter(late))].name}: no complete answer within "
                    f"{self._timeout_seconds:g} s",
                )
        finally:
            for each in futures:
                each.cancel()
        coverage = self._figures(answers.pop("coverage"))
        figures = self._figures(*answers.values())
        return Readings(at, {key: _covered(figures[key], coverage.get(key, {})) for key in figures})

    def close(self) -> None:
        """Let go of connections and threads, once the last queries have ended or timed out."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def _ask(self, text: str, at: float) -> list[Series]:
        # Prometheus stops working on a query whose answer nobody waits for any more.
        limit = {"timeout": f"{self._timeout_seconds:g}s", "time": f"{at:.3f}"}
        found: list[Series] = self._client.custom_query(text, params=limit)
        return found

    def _figures(self, *answers: Iterable[Series]) -> _Figures:
        names = self._names
        figures: _Figures = {}
        for series in (each for answer in answers for each in answer):
            labels = series.metric
            try:
                key = ContainerKey(
                    WorkloadKey(
                        labels[names.namespace_label], _KINDS[labels["kind"]], labels["workload"]
                    ),
                    labels.get(names.container_label, ""),
                )
                quantity = _QUANTITIES[labels["quantity"]]
                number = float(series.value[1])
            except (KeyError, ValueError) as error:
                raise SourceError("malformed", f"unexpected series {series}") from error
            readings = figures.setdefault(key, {})
            if quantity in readings:
                raise SourceError("duplicate", f"{quantity.value} of {key} came twice")
            readings[quantity] = number
        return figures


def _answer(future: Future[list[Series]], query: Query) -> list[Series]:
    try:
        return future.result()
    except SourceError as error:
        raise SourceError(error.cause, f"{query.name}: {error}") from error


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
        if quantity not in _COVERAGE or pods_by_quantity.get(_COVERAGE[quantity]) == pods
    }
