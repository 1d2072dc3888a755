"""Alerts and dashboard of the chart: only of metrics that there are, each alert with a page."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from tests.unit.chart.schema import CHART
from tuner.instrumentation.metrics import MetricsObserver
from tuner.model.reason import Reason
from tuner.model.trial import Verdict
from tuner.model.workload import Mode

PAGES = Path(__file__).parents[3] / "docs" / "operations" / "alerts"
ALERTS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
QUERIES = [
    *(each["expr"] for each in ALERTS),
    *(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]),
]
VALUES: dict[str, set[str]] = {"reason": set(Reason), "verdict": set(Verdict), "mode": set(Mode)}
GRAFANA = {"$__rate_interval": "5m", "$namespace": ".*"}


def series() -> set[str]:
    """Names of all series that gc-tuner exports."""
    registry = CollectorRegistry()
    MetricsObserver(registry, "1.2.3", lambda: 0)
    suffixes = {
        "counter": ("_total",),
        "gauge": ("",),
        "histogram": ("_bucket", "_sum", "_count"),
    }
    return {
        f"{metric.name}{suffix}"
        for metric in registry.collect()
        for suffix in suffixes[metric.type]
    }


def selectors(query: str) -> Iterator[promql_parser.VectorSelector]:
    """Every selector of a query."""
    for variable, value in GRAFANA.items():
        query = query.replace(variable, value)
    pending: list[Any] = [promql_parser.parse(query)]
    while pending:
        node = pending.pop()
        match node:
            case promql_parser.VectorSelector():
                yield node
            case promql_parser.MatrixSelector():
                yield node.vector_selector
            case promql_parser.Call():
                pending += node.args
            case promql_parser.BinaryExpr():
                pending += [node.lhs, node.rhs]
            case promql_parser.AggregateExpr() | promql_parser.ParenExpr():
                pending.append(node.expr)
            case _:
                assert isinstance(node, promql_parser.NumberLiteral), node


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_reads_metrics_and_labels_that_there_are(query: str) -> None:
    known = series()
    found = list(selectors(query))
    assert found
    for each in found:
        assert each.name in known
        for matcher in each.matchers.matchers:
            if matcher.name in VALUES:
                assert matcher.value in VALUES[matcher.name]


def test_every_alert_has_its_page_and_no_page_is_left_over() -> None:
    assert sorted(path.stem for path in PAGES.glob("*.md")) == sorted(
        each["alert"] for each in ALERTS
    )


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_a_page_begins_with_its_alert_and_says_what_to_do(alert: dict[str, Any]) -> None:
    page = (PAGES / f"{alert['alert']}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {alert['alert']}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Meaning", "Impact", "What to do"]


def test_every_panel_has_its_own_place() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
