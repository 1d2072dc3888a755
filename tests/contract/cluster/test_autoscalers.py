"""The mirror of the autoscalers, against a server that answers like an API server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.contract.cluster.server import FakeApiServer, Stream, page, refused
from tests.contract.waiting import settle
from tests.unit.cluster.test_autoscalers import WORKLOAD, hpa, metric, vpa
from tuner.cluster.autoscalers import AutoscalerMirror
from tuner.cluster.mirror import Upkeep
from tuner.errors import UnavailableError
from tuner.model.workload import Autoscaling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tuner.cluster import Api

HPAS = "/apis/autoscaling/v2/horizontalpodautoscalers"
VPAS = "/apis/autoscaling.k8s.io/v1/verticalpodautoscalers"
NOT_FOUND = refused(404, "NotFound", "the server could not find the requested resource")
FORBIDDEN = refused(403, "Forbidden", 'User "x" cannot list')
OF_MEMORY = hpa(metric("memory", averageUtilization=75))
BOTH = Autoscaling(memory_request_target=0.75, vertical="grow")


class Mirror:
    """A mirror that was started, and what it reported."""

    def __init__(self, api: Api, stale_after_seconds: float) -> None:
        self.reports: list[str] = []
        self.autoscalers = AutoscalerMirror(
            api,
            Upkeep(stale_after_seconds=stale_after_seconds, report=self.reports.append),
        )
        self.autoscalers.start()

    @property
    def of_web(self) -> Autoscaling:
        assert self.autoscalers.wait_synced(60.0)
        return self.autoscalers.autoscalers().of(WORKLOAD)

    def becomes(self, expected: Autoscaling) -> None:
        """Wait until the workload has this."""
        settle(lambda: self.of_web == expected)
        assert self.of_web == expected


@pytest.fixture
def mirror(api: Api) -> Iterator[Callable[..., Mirror]]:
    started: list[Mirror] = []

    def start(stale_after_seconds: float = 120.0) -> Mirror:
        started.append(Mirror(api, stale_after_seconds))
        return started[-1]

    yield start
    for each in started:
        each.autoscalers.stop()


def test_both_kinds_are_mirrored(server: FakeApiServer, mirror: Callable[..., Mirror]) -> None:
    stream = Stream()
    server.on("GET", HPAS, page(OF_MEMORY, version=10))
    server.on("GET", VPAS, page(version=10))
    server.on("WATCH", VPAS, stream)
    mirrored = mirror()
    assert mirrored.of_web == Autoscaling(memory_request_target=0.75)
    added = vpa()
    added["metadata"]["resourceVersion"] = "11"
    stream.send(("ADDED", added))
    mirrored.becomes(BOTH)


def test_a_cluster_without_vertical_autoscalers_has_none(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", HPAS, page(OF_MEMORY, version=10))
    server.on("GET", VPAS, NOT_FOUND)
    mirrored = mirror()
    assert mirrored.of_web == Autoscaling(memory_request_target=0.75)
    assert mirrored.reports == []


def test_vertical_autoscalers_that_are_installed_later_are_found_without_hurry(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", HPAS, page(OF_MEMORY, version=10))
    server.on("GET", VPAS, NOT_FOUND, page(vpa(), version=20))
    mirrored = mirror(stale_after_seconds=2.0)
    began = time.monotonic()
    mirrored.becomes(BOTH)
    assert time.monotonic() - began > 0.5


def test_vertical_autoscalers_that_are_taken_out_of_the_cluster_are_none(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", HPAS, page(OF_MEMORY, version=10))
    server.on("GET", VPAS, page(vpa(), version=10), NOT_FOUND)
    server.on("WATCH", VPAS, *[NOT_FOUND] * 10)
    mirror().becomes(Autoscaling(memory_request_target=0.75))


def test_what_may_not_be_listed_is_none_and_reported_once(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", HPAS, FORBIDDEN)
    server.on("GET", VPAS, page(vpa(), version=10))
    mirrored = mirror(stale_after_seconds=2.0)
    assert mirrored.of_web == Autoscaling(vertical="grow")
    server.wait_asked("GET", 3, HPAS)
    (report,) = mirrored.reports
    assert report.startswith('list horizontalpodautoscalers: 403 Forbidden: User "x" cannot list: ')
    assert report.endswith("gc-tuner goes on as if there were none")


def test_an_api_server_in_trouble_is_not_taken_for_no_autoscalers(
    server: FakeApiServer, mirror: Callable[..., Mirror]
) -> None:
    server.on("GET", HPAS, page(OF_MEMORY, version=10))
    server.on("GET", VPAS, refused(503, "ServiceUnavailable", "starting"))
    mirrored = mirror()
    server.wait_asked("WATCH", 1, HPAS)
    server.wait_asked("GET", 2, VPAS)  # Only after the first was answered.
    assert not mirrored.autoscalers.wait_synced(0.0)
    with pytest.raises(UnavailableError, match=r"verticalpodautoscalers: not listed yet: .*503"):
        mirrored.autoscalers.autoscalers()
