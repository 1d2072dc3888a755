from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pytest

from tuner.model.reading import Quantity
from tuner.model.workload import Kind
from tuner.prometheus import MetricNames, Query, check, check_selector, queries

if TYPE_CHECKING:
    from collections.abc import Sequence

_SELECTOR = 'cluster="production-eu-1",team=~"shop|search"'
_LONG_NAMES = MetricNames(
    cpu_seconds="prefix_of_the_company_process_cpu_seconds_total",
    heap_goal="prefix_of_the_company_go_memory_gc_goal_bytes",
    namespace_label="kubernetes_namespace",
    pod_label="kubernetes_pod_name",
    container_label="kubernetes_container_name",
    selector=_SELECTOR,
)


def _rendered(
    names: MetricNames,
    *,
    rate_window_seconds: float = 60.0,
    warm_up_seconds: float = 60.0,
    alerts: Sequence[str] = (),
) -> tuple[Query, ...]:
    return queries(
        names,
        rate_window_seconds=rate_window_seconds,
        warm_up_seconds=warm_up_seconds,
        alerts=alerts,
    )


@pytest.mark.parametrize("names", [MetricNames(), _LONG_NAMES], ids=["default", "long"])
def test_queries_are_few_and_fit_into_a_request_line(names: MetricNames) -> None:
    rendered = _rendered(names)
    assert len(rendered) <= 15
    assert max(len(quote_plus(each.text)) for each in rendered) < 6000
    for each in rendered:
        check(each.text)


def test_every_quantity_is_asked_for() -> None:
    texts = " ".join(each.text for each in _rendered(MetricNames()))
    assert set(re.findall(r'"quantity","(\w+)"', texts)) == {each.value for each in Quantity}


def test_the_selector_stands_in_every_series() -> None:
    texts = " ".join(each.text for each in _rendered(MetricNames(selector=_SELECTOR)))
    braces = r'\{(?:[^"}]|"[^"]*")*\}'
    series = re.findall(
        rf'(?<!")\b(?:go|process|http|container|barrier)_[a-z_]+\b({braces})?', texts
    )
    assert series
    assert all(_SELECTOR in matchers for matchers in series)


def test_alerts_are_asked_for_only_where_some_are_named() -> None:
    without = _rendered(MetricNames())
    assert not any("ALERTS" in each.text for each in without)
    assert _rendered(MetricNames(), alerts=["A"])[:-1] == without


def test_names_of_alerts_are_taken_literally() -> None:
    *_, query = _rendered(_LONG_NAMES, alerts=['Too "hot"', "a.b|c", "É"])
    check(query.text)
    assert query.text == (
        "group by(kubernetes_namespace,alertname)"
        r'(ALERTS{alertstate="firing",alertname=~"Too\\ \"hot\"|a\\.b\\|c|É"})'
    )


def test_an_alert_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="alerts: an empty name"):
        _rendered(MetricNames(), alerts=["A", ""])


def test_the_selector_may_end_with_a_comma() -> None:
    given = MetricNames(selector='cluster="x", ')
    assert _rendered(given) == _rendered(MetricNames(selector='cluster="x"'))


def test_windows_of_broken_seconds_are_written_in_milliseconds() -> None:
    texts = [each.text for each in _rendered(MetricNames(), rate_window_seconds=7.5)]
    assert any("[7500ms]" in text for text in texts)
    assert all(".5s" not in text for text in texts)


def test_only_pods_past_warm_up_and_window_take_part() -> None:
    rendered = _rendered(MetricNames(), rate_window_seconds=30.0, warm_up_seconds=45.0)
    aggregated = [each.text for each in rendered if each.name != "every pod"]
    assert all(")>75)" in text for text in aggregated)


def test_a_pattern_may_hold_quotes_and_backslashes() -> None:
    names = MetricNames(pod_patterns=((Kind.DEPLOYMENT, r'(.*)-\d"+'),))
    for each in _rendered(names):
        check(each.text)
    assert r'"(.*)-\\d\"+"' in _rendered(names)[0].text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sum by (a) (b", "not PromQL"),
        ("rate(x)", "not PromQL: expected type matrix"),
        ("x" * 6001, "6001 characters long in a URL, over 6000"),
        ("{" * 2500, "7500 characters long in a URL"),
    ],
)
def test_what_prometheus_would_refuse_is_refused(query: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check(query)


@pytest.mark.parametrize("selector", ["", 'a="b"', 'a="b",', 'a=~"x|y", b!="{"'])
def test_label_matchers_are_taken(selector: str) -> None:
    check_selector(selector)


@pytest.mark.parametrize(
    "selector",
    [
        "cluster=x",
        '{cluster="x"}',
        'a="b"} offset 5m #',
        'a="b"} or up{c="d"',
        'a="x" or b="y"',
        'a="b"} #',
        'a=~"("',
    ],
)
def test_what_is_more_or_less_than_label_matchers_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match="is no list of label matchers"):
        check_selector(selector)
