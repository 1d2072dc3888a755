import io
import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.unit.instrumentation.fleet import assessment, workload
from tuner.bootstrap import (
    ClusterSide,
    Outages,
    access,
    check_prometheus,
    own_namespace,
    ready_loop,
)
from tuner.errors import ConfigError, UnavailableError
from tuner.instrumentation.log import build_log
from tuner.model.happening import (
    ConfigRefused,
    ConfigReloaded,
    Happening,
    TickEnded,
    TickFailed,
)
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.trial import Change
from tuner.model.workload import Workload, WorkloadKey
from tuner.prometheus import Access
from tuner.prometheus.queries import queries
from tuner.settings import ConfigFile, Flags, Settings

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

    def write(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        pytest.fail(f"{workload.key} was written: {change} {cause}")

    def withdraw(self, workload: Workload) -> Workload:
        pytest.fail(f"a write to {workload.key} was withdrawn")

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
        with urllib.request.urlopen(f"{url}/readyz", timeout=60) as answer:  # noqa: S310 - ours
            assert answer.status == 200
        with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:  # noqa: S310 - ours
            text = answer.read().decode()
    assert "\ngc_tuner_source_up 0.0\n" in text
    asked = queries(Settings().names(), rate_window_seconds=60, warm_up_seconds=60)
    assert f"\ngc_tuner_queries_total {len(asked):.1f}\n" in text
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_a_file_that_changes_is_in_force_at_the_next_tick(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    http = {"address": "127.0.0.1", "port": port}
    flags = Flags({"prometheus": {"url": "http://127.0.0.1:1"}, "http": http})
    path.write_text("mode: recommend", encoding="utf-8")
    config, told, seen = ConfigFile(path, flags), Told(), workload()
    with ready_loop(
        config.load(),
        Cluster(
            {seen.key: replace(seen, label_mode=None)}, {seen.key: assessment("cart").record}
        ).side(),
        dry_run=False,
        serve=True,
        log=LOG,
        observers=[told],
        config=config,
    ) as loop:

        def tick(at: float) -> Reason:
            ended = loop.tick(at)
            assert isinstance(ended, TickEnded)
            return ended.assessments[seen.key].decision.reason

        assert tick(1_000.0) is Reason.SOURCE_UNAVAILABLE
        path.write_text("mode: 'off'\nguards: {alerts: [TooSlow]}", encoding="utf-8")
        assert tick(1_015.0) is Reason.MODE_OFF
        path.write_text("mode: auto", encoding="utf-8")
        assert tick(1_030.0) is Reason.MODE_OFF
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
    asked = len(queries(Settings().names(), rate_window_seconds=60, warm_up_seconds=60))
    assert f"\ngc_tuner_queries_total {3 * asked + 2:.1f}\n" in text, "twice with the alerts"
    assert "\ngc_tuner_config_last_reload_successful 0.0\n" in text
    kinds = (ConfigReloaded, ConfigRefused)
    reloaded, refused = (each for each in told.happenings if isinstance(each, kinds))
    assert reloaded == ConfigReloaded(1_015.0, ("mode", "guards.alerts"))
    assert isinstance(refused, ConfigRefused)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Port of a server that gives the same answer to every request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, answer))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _answer(listener: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(answer)


def http(status: int, body: str = "") -> bytes:
    """An answer of a web server."""
    return f"HTTP/1.1 {status} It\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def checked(url: str) -> str:
    """What the log says once Prometheus was checked."""
    told = io.StringIO()
    check_prometheus(
        Access(url=url, timeout_seconds=5), build_log(json=True, level="info", stream=told)
    )
    return told.getvalue()


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (http(503), "http_503"),
        (http(429), "http_429"),
        (http(200, '{"status": "error", "errorType": "timeout"}'), "status_error"),
        (b"", "unreachable"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
            "unreachable",
        ),
    ],
)
def test_an_outage_at_the_start_is_told_and_survived(answer: bytes, cause: str) -> None:
    with answering(answer) as port:
        told = json.loads(checked(f"http://127.0.0.1:{port}"))
    assert (told["level"], told["cause"]) == ("warning", cause)


def test_a_prometheus_that_answers_at_the_start_is_not_spoken_of() -> None:
    good = '{"status": "success", "data": {"resultType": "vector", "result": []}}'
    with answering(http(200, good)) as port:
        assert checked(f"http://127.0.0.1:{port}") == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http(401), "HTTP 401"),
        (http(403, "no"), "HTTP 403: no"),
        (http(404, "nothing here"), "HTTP 404: nothing here"),
        (http(302), "HTTP 302"),
        (http(200, "<title>Sign in</title>"), "no JSON: <title>Sign in</title>"),
        (http(200, "[]"), "no answer of Prometheus: Expected `object`, got `array`"),
    ],
)
def test_what_answers_as_no_usable_prometheus_at_the_start_is_refused(
    answer: bytes, words: str
) -> None:
    with answering(answer) as port:
        url = f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigError) as caught:
            checked(url)
    assert str(caught.value) == (
        f"prometheus.url: {url} cannot be used: {words}: name an address where Prometheus answers "
        "and lets gc-tuner in, such as http://prometheus:9090"
    )


def test_at_the_start_what_speaks_no_tls_is_refused() -> None:
    with answering(http(400)) as port, pytest.raises(ConfigError, match="cannot be used") as caught:
        checked(f"https://127.0.0.1:{port}")
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    assert cause is not None


def test_at_the_start_a_name_that_does_not_resolve_is_refused() -> None:
    try:
        socket.getaddrinfo("nowhere.invalid", 9090)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            pytest.skip("no name server answers here, which is an outage")
    with pytest.raises(ConfigError, match="cannot be used: its name does not resolve: name an"):
        checked("http://nowhere.invalid:9090")


def test_without_an_address_of_prometheus_the_message_names_all_ways_to_set_it() -> None:
    with pytest.raises(ConfigError) as caught:
        access(Settings())
    for way in ("--prometheus-url", "GC_TUNER_PROMETHEUS__URL", "--config"):
        assert way in str(caught.value)


@pytest.mark.parametrize(
    ("pod", "account", "kubernetes", "namespace"),
    [
        ("ops", "other", {"namespaces": ("shop",)}, "ops"),
        ("", "ops\n", {"namespaces": ("shop",)}, "ops"),
        ("", "ops", {}, "ops"),
        ("", "elsewhere", {"context": "it", "namespaces": ("shop",)}, "shop"),
        ("", "elsewhere", {"kubeconfig": Path("it")}, "default"),
        ("", None, {"namespaces": ("shop", "web")}, "shop"),
        ("", None, {}, "default"),
    ],
)
def test_our_own_namespace_is_that_of_the_pod_or_its_service_account_if_there_is_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pod: str,
    account: str | None,
    kubernetes: dict[str, object],
    namespace: str,
) -> None:
    monkeypatch.setenv("POD_NAMESPACE", pod)
    file = tmp_path / "namespace"
    if account is not None:
        file.write_text(account, encoding="utf-8")
    of = Settings(kubernetes=Settings().kubernetes.model_copy(update=kubernetes))
    assert own_namespace(of, file) == namespace
