import io
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from tests.unit.instrumentation.fleet import workload
from tuner.bootstrap import ClusterSide, Outages, access, ready_loop, require_reachable
from tuner.errors import ConfigError, UnavailableError
from tuner.instrumentation.log import build_log
from tuner.model.happening import Happening, TickEnded, TickFailed
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.trial import Change
from tuner.model.workload import Workload, WorkloadKey
from tuner.prometheus import Access
from tuner.prometheus.queries import queries
from tuner.settings import Settings

LOG = build_log(json=True, level="error", stream=io.StringIO())


@dataclass
class Cluster:
    """A cluster in memory, behind all three of its ports."""

    fleet: dict[WorkloadKey, Workload] = field(default_factory=dict)
    saved: dict[WorkloadKey, Record] = field(default_factory=dict)
    seen: bool = True

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        if not self.seen:
            raise UnavailableError("connection refused")
        return self.fleet

    def fetch(self, key: WorkloadKey) -> Workload:
        return self.fleet[key]

    def all(self) -> Mapping[WorkloadKey, Record]:
        return self.saved

    def save(self, workload: Workload, record: Record) -> None:
        self.saved[workload.key] = record

    def write(self, workload: Workload, change: Change, cause: str) -> Workload:
        pytest.fail(f"{workload.key} was written: {change} {cause}")

    def clear_cause(self, workload: Workload) -> None:
        pytest.fail(f"the change-cause of {workload.key} was cleared")

    def side(self) -> ClusterSide:
        return ClusterSide(inventory=self, records=self, actuator=self)


@dataclass
class Told:
    """Keeps what it is told."""

    happenings: list[Happening] = field(default_factory=list)

    def notify(self, happening: Happening) -> None:
        self.happenings.append(happening)


def settings(port: int = 0) -> Settings:
    """Nothing listens at the address of Prometheus."""
    defaults = Settings()
    http = defaults.http.model_copy(update={"address": "127.0.0.1", "port": port})
    prometheus = defaults.prometheus.model_copy(update={"url": "http://127.0.0.1:1"})
    return defaults.model_copy(update={"http": http, "prometheus": prometheus})


def test_a_tick_without_prometheus_is_an_outage_and_still_decides() -> None:
    asked_for = replace(workload(), label_mode="bogus")
    cluster, outages = Cluster({asked_for.key: asked_for}), Outages()
    with ready_loop(
        settings(),
        cluster.side(),
        dry_run=False,
        serve=False,
        log=LOG,
        observers=[outages],
    ) as loop:
        ended = loop.tick(1_000.0)
    assert isinstance(ended, TickEnded)
    assert ended.assessments[asked_for.key].decision.reason is Reason.MODE_INVALID
    assert cluster.saved.keys() == {asked_for.key}
    assert outages.seen


def test_a_dry_run_saves_no_record() -> None:
    asked_for = replace(workload(), label_mode="bogus")
    cluster = Cluster({asked_for.key: asked_for})
    with ready_loop(
        settings(), cluster.side(), dry_run=True, serve=False, log=LOG, observers=[]
    ) as loop:
        ended = loop.tick(1_000.0)
    assert isinstance(ended, TickEnded)
    assert len(ended.assessments) == 1
    assert cluster.saved == {}


def test_a_cluster_that_cannot_be_seen_is_an_outage() -> None:
    outages, told = Outages(), Told()
    with ready_loop(
        settings(),
        Cluster(seen=False).side(),
        dry_run=False,
        serve=False,
        log=LOG,
        observers=[outages, told],
    ) as loop:
        loop.tick(1_000.0)
    assert [type(each) for each in told.happenings] == [TickFailed]
    assert outages.seen


def test_ticks_are_seen_at_the_http_endpoints_while_the_loop_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with ready_loop(
        settings(port), Cluster().side(), dry_run=False, serve=True, log=LOG, observers=[]
    ) as loop:
        loop.tick(1_000.0)
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310 - ours
            assert answer.status == 200
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:  # noqa: S310 - ours
            text = answer.read().decode()
    assert "\ngc_tuner_source_up 0.0\n" in text
    asked = queries(Settings().names(), rate_window_seconds=60, warm_up_seconds=60)
    assert f"\ngc_tuner_queries_total {len(asked):.1f}\n" in text
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5).close()


@pytest.fixture
def unwell() -> Iterator[int]:
    """Port of a server that answers every request with 503."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_refuse, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _refuse(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n")


def test_at_the_start_what_listens_may_be_unwell(unwell: int) -> None:
    require_reachable(Access(url=f"http://127.0.0.1:{unwell}", timeout_seconds=5))


def test_at_the_start_what_speaks_no_tls_is_refused(unwell: int) -> None:
    with pytest.raises(ConfigError, match=r"cannot be reached: .*: name an address") as caught:
        require_reachable(Access(url=f"https://127.0.0.1:{unwell}", timeout_seconds=5))
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    assert cause is not None


def test_without_an_address_of_prometheus_the_message_names_all_ways_to_set_it() -> None:
    with pytest.raises(ConfigError) as caught:
        access(Settings())
    for way in ("--prometheus-url", "GC_TUNER_PROMETHEUS__URL", "--config"):
        assert way in str(caught.value)
