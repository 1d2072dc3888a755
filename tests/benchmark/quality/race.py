"""A race: services that differ in how their collector is set, side by side under the same load.

All run at the same time on the same machine, so that each window of the race compares them under
the same conditions, whatever else the machine does. In the end all pods are replaced several times:
two processes with the same setting are not alike.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmark.quality.lane import Lane, Prediction, Window
from tests.e2e.testbed.manifests import APP_CONTAINER, MODE_LABEL, SampleService, live_config_map
from tests.e2e.testbed.operator import prepare_operator
from tests.e2e.testbed.processes import Process, free_port
from tuner.cluster.records import record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.benchmark.quality.contenders import Contender
    from tests.benchmark.quality.scenarios import Scenario
    from tests.e2e.testbed.cluster import Cluster
    from tests.e2e.testbed.operator import Operator
    from tuner.model.trial import Outcome

WINDOW_SECONDS = 30
SCRAPED_SECONDS = 2.0
"""After the end, until Prometheus has seen it."""
NOT_SET = 1e18
"""GOGC and GOMEMLIMIT from which on the runtime means: off."""
OPERATOR_SETTINGS: Mapping[str, Any] = {
    "interval": "2s",
    "rateWindow": "10s",
    "warmUp": "10s",
    "staleAfter": "10s",
    "trial": {"windows": 5, "requests": 200},
    "profiles": {"critical": {"cooldown": "1m"}, "normal": {"cooldown": "30s"}},
    "guards": {
        "rolloutsInNamespace": 3,
        "quarantine": {"first": "10m", "longest": "4h"},
    },
}
"""gc-tuner's durations, a sixth of production's (cooldown a thirtieth): a race has minutes."""
_SERVICE_ENDS = {"DRAIN_DELAY": "1s"}
_LIVE_POLL = {"LIVE_CONFIG_POLL": "2s"}
"""Reading three files four times a second, as the tests have it, would be 1 % of the CPU."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """How long a race runs and which of its windows are repeats of the same measurement.

    Attributes:
        windows: of the race until the pods are first replaced.
        rest_from: first window in which all should be at rest.
        rounds: how often all pods are replaced after that.
        settle: windows after each of these that are left out.
        measure: windows after that: one repeat.
    """

    windows: int
    rest_from: int
    rounds: int = 0
    settle: int = 2
    measure: int = 3

    def repeats(self) -> list[int | None]:
        """Say for each window which repeat it belongs to; None: to none, all may not be at rest."""
        race = [None] * self.rest_from + [0] * (self.windows - self.rest_from)
        rounds = [
            [None] * self.settle + [number + 1] * self.measure for number in range(self.rounds)
        ]
        return [*race, *(each for one in rounds for each in one)]

    def restarts(self) -> set[int]:
        """Windows at whose beginning all pods are replaced."""
        return {self.windows + each * (self.settle + self.measure) for each in range(self.rounds)}

    @property
    def seconds(self) -> int:
        """Length of it all."""
        return len(self.repeats()) * WINDOW_SECONDS


def race(
    cluster: Cluster,
    scenario: Scenario,
    contenders: Sequence[Contender],
    timeline: Timeline,
    say: Callable[[str], None],
) -> list[Lane]:
    """Deploy, put under load, measure, and take away.

    Args:
        cluster: where; nothing else should be busy on the machine.
        scenario: the service and its load.
        contenders: one service each.
        timeline: how long.
        say: told how far it is.

    Raises:
        TimeoutError: A service did not become ready.
        ProcessError: gc-tuner or a load generator did not start.
    """
    namespace = f"{scenario.name}-{secrets.token_hex(2)}"
    cluster.create_namespace(namespace)
    try:
        began = int(time.time())
        services = [_service(scenario, each, namespace, began) for each in contenders]
        for contender, service in zip(contenders, services, strict=True):
            if contender.live:
                cluster.apply([live_config_map(_live_name(contender), namespace, {})])
            cluster.apply(service.manifests())
        for service in services:
            cluster.wait_for_rollout(namespace, service.reference)
        with contextlib.ExitStack() as running:
            operator = None
            if any(each.tuned for each in contenders):
                operator = prepare_operator(cluster, namespace, settings=OPERATOR_SETTINGS)
                running.callback(operator.process.stop)
                operator.process.start()
            loads = _loads(cluster, scenario, contenders, namespace)
            for load in loads.values():
                running.callback(load.stop)
                load.start()
            course = _Course(
                cluster=cluster,
                namespace=namespace,
                scenario=scenario,
                contenders=contenders,
                timeline=timeline,
                loads=loads,
                operator=operator,
            )
            return course.run(say)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=true", "--timeout=120s")


def _live_name(contender: Contender) -> str:
    return f"{contender.name}-settings"


def _service(scenario: Scenario, contender: Contender, namespace: str, began: int) -> SampleService:
    memory = f"{scenario.memory_mib}Mi"
    return SampleService(
        name=contender.name,
        namespace=namespace,
        replicas=1,
        environment={
            **scenario.environment,
            **contender.environment,
            **_SERVICE_ENDS,
            **(_LIVE_POLL if contender.live else {}),
            # The same for all, and for a service that is restarted.
            "LIVE_HEAP_SWING_START": str(began),
        },
        memory_request=memory,
        memory_limit=memory,
        labels={MODE_LABEL: "auto" if contender.tuned else "off"},
        annotations={"gc-tuner.io/profile": contender.profile} if contender.profile else {},
        live_config_map=_live_name(contender) if contender.live else None,
    )


def _loads(
    cluster: Cluster, scenario: Scenario, contenders: Sequence[Contender], namespace: str
) -> dict[str, Process]:
    """The load generators, not started; each with a seed of its own, lest all peak at once."""
    if scenario.schedule is None:
        return {}
    return {
        contender.name: Process(
            name=f"load on {contender.name}",
            command=[
                cluster.binaries.loadgen,
                f"-listen=127.0.0.1:{free_port()}",
                f"-targets-url={cluster.endpoints_url(namespace, contender.name)}",
                f"-schedule={scenario.schedule}",
                f"-interval={WINDOW_SECONDS}s",
                f"-seed={seed}",
                "-wait-for-targets=30s",
            ],
            log=cluster.directory / "loads" / namespace / f"{contender.name}.log",
        )
        for seed, contender in enumerate(contenders, start=1)
    }


@dataclass(frozen=True, kw_only=True)
class _Course:
    """A race under way.

    Attributes:
        cluster: where.
        namespace: its own.
        scenario: the service and its load.
        contenders: one service each.
        timeline: how long.
        loads: a load generator each; empty where nothing is requested.
        operator: gc-tuner, where there is something to tune.
    """

    cluster: Cluster
    namespace: str
    scenario: Scenario
    contenders: Sequence[Contender]
    timeline: Timeline
    loads: Mapping[str, Process]
    operator: Operator | None

    def run(self, say: Callable[[str], None]) -> list[Lane]:
        """Wait for the end, and return what was measured.

        Raises:
            RuntimeError: gc-tuner or a load generator ended.
        """
        started = time.time()
        restarts, total = self.timeline.restarts(), len(self.timeline.repeats())
        busy: list[float] = []
        outcomes: dict[str, dict[float, Outcome]] = {each.name: {} for each in self.contenders}
        before = _machine_time()
        for window in range(total):
            if window in restarts:
                # Not a rollout: gc-tuner would have to take that for a deploy of the owner's.
                where = ("--namespace", self.namespace)
                self.cluster.kubectl("delete", "pods", "--all", *where, "--wait=false")
            time.sleep(max(0.0, started + (window + 1) * WINDOW_SECONDS - time.time()))
            after = _machine_time()
            busy.append((after[0] - before[0]) / (after[1] - before[1]))
            before = after
            self._still_running()
            for name, record in self._records().items():  # it keeps the last ten only
                for outcome in record_of(record).history:
                    outcomes[name][outcome.at] = outcome
            if (window + 1) % 4 == 0 or window + 1 == total:
                say(f"window {window + 1} of {total}, machine {busy[-1]:.0%} busy")
        time.sleep(SCRAPED_SECONDS)
        return self._lanes(started, busy, outcomes)

    def _records(self) -> dict[str, dict[str, Any]]:
        found = {} if self.operator is None else self.operator.records()
        return {name: status for name, status in found.items() if status}

    def _still_running(self) -> None:
        operator = [] if self.operator is None else [self.operator.process]
        for each in (*operator, *self.loads.values()):
            if not each.running:
                raise RuntimeError(f"{each.name} ended\n{each.tail()}")

    def _lanes(
        self,
        started: float,
        busy: Sequence[float],
        outcomes: Mapping[str, Mapping[float, Outcome]],
    ) -> list[Lane]:
        figures = _Figures(self.cluster, self.namespace)
        windows: dict[str, list[Window]] = {each.name: [] for each in self.contenders}
        latencies = {name: list(_latencies(load.log)) for name, load in self.loads.items()}
        for index, repeat in enumerate(self.timeline.repeats()):
            found = figures.window(started + (index + 1) * WINDOW_SECONDS)
            for name, own in windows.items():
                quantiles = latencies.get(name, [])
                p95, p99 = quantiles[index] if index < len(quantiles) else (None, None)
                own.append(
                    Window(
                        repeat=repeat,
                        machine_busy=busy[index],
                        p95_ms=p95,
                        p99_ms=p99,
                        **{quantity: values.get(name) for quantity, values in found.items()},
                    )
                )
        kills = figures.kills(self.timeline.seconds, started + self.timeline.seconds)
        records = self._records()
        return [
            Lane(
                name=each.name,
                title=each.title,
                windows=windows[each.name],
                oom_kills=kills.get(each.name, 0),
                restarts=self.cluster.revision(self.namespace, each.name) - 1,
                predictions=[Prediction.of(found) for found in outcomes[each.name].values()],
                decision=_decision(records.get(each.name, {})),
            )
            for each in self.contenders
        ]


def _machine_time() -> tuple[float, float]:
    """Busy and whole time of all processors since the machine's start, in its own units."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    times = [float(each) for each in fields]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def _decision(record: Mapping[str, Any]) -> str | None:
    return f"{record['reason']}: {record['message']}" if record else None


def _latencies(log: Path) -> Iterator[tuple[float, float]]:
    """The p95 and p99 of each window, ms."""
    for line in log.read_text().splitlines():
        content = json.loads(line) if line.startswith("{") else {}
        if content.get("type") == "interval":
            yield content["p95_ms"], content["p99_ms"]


@dataclass(frozen=True)
class _Figures:
    """What Prometheus says of a race, by contender."""

    cluster: Cluster
    namespace: str

    def window(self, end: float) -> dict[str, dict[str, float]]:
        """Return each quantity of a `Window` at its end."""
        whole, last = f"[{WINDOW_SECONDS}s] @ {end:.3f}", f"[5s] @ {end:.3f}"
        done = self._by_service("sum", f"increase(batch_units_total{{$}}{whole})")
        done |= self._by_service("sum", f'increase(http_requests_total{{$,code="200"}}{whole})')
        return {
            "done": done,
            "cpu_seconds": self._by_service(
                "sum", f"increase(container_cpu_usage_seconds_total{{$}}{whole})"
            ),
            "peak_bytes": self._by_service(
                "max", f"max_over_time(container_memory_working_set_bytes{{$}}{whole})"
            ),
            "cycles": self._by_service(
                "sum", f"increase(go_gc_duration_seconds_count{{$}}{whole})"
            ),
            "gogc": self._set("go_gc_gogc_percent", last),
            "gomemlimit_bytes": self._set("go_gc_gomemlimit_bytes", last),
        }

    def kills(self, seconds: int, end: float) -> dict[str, int]:
        """Return how often a container was killed: for its memory, nothing else ends these."""
        restarts = "kube_pod_container_status_restarts_total"
        found = self._by_service("sum", f"max_over_time({restarts}{{$}}[{seconds}s] @ {end:.3f})")
        return {name: round(count) for name, count in found.items()}

    def _set(self, metric: str, when: str) -> dict[str, float]:
        found = self._by_service("max", f"max_over_time({metric}{{$}}{when})")
        return {name: value for name, value in found.items() if value < NOT_SET}

    def _by_service(self, aggregation: str, expression: str) -> dict[str, float]:
        matchers = f'namespace="{self.namespace}",container="{APP_CONTAINER}"'
        text = expression.replace("$", matchers)
        named = f'label_replace({text}, "service", "$1", "pod", "(.*)-[^-]+-[^-]+")'
        answer = self.cluster.prometheus.query(f"{aggregation} by (service) ({named})")
        return {dict(labels)["service"]: value for labels, value in answer.items()}
