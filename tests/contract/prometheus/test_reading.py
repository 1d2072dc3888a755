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
    from tuner.ports import MetricsSource
    from tuner.prometheus import PrometheusSource

_EXPECTED = Path(__file__).with_name("expected.promql")
_WEB = ContainerKey(WorkloadKey("shop", Kind.DEPLOYMENT, "web"), "app")
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
    assert others == {("1700000000.250", "5s")}


@pytest.mark.parametrize("workloads", [0, 1, 500])
def test_the_number_of_requests_does_not_grow_with_the_fleet(
    prometheus: FakePrometheus, source: PrometheusSource, workloads: int
) -> None:
    def reply(asked: Asked) -> Reply:
        quantities = [each.value for each in Quantity if f'"{each.value}"' in asked.query]
        names = [f"web-{number}" for number in range(workloads)]
        return vector(*(one(workload=name, quantity=each) for name in names for each in quantities))

    prometheus.reply = reply
    readings = source.read(AT)
    assert len(prometheus.asked) == source.queries_sent == 7
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
