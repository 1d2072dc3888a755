from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.prometheus.conftest import AT
from tests.contract.prometheus.server import Asked, FakePrometheus, Reply, one, vector
from tuner.errors import SourceError
from tuner.model.reading import ContainerKey, Quantity
from tuner.model.workload import Kind, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from tuner.ports import MetricsSource
    from tuner.prometheus import PrometheusSource

    OpenSource = Callable[..., AbstractContextManager[PrometheusSource]]

_EXPECTED = Path(__file__).with_name("expected.promql")
_WEB = ContainerKey(WorkloadKey("shop", Kind.DEPLOYMENT, "web"), "app")
_GO = "go1.26.8"
_GO_VERSION = '"quantity","go_version"'
_OPTIONAL = '"quantity","live_exported_bytes"'


def _expected_queries() -> list[str]:
    lines = _EXPECTED.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_implements_the_port(source: MetricsSource) -> None:
    assert source.read(AT).at == AT


def test_these_are_the_queries(prometheus: FakePrometheus, source: PrometheusSource) -> None:
    source.read(AT)
    assert sorted(each.query for each in prometheus.asked) == sorted(_expected_queries())


def test_all_queries_are_short_gets_of_the_same_moment(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    source.read(AT)
    assert {(each.method, each.path) for each in prometheus.asked} == {("GET", "/api/v1/query")}
    others = {(each.parameters["time"], each.parameters["timeout"]) for each in prometheus.asked}
    assert others == {("1700000000.250", "5")}


def test_a_timeout_that_is_not_whole_seconds_is_told_as_a_number(
    prometheus: FakePrometheus, open_source: OpenSource
) -> None:
    with open_source(prometheus.url, timeout_seconds=2.5) as source:
        source.read(AT)
    assert {each.parameters["timeout"] for each in prometheus.asked} == {"2.5"}


@pytest.mark.parametrize("workloads", [0, 1, 500])
def test_the_number_of_requests_does_not_grow_with_the_fleet(
    prometheus: FakePrometheus, source: PrometheusSource, workloads: int
) -> None:
    def reply(asked: Asked) -> Reply:
        quantities = [each.value for each in Quantity if f'"{each.value}"' in asked.query]
        names = [f"web-{number}" for number in range(workloads)]
        every = [(name, quantity) for name in names for quantity in quantities]
        return vector(*(one(workload=name, quantity=each, version=_GO) for name, each in every))

    prometheus.reply = reply
    readings = source.read(AT)
    assert len(prometheus.asked) == source.queries_sent == 10
    assert len(readings.containers) == workloads
    assert all(figures.keys() == set(Quantity) for figures in readings.containers.values())


def test_numbers_are_kept_as_prometheus_writes_them(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    prometheus.answer_one(
        '"latency_p95_seconds"',
        vector(
            one("NaN", quantity="latency_p95_seconds"),
            one("+Inf", quantity="latency_p99_seconds"),
            one("-Inf", quantity="cpu_cores"),
            one("1.8446744073709552e+19", quantity="heap_goal_bytes"),
        ),
    )
    figures = source.read(AT).containers[_WEB]
    assert math.isnan(figures[Quantity.LATENCY_P95_SECONDS])
    assert figures[Quantity.LATENCY_P99_SECONDS] == math.inf
    assert figures[Quantity.CPU_CORES] == -math.inf
    assert figures[Quantity.HEAP_GOAL_BYTES] == 1.8446744073709552e19


def test_a_series_without_container_label_has_an_empty_container(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    prometheus.answer_one('"cpu_cores"', vector(one("0.5", container="", quantity="cpu_cores")))
    key = ContainerKey(_WEB.workload, "")
    assert source.read(AT).containers == {key: {Quantity.CPU_CORES: 0.5}}


@pytest.mark.parametrize(("covered", "kept"), [("2", True), ("1", False), (None, False)])
def test_an_optional_quantity_needs_every_pod(
    prometheus: FakePrometheus, source: PrometheusSource, covered: str | None, *, kept: bool
) -> None:
    def reply(asked: Asked) -> Reply:
        if not asked.query.startswith("count"):
            live = one("5", quantity="live_exported_bytes")
            return vector(live) if _OPTIONAL in asked.query else vector()
        counted = [] if covered is None else [one(covered, quantity="live_exported_bytes")]
        return vector(one("2", quantity="pods"), *counted)

    prometheus.reply = reply
    figures = source.read(AT).containers[_WEB]
    assert (Quantity.LIVE_EXPORTED_BYTES in figures) is kept


def _go_versions(
    prometheus: FakePrometheus, source: PrometheusSource, releases: Collection[str], covered: str
) -> float | None:
    """The number that a workload of two pods with these releases gets."""

    def reply(asked: Asked) -> Reply:
        if asked.query.startswith("count"):
            return vector(one("2", quantity="pods"), one(covered, quantity="go_version"))
        if _GO_VERSION in asked.query:
            return vector(*(one(quantity="go_version", version=each) for each in releases))
        return vector()

    prometheus.reply = reply
    return source.read(AT).containers.get(_WEB, {}).get(Quantity.GO_VERSION)


@pytest.mark.parametrize(
    ("releases", "number"),
    [
        (["go1.26.8"], 1026008),
        (["go1.26"], 1026000),
        (["go1.27rc2"], 1027000),
        (["go1.26.8-custom", "go1.9.7"], 1009007),
        (["go1.26.8 X:nosynchashtriemap"], 1026008),
        (["go2.0.1", "go1.30.2"], 1030002),
    ],
)
def test_the_oldest_go_release_is_a_number(
    prometheus: FakePrometheus, source: PrometheusSource, releases: list[str], number: int
) -> None:
    assert _go_versions(prometheus, source, releases, covered="2") == number


@pytest.mark.parametrize("release", ["devel go1.27-abcdef1", "", "1.26.8", "go1", "go1.2600.8"])
def test_a_go_build_that_is_no_release_leaves_the_version_unknown(
    prometheus: FakePrometheus, source: PrometheusSource, release: str
) -> None:
    assert _go_versions(prometheus, source, [release, "go1.26.8"], covered="2") is None


def test_a_pod_that_hides_its_go_release_leaves_the_version_unknown(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    assert _go_versions(prometheus, source, ["go1.26.8"], covered="1") is None


def test_both_ends_of_the_barrier_threshold_need_every_pod(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    def reply(asked: Asked) -> Reply:
        if asked.query.startswith("count"):
            few = one("1", quantity="barrier_threshold_lowest")
            return vector(one("2", quantity="pods"), few)
        ends = ("barrier_threshold_lowest", "barrier_threshold_highest")
        return vector(*(one("64", quantity=end) for end in ends if f'"{end}"' in asked.query))

    prometheus.reply = reply
    assert source.read(AT).containers == {_WEB: {}}


def test_no_alerts_are_asked_for_unless_some_are_named(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    assert source.read(AT).alerts == {}
    assert not [each for each in prometheus.asked if "ALERTS" in each.query]


def test_firing_alerts_are_told_by_namespace(
    prometheus: FakePrometheus, open_source: OpenSource
) -> None:
    firing = (
        {"namespace": "shop", "alertname": "TooSlow"},
        {"namespace": "shop", "alertname": "Too.Hot"},
        {"alertname": "TooSlow"},
    )
    series = [{"metric": metric, "value": [AT, "1"]} for metric in firing]
    prometheus.answer_one("ALERTS", vector(*series))
    with open_source(prometheus.url, alerts=["TooSlow", "Too.Hot"]) as source:
        assert source.read(AT).alerts == {
            "shop": {"TooSlow", "Too.Hot"},
            "": {"TooSlow"},
        }
        assert source.queries_sent == 11
    (query,) = [each.query for each in prometheus.asked if "ALERTS" in each.query]
    assert query == (
        "group by(namespace,alertname)"
        r'(ALERTS{alertstate="firing",alertname=~"TooSlow|Too\\.Hot"})'
    )


def test_other_alerts_are_asked_for_from_the_next_reading_on(
    prometheus: FakePrometheus, open_source: OpenSource
) -> None:
    def asked() -> list[str]:
        prometheus.asked.clear()
        source.read(AT)
        return [each.query for each in prometheus.asked if "ALERTS" in each.query]

    with open_source(prometheus.url) as source:
        assert asked() == []
        source.look_for(["TooSlow"])
        (query,) = asked()
        assert '"TooSlow"' in query
        source.look_for([])
        assert asked() == []


def test_an_alert_without_a_name_spoils_the_answer(
    prometheus: FakePrometheus, open_source: OpenSource
) -> None:
    nameless = {"metric": {"namespace": "shop"}, "value": [AT, "1"]}
    prometheus.answer_one("ALERTS", vector(nameless))
    with (
        open_source(prometheus.url, alerts=["TooSlow"]) as source,
        pytest.raises(SourceError) as caught,
    ):
        source.read(AT)
    assert caught.value.cause == "malformed"


def test_a_go_version_without_identity_spoils_the_answer(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    prometheus.answer_one(_GO_VERSION, vector(one(workload="", quantity="go_version")))
    with pytest.raises(SourceError) as caught:
        source.read(AT)
    assert caught.value.cause == "malformed"


@pytest.mark.parametrize("missing", ["namespace", "kind", "workload", "quantity"])
def test_a_series_without_identity_spoils_the_answer(
    prometheus: FakePrometheus, source: PrometheusSource, missing: str
) -> None:
    labels = {"quantity": "cpu_cores", missing: ""}
    prometheus.answer_one('"cpu_cores"', vector(one("1", **labels)))
    with pytest.raises(SourceError) as caught:
        source.read(AT)
    assert caught.value.cause == "malformed"


@pytest.mark.parametrize(
    "labels",
    [{"kind": "CronJob", "quantity": "cpu_cores"}, {"quantity": "weight"}],
    ids=["kind", "quantity"],
)
def test_a_series_that_nobody_asked_for_spoils_the_answer(
    prometheus: FakePrometheus, source: PrometheusSource, labels: dict[str, str]
) -> None:
    prometheus.answer_one('"cpu_cores"', vector(one("1", **labels)))
    with pytest.raises(SourceError) as caught:
        source.read(AT)
    assert caught.value.cause == "malformed"


def test_the_same_figure_twice_is_refused(
    prometheus: FakePrometheus, source: PrometheusSource
) -> None:
    twice = one("1", quantity="cpu_cores", replica="a"), one("2", quantity="cpu_cores", replica="b")
    prometheus.answer_one('"cpu_cores"', vector(*twice))
    with pytest.raises(SourceError, match=r"cpu_cores of .*web.* came twice") as caught:
        source.read(AT)
    assert caught.value.cause == "duplicate"
