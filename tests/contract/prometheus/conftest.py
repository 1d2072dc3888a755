from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.prometheus.server import FakePrometheus
from tuner.prometheus import Access, MetricNames, PrometheusSource, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

AT = 1700000000.25


@pytest.fixture
def prometheus() -> Iterator[FakePrometheus]:
    with FakePrometheus().serving() as fake:
        yield fake


@contextmanager
def opened(url: str, **access: Any) -> Iterator[PrometheusSource]:  # noqa: ANN401 - of Access
    """A source with a rate window and a warm-up of a minute each."""
    timeout_seconds = access.pop("timeout_seconds", 5.0)
    alerts = access.pop("alerts", ())
    source = PrometheusSource(
        connect(Access(url=url, timeout_seconds=timeout_seconds, **access)),
        MetricNames(),
        rate_window_seconds=60.0,
        warm_up_seconds=60.0,
        timeout_seconds=timeout_seconds,
        alerts=alerts,
    )
    try:
        yield source
    finally:
        source.close()


@pytest.fixture
def source(prometheus: FakePrometheus) -> Iterator[PrometheusSource]:
    with opened(prometheus.url) as made:
        yield made


@pytest.fixture
def open_source() -> Callable[..., AbstractContextManager[PrometheusSource]]:
    return opened
