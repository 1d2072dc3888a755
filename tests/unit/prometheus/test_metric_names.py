from __future__ import annotations

import re

import pytest

from tuner.model.workload import Kind
from tuner.prometheus import MetricNames


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"requests": "http requests"}, "requests: 'http requests' is no metric name"),
        ({"heap_live": ""}, "heap_live: '' is no metric name"),
        ({"requests": 'x{a="b"}'}, "is no metric name"),
        ({"status_label": "http:code"}, "status_label: 'http:code' is no label name"),
        ({"pod_label": "namespace"}, "must differ from each other"),
        ({"pod_label": "workload"}, "must differ from each other and from le, kind"),
        ({"container_label": "le"}, "must differ from each other"),
        ({"version_label": "pod"}, "version_label must differ from"),
        ({"version_label": "kind"}, "version_label must differ from"),
        ({"barrier_threshold": "barrier threshold"}, "'barrier threshold' is no metric name"),
        ({"pod_patterns": ()}, "pod_patterns: none"),
    ],
)
def test_names_that_make_no_query_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        MetricNames(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("web-5d4f7c9b8d-x7k2p", "web"),
        ("web-api-v2-5d4f7c9b8d-x7k2p", "web-api-v2"),
        ("kube-proxy-x7k2p", None),
        ("web-0", None),
        ("web-5d4f7c9b8d-x7k2", None),
        ("web-5d4f7c9b8da-x7k2p", None),
        ("migrate-x7k2p", None),
    ],
)
def test_the_default_pattern_knows_the_pods_of_deployments(pod: str, workload: str | None) -> None:
    pattern = dict(MetricNames().pod_patterns)[Kind.DEPLOYMENT]
    found = re.fullmatch(pattern, pod)
    assert (found[1] if found else None) == workload


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("web-0", "web"),
        ("web-1-12", "web-1"),
        ("web-9999", "web"),
        ("web-5d4f7c9b8d-24567", None),
        ("web-5d4f7c9b8d-x7k2p", None),
        ("web", None),
    ],
)
def test_the_default_pattern_knows_the_pods_of_stateful_sets_and_no_deployments(
    pod: str, workload: str | None
) -> None:
    pattern = dict(MetricNames().pod_patterns)[Kind.STATEFUL_SET]
    found = re.fullmatch(pattern, pod)
    assert (found[1] if found else None) == workload
