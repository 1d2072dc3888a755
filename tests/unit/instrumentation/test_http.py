import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.instrumentation.fleet import ended
from tuner.errors import ConfigError
from tuner.instrumentation.health import Health
from tuner.instrumentation.http import endpoints, serving
from tuner.instrumentation.metrics import MetricsObserver
from tuner.model.happening import SourceLost, TickFailed


class Elapsed:
    """A monotonic clock that stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def elapsed() -> Elapsed:
    return Elapsed()


@pytest.fixture
def health(elapsed: Elapsed) -> Health:
    return Health(150.0, elapsed)


@pytest.fixture
def address(health: Health) -> Iterator[str]:
    registry = CollectorRegistry()
    MetricsObserver(registry, "1.2.3", lambda: 0)
    with serving(endpoints(registry, health), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


def get(url: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_are_served_in_the_format_of_prometheus(address: str) -> None:
    with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:  # noqa: S310 - ours
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert b"gc_tuner_build_info{" in answer.read()


def test_it_is_alive_while_it_ticks_even_when_no_tick_succeeds(
    address: str, health: Health, elapsed: Elapsed
) -> None:
    elapsed.seconds = 149.0
    assert get(f"{address}/healthz") == (200, "ok\n")
    health.notify(TickFailed(1_000.0, "refused"))
    elapsed.seconds = 298.0
    assert get(f"{address}/healthz") == (200, "ok\n")
    elapsed.seconds = 299.0
    assert get(f"{address}/healthz") == (503, "no tick for 150 s\n")


def test_it_is_ready_once_the_cluster_was_seen_and_stays_so(address: str, health: Health) -> None:
    assert get(f"{address}/readyz")[0] == 503
    health.notify(TickFailed(1_000.0, "refused"))
    assert get(f"{address}/readyz")[0] == 503
    health.notify(ended())
    assert get(f"{address}/readyz") == (200, "ok\n")
    health.notify(SourceLost(1_030.0, "timeout", "no answer"))
    health.notify(TickFailed(1_030.0, "refused"))
    assert get(f"{address}/readyz") == (200, "ok\n")


def test_a_port_in_use_is_a_problem_of_the_configuration(health: Health) -> None:
    application = endpoints(CollectorRegistry(), health)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"127.0.0.1 port {port}: .* in use: set http.address"),
            serving(application, "127.0.0.1", port),
        ):
            pytest.fail("it listens at a port that is taken")


def test_an_address_of_another_machine_is_a_problem_of_the_configuration(health: Health) -> None:
    application = endpoints(CollectorRegistry(), health)
    with (
        pytest.raises(ConfigError, match=r"cannot listen at 192\.0\.2\.1 port 0"),
        serving(application, "192.0.2.1", 0),
    ):
        pytest.fail("it listens at an address that is not its own")
