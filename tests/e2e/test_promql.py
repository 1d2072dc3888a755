"""The queries on a real Prometheus that scrapes made-up pods: every figure means what it says."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.testbed.binaries import PROMETHEUS, build
from tests.e2e.testbed.cache import default_cache
from tests.e2e.testbed.processes import wait_for
from tests.e2e.testbed.prometheus import Prometheus, Scraping, prepare_prometheus
from tuner.model.reading import ContainerKey, Quantity, Readings
from tuner.model.workload import Kind, WorkloadKey
from tuner.prometheus import Access, MetricNames, PrometheusSource, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SCRAPE_SECONDS = 2.0
_SAMPLE_SECONDS = 10.0
"""Between the samples that a page tells."""
_WINDOW_SECONDS = 120.0
_WINDOW_SAMPLES = 12
_SAMPLES = 14
"""Of a page: a window's, and two from before it."""
_WARM_UP_SECONDS = 100.0
_LONGEST_READ_SECONDS = 60.0
"""Enough for a machine that stalls: how long a read takes is not judged here."""
_HOUR_SECONDS = 3600.0
_MIDDLE_AGE_SECONDS = 300.0
"""Past warm-up and window, but not past the ten minutes of the smallest heap."""
_FRESH_SECONDS = 4.0
_STALER_SECONDS = 5.0
_OLD_SECONDS = 180.0
"""Ages of a pod's newest sample.

The last is more than the window, and less than the five minutes that Prometheus looks back.
"""

_MIB = 2.0**20
_GAUGES = {
    "go_memstats_next_gc_bytes": 220 * _MIB,
    "go_memstats_heap_alloc_bytes": 150 * _MIB,
    "go_memstats_heap_inuse_bytes": 160 * _MIB,
    "go_memstats_heap_sys_bytes": 230 * _MIB,
    "go_memstats_heap_released_bytes": 20 * _MIB,
    "go_memstats_stack_inuse_bytes": 20 * _MIB,
    "go_memstats_sys_bytes": 260 * _MIB,
    "process_resident_memory_bytes": 250 * _MIB,
}
_RATES = {
    "process_cpu_seconds_total": 0.5,
    "go_memstats_alloc_bytes_total": 100 * _MIB,
    "go_gc_duration_seconds_count": 2.0,
    "go_gc_duration_seconds_sum": 0.001,
}
_REQUESTS = {
    'http_requests_total{code="200",path="/a"}': 30.0,
    'http_requests_total{code="200",path="/b"}': 10.0,
    'http_request_duration_seconds_bucket{code="200",le="0.1"}': 36.0,
    'http_request_duration_seconds_bucket{code="200",le="0.2"}': 40.0,
    'http_request_duration_seconds_bucket{code="200",le="+Inf"}': 40.0,
}
_NEWER = {
    "go_gc_gogc_percent": 100.0,
    "go_gc_gomemlimit_bytes": 2.0**63,
    'go_gc_duration_seconds{quantile="0.5"}': 0.0001,
    'go_gc_duration_seconds{quantile="1"}': 0.002,
    "go_goroutines": 50.0,
    "go_sched_gomaxprocs_threads": 4.0,
}
_RUNTIME_CPU = {
    "go_cpu_classes_gc_total_cpu_seconds_total": 0.2,
    "go_cpu_classes_total_cpu_seconds_total": 4.0,
    "go_cpu_classes_idle_cpu_seconds_total": 3.25,
}
_BARRIER = {"barrier_threshold": 64.0, "barrier_in_flight": 12.0}
_REFUSALS = {
    'http_requests_total{code="503",path="/a"}': 15.0,
    'http_request_duration_seconds_bucket{code="503",le="0.1"}': 15.0,
    'http_request_duration_seconds_bucket{code="503",le="0.2"}': 15.0,
    'http_request_duration_seconds_bucket{code="503",le="+Inf"}': 15.0,
    "barrier_refused_total": 13.0,
}
"""Two of the 15 answers with 503 are not the barrier's."""
_ALERTS = {
    'ALERTS{alertname="Too.Slow",alertstate="firing",namespace="shop",severity="page"}': 1.0,
    'ALERTS{alertname="Too.Slow",alertstate="firing",namespace="shop",severity="note"}': 1.0,
    'ALERTS{alertname="Too.Slow",alertstate="firing"}': 1.0,
    'ALERTS{alertname="TooHot",alertstate="pending",namespace="shop"}': 1.0,
    'ALERTS{alertname="Too-Slow",alertstate="firing",namespace="shop"}': 1.0,
}


def _page(figures: Callable[[float], Mapping[str, float]], newest: float) -> str:
    """Figures as exposed, at their newest and at the times before it.

    A page tells the times itself, and all of them: what Prometheus has does not depend on when it
    was scraped, nor on how many scrapes were in vain.
    """
    times = [round(newest - back * _SAMPLE_SECONDS, 3) for back in reversed(range(_SAMPLES))]
    lines = (
        f"{name} {number!r} {at * 1000:.0f}\n"
        for at in times
        for name, number in figures(at).items()
    )
    # Prometheus 3 rewrites the label quantile of what is declared as a summary.
    return "".join(["# TYPE go_gc_duration_seconds summary\n", *lines])


@dataclass(frozen=True)
class _Pod:
    """A process that exports made-up figures."""

    name: str
    labels: Mapping[str, str] = field(default_factory=lambda: {"container": "app"})
    jobs: tuple[str, ...] = ("pods",)
    age_seconds: float = _HOUR_SECONDS
    gauges: Mapping[str, float] = field(default_factory=lambda: {**_GAUGES, **_NEWER})
    """By name and labels, as exposed."""
    rates: Mapping[str, float] = field(default_factory=lambda: {**_RATES, **_REQUESTS})
    """Increase per second of each counter, by name and labels."""
    rss_bytes: float | None = 300 * _MIB
    """What cAdvisor says; None where it says nothing."""
    quota_periods: tuple[float, float] | None = None
    """Throttled ones and all of them, per second; None without a quota."""
    release: str | None = "go1.26.8"
    """What it says of its Go; None where it says nothing."""
    silent_seconds: float = _FRESH_SECONDS
    """Age of its newest sample."""

    def with_gauges(self, **gauges: float) -> _Pod:
        return replace(self, gauges={**self.gauges, **gauges})

    def with_rates(self, rates: Mapping[str, float]) -> _Pod:
        return replace(self, rates={**self.rates, **rates})

    def figures(self, at: float, judged: float) -> Mapping[str, float]:
        """What it exports at a time; its age is that at the judged one."""
        figures = dict(self.gauges)
        if at <= judged - _WINDOW_SECONDS and "go_memstats_heap_alloc_bytes" in figures:
            figures["go_memstats_heap_alloc_bytes"] = 90 * _MIB
        if self.release is not None:
            figures[f'go_info{{version="{self.release}"}}'] = 1.0
        figures |= {name: rate * at for name, rate in self.rates.items()}
        figures["process_start_time_seconds"] = judged - self.age_seconds
        return figures

    def of_container(self, at: float) -> Mapping[str, float]:
        """What cAdvisor exports for the container, and in the same way for the whole pod."""
        figures = {}
        if self.rss_bytes is not None:
            figures["container_memory_rss"] = self.rss_bytes
        if self.quota_periods is not None:
            throttled, periods = self.quota_periods
            figures["container_cpu_cfs_throttled_periods_total"] = throttled * at
            figures["container_cpu_cfs_periods_total"] = periods * at
        return {
            f'{name}{{namespace="shop",pod="{self.name}",container="{container}"}}': number
            for name, number in figures.items()
            for container in ("app", "")
        }


_WEB = _Pod("web-5d4f7c9b8d-bcdfg")
_DYING = replace(_WEB, name="dying-5d4f7c9b8d-bcdfg", jobs=("mortal",))
_PLAIN = {"gauges": _GAUGES, "rates": _RATES, "release": None}
_ODD_LATENCIES = {
    'http_request_duration_seconds_bucket{code="200",le="soon"}': 1.0,
    'http_request_duration_seconds_bucket{code="200",le="1e"}': 1.0,
    'http_request_duration_seconds_bucket{code="200"}': 1.0,
    'http_request_duration_seconds{quantile="0.5"}': 1.0,
}
_PODS = (
    _WEB,
    replace(
        _WEB.with_rates(
            {
                "process_cpu_seconds_total": 0.25,
                "go_gc_duration_seconds_sum": 0.004,
                'http_requests_total{code="503",path="/a"}': 5.0,
            }
        ).with_gauges(
            go_memstats_next_gc_bytes=420 * _MIB,
            go_gc_gogc_percent=200.0,
            go_gc_gomemlimit_bytes=700 * _MIB,
            go_goroutines=70.0,
        ),
        name="web-5d4f7c9b8d-x7k2p",
        rss_bytes=None,
        quota_periods=(2.5, 10.0),
        silent_seconds=_STALER_SECONDS,
    ),
    replace(
        _WEB.with_gauges(go_memstats_next_gc_bytes=9000 * _MIB),
        name="web-5d4f7c9b8d-zzzzz",
        age_seconds=30.0,
    ),
    replace(_WEB, name="young-5d4f7c9b8d-bcdfg", age_seconds=30.0),
    replace(_WEB, name="middle-5d4f7c9b8d-bcdfg", age_seconds=_MIDDLE_AGE_SECONDS),
    replace(_WEB, name="twice-5d4f7c9b8d-bcdfg", jobs=("pods", "again")),
    replace(_WEB, name="bare-5d4f7c9b8d-bcdfg", labels={}),
    replace(_WEB, name="plain-5d4f7c9b8d-bcdfg", **_PLAIN),  # type: ignore[arg-type]
    replace(_WEB, name="idle-5d4f7c9b8d-bcdfg").with_rates(dict.fromkeys(_REQUESTS, 0.0)),
    replace(_WEB, name="off-5d4f7c9b8d-bcdfg").with_gauges(
        go_gc_gogc_percent=1.8446744073709552e19
    ),
    replace(_WEB, name="exports-5d4f7c9b8d-bcdfg")
    .with_gauges(go_gc_heap_live_bytes=120 * _MIB)
    .with_rates(_RUNTIME_CPU),
    replace(_WEB, name="mixed-5d4f7c9b8d-bcdfg")
    .with_gauges(go_gc_heap_live_bytes=120 * _MIB, **_BARRIER)
    .with_rates({**_RUNTIME_CPU, **_REFUSALS}),
    replace(
        _WEB,
        name="mixed-5d4f7c9b8d-x7k2p",
        gauges={**_GAUGES, "go_gc_gogc_percent": 100.0},
        release=None,
    ),
    replace(_WEB, name="sheds-5d4f7c9b8d-bcdfg").with_gauges(**_BARRIER).with_rates(_REFUSALS),
    replace(_WEB, name="sheds-5d4f7c9b8d-x7k2p")
    .with_gauges(barrier_threshold=80.0, barrier_in_flight=3.0)
    .with_rates({"barrier_refused_total": 0.0}),
    replace(_WEB, name="fails-5d4f7c9b8d-bcdfg").with_rates(
        {name: rate for name, rate in _REFUSALS.items() if name != "barrier_refused_total"}
    ),
    replace(_WEB, name="idling-5d4f7c9b8d-bcdfg", quota_periods=(0.0, 0.0)),
    replace(_WEB, name="releases-5d4f7c9b8d-bcdfg"),
    replace(_WEB, name="releases-5d4f7c9b8d-x7k2p", release="go1.9.7"),
    replace(_WEB, name="builds-5d4f7c9b8d-bcdfg"),
    replace(_WEB, name="builds-5d4f7c9b8d-x7k2p", release="devel go1.27-abcdef1"),
    _DYING,
    replace(_WEB, name="dying-5d4f7c9b8d-x7k2p"),
    replace(_WEB, name="stops-5d4f7c9b8d-bcdfg", silent_seconds=_OLD_SECONDS),
    replace(_WEB, name="odd-5d4f7c9b8d-bcdfg").with_rates(_ODD_LATENCIES),
    replace(
        _WEB,
        name="python-5d4f7c9b8d-bcdfg",
        gauges={"process_resident_memory_bytes": 1.0},
        rates={"process_cpu_seconds_total": 1.0},
    ),
    replace(_WEB, name="kube-proxy-x7k2p"),
)


class _Services:
    """Serves the made-up pods, each under ``/pods/<name>``, and cAdvisor's figures of them."""

    def __init__(self) -> None:
        self.judged = time.time()
        """As of when figures are read; the heaps have grown one window before."""
        self.now = self.judged
        """As of when pages are served."""
        self.dead: set[str] = set()
        services = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                body = services.page(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write((body or "").encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def page(self, path: str) -> str | None:
        fresh = self.now - _FRESH_SECONDS
        if path == "/metrics/cadvisor":
            return _page(self._of_containers, fresh)
        if path == "/alerts":
            return _page(lambda _: _ALERTS, fresh)
        name = path.removeprefix("/pods/")
        pods = [pod for pod in _PODS if pod.name == name and name not in self.dead]
        return self._page_of(pods[0]) if pods else None

    def _page_of(self, pod: _Pod) -> str:
        return _page(lambda at: pod.figures(at, self.judged), self.now - pod.silent_seconds)

    def _of_containers(self, at: float) -> Mapping[str, float]:
        return {name: number for pod in _PODS for name, number in pod.of_container(at).items()}

    def scrape_configs(self) -> list[dict[str, Any]]:
        configs: list[dict[str, Any]] = [
            {
                "job_name": job,
                "static_configs": [
                    {
                        "targets": [self.address],
                        "labels": {
                            "__metrics_path__": f"/pods/{pod.name}",
                            "instance": pod.name,
                            "namespace": "shop",
                            "pod": pod.name,
                            **pod.labels,
                        },
                    }
                    for pod in _PODS
                    if job in pod.jobs
                ],
            }
            for job in ("pods", "again", "mortal")
        ]
        # What tells its times itself is otherwise taken to live on where it cannot be scraped.
        configs[-1]["track_timestamps_staleness"] = True
        # A Go process outside Kubernetes, and one whose job forgets the namespace.
        loose = [{}, {"pod": _WEB.name, "instance": "loose"}]
        static = [
            {
                "targets": [self.address],
                "labels": {"__metrics_path__": f"/pods/{_WEB.name}", **each},
            }
            for each in loose
        ]
        alerts = [{"targets": [self.address], "labels": {"__metrics_path__": "/alerts"}}]
        return [
            *configs,
            {"job_name": "loose", "static_configs": static},
            {"job_name": "alerts", "static_configs": alerts},
        ]


@dataclass(frozen=True)
class _Scene:
    services: _Services
    prometheus: Prometheus
    source: PrometheusSource
    readings: Readings
    """As of the judged time."""

    def figures(self, workload: str, container: str = "app") -> Mapping[Quantity, float]:
        return self.readings.containers[_key(workload, container)]


def _key(workload: str, container: str = "app") -> ContainerKey:
    return ContainerKey(WorkloadKey("shop", Kind.DEPLOYMENT, workload), container)


def _wait_for_series(prometheus: Prometheus, number: int, expression: str) -> None:
    wait_for(lambda: len(prometheus.query(expression)) == number, f"{number} of {expression}")


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[_Scene]:
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        program = build(PROMETHEUS, default_cache()) / "prometheus"
    services = _Services()
    directory = tmp_path_factory.mktemp("prometheus")
    prometheus = prepare_prometheus(
        program,
        directory,
        kubeconfig=directory / "none",  # there is no cluster: nothing is discovered
        node_address=services.address,
        scraping=Scraping(interval_seconds=_SCRAPE_SECONDS, extra=services.scrape_configs()),
    )
    source = PrometheusSource(
        connect(Access(url=prometheus.url, timeout_seconds=_LONGEST_READ_SECONDS)),
        MetricNames(),
        rate_window_seconds=_WINDOW_SECONDS,
        warm_up_seconds=_WARM_UP_SECONDS,
        timeout_seconds=_LONGEST_READ_SECONDS,
        alerts=["Too.Slow", "TooHot"],
    )
    with services.serving():
        prometheus.start()
        try:
            configs = services.scrape_configs()
            targets = sum(len(each["static_configs"]) for each in configs)
            jobs = "|".join(each["job_name"] for each in configs)
            scraped = f'max_over_time(up{{job=~"cadvisor|{jobs}"}}[1h])==1'
            _wait_for_series(prometheus, targets + 1, scraped)
            yield _Scene(services, prometheus, source, source.read(services.judged))
        finally:
            source.close()
            prometheus.stop()


def test_sums_are_over_the_pods_that_are_old_enough(scene: _Scene) -> None:
    figures = scene.figures("web")
    assert figures[Quantity.PODS] == 2
    assert figures[Quantity.PODS_ALL] == 3
    assert figures[Quantity.CPU_CORES] == pytest.approx(0.75)
    assert figures[Quantity.GC_CYCLES_PER_SECOND] == pytest.approx(4.0)
    assert figures[Quantity.ALLOCATED_BYTES_PER_SECOND] == pytest.approx(200 * _MIB)
    assert figures[Quantity.REQUESTS_PER_SECOND] == pytest.approx(85.0)
    assert figures[Quantity.ERRORS_PER_SECOND] == pytest.approx(5.0)


def test_memory_is_that_of_the_worst_pod(scene: _Scene) -> None:
    figures = scene.figures("web")
    assert figures[Quantity.HEAP_GOAL_BYTES] == 420 * _MIB
    assert figures[Quantity.STACK_BYTES] == 20 * _MIB
    assert figures[Quantity.NON_HEAP_BYTES] == 40 * _MIB
    assert figures[Quantity.RESIDENT_BYTES] == 300 * _MIB
    assert figures[Quantity.UNKNOWN_BYTES] == 60 * _MIB
    assert figures[Quantity.PAUSE_SECONDS_PER_SECOND] == pytest.approx(0.004)


def test_gogc_and_limit_show_their_spread(scene: _Scene) -> None:
    figures = scene.figures("web")
    assert figures[Quantity.GOGC_LOWEST] == 100
    assert figures[Quantity.GOGC_HIGHEST] == 200
    assert figures[Quantity.GOMEMLIMIT_BYTES] == 700 * _MIB


def test_live_heap_is_derived_per_pod(scene: _Scene) -> None:
    figures = scene.figures("web")
    # (220 - 1 * 20) / 2 = 100 and (420 - 2 * 20) / 3 = 126.7 MiB, two cycles a second each.
    assert figures[Quantity.LIVE_DERIVED_BYTES] == pytest.approx(380 / 3 * _MIB)
    assert figures[Quantity.MARKED_BYTES_PER_SECOND] == pytest.approx(2 * (100 + 380 / 3) * _MIB)
    assert Quantity.LIVE_EXPORTED_BYTES not in figures
    assert Quantity.GC_CPU_CORES not in figures


def test_latency_is_the_quantile_over_all_pods(scene: _Scene) -> None:
    figures = scene.figures("web")
    # 90 % below .1 s and the rest evenly up to .2 s.
    assert figures[Quantity.LATENCY_P95_SECONDS] == pytest.approx(0.15)
    assert figures[Quantity.LATENCY_P99_SECONDS] == pytest.approx(0.19)


def test_samples_are_counted_and_fresh(scene: _Scene) -> None:
    figures = scene.figures("web")
    assert figures[Quantity.SAMPLES_IN_WINDOW] == _WINDOW_SAMPLES
    assert figures[Quantity.SAMPLE_AGE_SECONDS] == pytest.approx(_STALER_SECONDS, abs=0.002)


def test_smallest_heap_reaches_back_no_further_than_the_warm_up(scene: _Scene) -> None:
    assert scene.figures("web")[Quantity.LIVE_FLOOR_BYTES] == 90 * _MIB
    assert scene.figures("middle")[Quantity.LIVE_FLOOR_BYTES] == 150 * _MIB


def test_only_young_pods_are_counted_and_nothing_else(scene: _Scene) -> None:
    assert scene.figures("young").keys() == {Quantity.PODS_ALL, Quantity.SAMPLE_AGE_SECONDS}


def test_a_pod_that_two_jobs_scrape_counts_once(scene: _Scene) -> None:
    figures = scene.figures("twice")
    assert figures[Quantity.PODS] == 1
    assert figures[Quantity.PODS_ALL] == 1
    assert figures[Quantity.CPU_CORES] == pytest.approx(0.5)
    assert figures[Quantity.REQUESTS_PER_SECOND] == pytest.approx(40.0)
    assert figures[Quantity.MARKED_BYTES_PER_SECOND] == pytest.approx(200 * _MIB)
    assert figures[Quantity.LATENCY_P95_SECONDS] == pytest.approx(0.15)


def test_series_without_a_container_label_have_an_empty_container(scene: _Scene) -> None:
    figures = scene.figures("bare", container="")
    assert figures[Quantity.PODS] == 1
    assert figures[Quantity.RESIDENT_BYTES] == 300 * _MIB
    assert figures[Quantity.GOGC_HIGHEST] == 100


def test_missing_metrics_are_absent_and_never_zero(scene: _Scene) -> None:
    figures = scene.figures("plain")
    absent = {
        Quantity.GC_CPU_CORES,
        Quantity.LIVE_EXPORTED_BYTES,
        Quantity.LIVE_DERIVED_BYTES,
        Quantity.GOGC_LOWEST,
        Quantity.GOGC_HIGHEST,
        Quantity.GOMEMLIMIT_BYTES,
        Quantity.REQUESTS_PER_SECOND,
        Quantity.ERRORS_PER_SECOND,
        Quantity.LATENCY_P95_SECONDS,
        Quantity.LATENCY_P99_SECONDS,
        Quantity.BUSY_CPU_CORES,
        Quantity.PAUSE_LONGEST_SECONDS,
        Quantity.GOROUTINES,
        Quantity.PROCESSORS,
        Quantity.THROTTLED_RATIO,
        Quantity.GO_VERSION,
        Quantity.BARRIER_THRESHOLD_LOWEST,
        Quantity.BARRIER_THRESHOLD_HIGHEST,
        Quantity.BARRIER_IN_FLIGHT,
        Quantity.BARRIER_REFUSED_PER_SECOND,
    }
    assert figures.keys() == set(Quantity) - absent
    assert figures[Quantity.MARKED_BYTES_PER_SECOND] == pytest.approx(2 * 90 * _MIB)


def test_no_failed_request_is_zero_errors(scene: _Scene) -> None:
    assert scene.figures("twice")[Quantity.ERRORS_PER_SECOND] == 0


def test_latency_without_requests_is_no_number(scene: _Scene) -> None:
    figures = scene.figures("idle")
    assert figures[Quantity.REQUESTS_PER_SECOND] == 0
    assert math.isnan(figures[Quantity.LATENCY_P95_SECONDS])


def test_gogc_off_leaves_only_the_smallest_heap(scene: _Scene) -> None:
    figures = scene.figures("off")
    assert figures[Quantity.GOGC_LOWEST] >= 1e18
    assert figures[Quantity.GOGC_HIGHEST] >= 1e18
    assert Quantity.LIVE_DERIVED_BYTES not in figures
    assert figures[Quantity.LIVE_FLOOR_BYTES] == 90 * _MIB
    assert figures[Quantity.MARKED_BYTES_PER_SECOND] == pytest.approx(2 * 90 * _MIB)


def test_what_the_runtime_exports_is_used(scene: _Scene) -> None:
    figures = scene.figures("exports")
    assert figures[Quantity.LIVE_EXPORTED_BYTES] == 120 * _MIB
    assert figures[Quantity.MARKED_BYTES_PER_SECOND] == pytest.approx(2 * 120 * _MIB)
    assert figures[Quantity.GC_CPU_CORES] == pytest.approx(0.2)
    assert figures[Quantity.BUSY_CPU_CORES] == pytest.approx(0.75)


def test_an_optional_metric_of_some_pods_only_is_left_out(scene: _Scene) -> None:
    figures = scene.figures("mixed")
    assert figures[Quantity.PODS] == 2
    assert Quantity.GC_CPU_CORES not in figures
    assert Quantity.LIVE_EXPORTED_BYTES not in figures
    assert figures[Quantity.LIVE_DERIVED_BYTES] == 100 * _MIB
    assert figures[Quantity.MARKED_BYTES_PER_SECOND] == pytest.approx(2 * (120 + 100) * _MIB)
    assert figures.keys().isdisjoint(
        {
            Quantity.BUSY_CPU_CORES,
            Quantity.PROCESSORS,
            Quantity.GO_VERSION,
            Quantity.BARRIER_THRESHOLD_LOWEST,
            Quantity.BARRIER_THRESHOLD_HIGHEST,
            Quantity.BARRIER_REFUSED_PER_SECOND,
        }
    )


def test_the_worst_over_the_pods_that_have_an_optional_metric_is_kept(scene: _Scene) -> None:
    figures = scene.figures("mixed")
    assert figures[Quantity.GOROUTINES] == 50
    assert figures[Quantity.PAUSE_LONGEST_SECONDS] == 0.002
    assert figures[Quantity.BARRIER_IN_FLIGHT] == 12


def test_the_runtimes_size_is_summed_or_that_of_the_worst_pod(scene: _Scene) -> None:
    figures = scene.figures("web")
    assert figures[Quantity.PROCESSORS] == 8
    assert figures[Quantity.GOROUTINES] == 70
    assert figures[Quantity.PAUSE_LONGEST_SECONDS] == 0.002
    assert figures[Quantity.GO_VERSION] == 1026008


def test_throttling_is_that_of_the_pods_with_a_quota(scene: _Scene) -> None:
    assert scene.figures("web")[Quantity.THROTTLED_RATIO] == pytest.approx(0.25)
    assert Quantity.THROTTLED_RATIO not in scene.figures("twice")


def test_a_quota_of_which_no_period_ran_says_nothing(scene: _Scene) -> None:
    assert Quantity.THROTTLED_RATIO not in scene.figures("idling")


def test_refusals_of_the_barrier_are_no_answers(scene: _Scene) -> None:
    figures = scene.figures("sheds")
    assert figures[Quantity.BARRIER_REFUSED_PER_SECOND] == pytest.approx(13.0)
    assert figures[Quantity.REQUESTS_PER_SECOND] == pytest.approx(40 + 15 - 13 + 40)
    assert figures[Quantity.ERRORS_PER_SECOND] == pytest.approx(2.0)
    assert figures[Quantity.LATENCY_P95_SECONDS] == pytest.approx(0.15)
    assert figures[Quantity.BARRIER_THRESHOLD_LOWEST] == 64
    assert figures[Quantity.BARRIER_THRESHOLD_HIGHEST] == 80
    assert figures[Quantity.BARRIER_IN_FLIGHT] == 12


def test_without_a_barrier_an_answer_with_503_is_an_error_with_a_latency(scene: _Scene) -> None:
    figures = scene.figures("fails")
    assert figures[Quantity.REQUESTS_PER_SECOND] == pytest.approx(55.0)
    assert figures[Quantity.ERRORS_PER_SECOND] == pytest.approx(15.0)
    # Of 55 answers 51 take up to .1 s and the other 4 up to .2 s.
    assert figures[Quantity.LATENCY_P95_SECONDS] == pytest.approx(0.1 + 0.1 * (0.95 * 55 - 51) / 4)


def test_the_oldest_go_release_of_the_pods_is_told(scene: _Scene) -> None:
    assert scene.figures("releases")[Quantity.GO_VERSION] == 1009007
    assert Quantity.GO_VERSION not in scene.figures("builds")


def test_alerts_that_fire_are_told_by_namespace(scene: _Scene) -> None:
    assert scene.readings.alerts == {"shop": {"Too.Slow"}, "": {"Too.Slow"}}


def test_malformed_histograms_of_one_service_do_not_taint_the_answer(scene: _Scene) -> None:
    assert scene.figures("odd")[Quantity.LATENCY_P95_SECONDS] == pytest.approx(0.15)


def test_processes_that_are_no_go_process_of_a_workload_are_left_out(scene: _Scene) -> None:
    found = [key.workload for key in scene.readings.containers]
    assert {each.name for each in found}.isdisjoint({"python", "kube", "kube-proxy", ""})
    assert {each.namespace for each in found} == {"shop"}


def test_samples_that_stop_are_seen_as_old_and_few(scene: _Scene) -> None:
    figures = scene.figures("stops")
    assert figures[Quantity.SAMPLE_AGE_SECONDS] == pytest.approx(_OLD_SECONDS, abs=0.002)
    assert figures[Quantity.SAMPLES_IN_WINDOW] == 0
    assert Quantity.CPU_CORES not in figures


def test_a_dead_pod_no_longer_takes_part(scene: _Scene) -> None:
    assert scene.figures("dying")[Quantity.PODS] == 2
    services = scene.services
    services.dead.add(_DYING.name)
    _wait_for_series(scene.prometheus, 0, f'go_goroutines{{pod="{_DYING.name}"}}')
    newest = services.now - _FRESH_SECONDS
    services.now = time.time()
    newer = f'timestamp(go_goroutines{{pod=~"dying-.*"}})>{newest:.3f}'
    _wait_for_series(scene.prometheus, 1, newer)
    figures = scene.source.read(services.now).containers[_key("dying")]
    assert figures[Quantity.PODS_ALL] == 1
    assert figures[Quantity.PODS] == 1
    assert figures[Quantity.CPU_CORES] == pytest.approx(0.5)
