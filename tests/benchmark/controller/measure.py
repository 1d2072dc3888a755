"""One run of gc-tuner over a fleet of a given size, on a real API server."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmark.controller.fleet import Api, nodes, populate
from tests.benchmark.controller.kubelets import prepare_kubelets
from tests.benchmark.controller.names import REPLICAS
from tests.e2e.testbed.audit import READING_VERBS, WRITING_VERBS, read_audit_log
from tests.e2e.testbed.binaries import build_all
from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.controlplane import prepare_control_plane
from tests.e2e.testbed.credentials import client_certificate_user, write_kubeconfig
from tests.e2e.testbed.processes import Process, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

USER = "gc-tuner"
TICKS = 8
"""Ticks at rest that are measured."""
INTERVAL_SECONDS = 15
LOOK_SECONDS = 5.0
"""Each look at its metrics costs gc-tuner some CPU, as a scrape would."""
LONGEST_START_SECONDS = 300.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What gc-tuner took for a fleet.

    Attributes:
        workloads: of the fleet.
        pods: of the fleet.
        start_seconds: from the start of the process to the first decisions.
        record_seconds: from there until every workload was on record.
        tick_seconds: median wall time of a tick at rest.
        tick_cpu_seconds: CPU of the process by the number of ticks, at rest.
        first_tick_seconds: wall time of the first tick.
        resident_bytes: memory at the end.
        resident_peak_bytes: most memory ever.
        queries_per_tick: asked of Prometheus, at rest.
        reads_per_tick: asked of the API server, at rest; watches count when they begin.
        writes_per_tick: asked of the API server, at rest.
        decisions: how many workloads were held for which reason, at the end.
    """

    workloads: int
    pods: int
    start_seconds: float
    record_seconds: float
    tick_seconds: float
    tick_cpu_seconds: float
    first_tick_seconds: float
    resident_bytes: int
    resident_peak_bytes: int
    queries_per_tick: float
    reads_per_tick: float
    writes_per_tick: float
    decisions: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """What gc-tuner is measured on, and the process itself.

    Attributes:
        operator: started by the measurement.
        metrics: its own, by series.
        audit_log: of the API server.
    """

    operator: Process
    metrics: Callable[[], dict[str, float]]
    audit_log: Path


def measure(workloads: int, say: Callable[[str], None]) -> Cost:
    """Fill an API server with workloads, let gc-tuner come to rest over them, and measure it.

    Args:
        workloads: of the fleet.
        say: told what is going on.

    Raises:
        BuildError: A program could not be built.
        ProcessError: A part did not start.
        RuntimeError: An object was refused.
        TimeoutError: gc-tuner came to no decision, or not to rest.
    """
    with ExitStack() as cleanup:
        directory = Path(tempfile.mkdtemp(prefix="gc-tuner-benchmark-")).resolve()
        cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        stage = _prepare(workloads, directory, cleanup, say)
        return _measured(workloads, stage, say)


def _prepare(
    workloads: int, directory: Path, cleanup: ExitStack, say: Callable[[str], None]
) -> _Stage:
    binaries = build_all()
    plane = prepare_control_plane(binaries, directory)
    kubelets = prepare_kubelets(plane.admin_kubeconfig, directory)
    port, own_port = free_port(), free_port()
    prometheus = Process(
        name="stand-in Prometheus",
        command=[
            *(sys.executable, "-m", "tests.benchmark.controller.prometheus"),
            *(str(port), str(workloads)),
        ],
        log=directory / "logs" / "prometheus.log",
        directory=REPOSITORY,
        ready=lambda: _listens(port),
    )
    for process in (plane.etcd, plane.apiserver, kubelets, prometheus):
        cleanup.callback(process.kill)
        process.start()
    crds = REPOSITORY / "charts" / "gc-tuner" / "crds"
    subprocess.run(  # noqa: S603 - built by ourselves
        [binaries.kubectl, "apply", "--filename", crds],
        env={"KUBECONFIG": str(plane.admin_kubeconfig), "HOME": str(directory)},
        check=True,
        capture_output=True,
    )
    token = json.loads(plane.admin_kubeconfig.read_text())["users"][0]["user"]["token"]
    api = Api(plane.url, token, plane.authority.certificate)
    for each in nodes():
        api.create("/api/v1/nodes", each)
    began = time.monotonic()
    populate(api, range(workloads), lambda made: say(f"{made} of {workloads} workloads made"))
    running = "status.phase%3DRunning"
    wait_for(
        lambda: api.count("/api/v1/pods", running) == workloads * REPLICAS,
        "all pods running",
        patience_seconds=600,
        interval_seconds=3.0,
    )
    say(f"{workloads} workloads run after {time.monotonic() - began:.0f} s")
    kubeconfig = write_kubeconfig(
        directory / "gc-tuner.json",
        server=plane.url,
        authority=plane.authority.certificate,
        user=client_certificate_user(plane.authority.client(USER, ("system:masters",))),
    )
    settings = directory / "settings.yaml"
    settings.write_text(
        json.dumps(
            {
                "interval": f"{INTERVAL_SECONDS}s",
                "prometheus": {"url": f"http://127.0.0.1:{port}"},
                "kubernetes": {"kubeconfig": str(kubeconfig)},
                "http": {"address": "127.0.0.1", "port": own_port},
                # It is alone, and the first ticks are to write.
                "leaderElection": {"enabled": False},
                "log": {"format": "json"},
            }
        )
    )
    operator = Process(
        name="gc-tuner",
        command=[sys.executable, "-m", "tuner", "run", "--config", settings],
        log=directory / "logs" / "gc-tuner.log",
        directory=REPOSITORY,
        environment={"POD_NAMESPACE": "default"},
    )
    cleanup.callback(operator.kill)
    return _Stage(
        operator=operator,
        metrics=lambda: _metrics(own_port),
        audit_log=plane.audit_log,
    )


def _measured(workloads: int, stage: _Stage, say: Callable[[str], None]) -> Cost:
    operator, metrics = stage.operator, stage.metrics
    began = time.monotonic()
    operator.start()
    _until(
        operator,
        lambda: _ticks(metrics()) > 0,
        LONGEST_START_SECONDS,
        "the first decisions",
        every_seconds=0.2,
    )
    start_seconds = time.monotonic() - began
    first = metrics()["gc_tuner_tick_duration_seconds_sum"]
    say(f"first decisions after {start_seconds:.1f} s, first tick {first:.2f} s")

    def writes(since: datetime) -> int:
        found = read_audit_log(stage.audit_log, user=USER, verbs=WRITING_VERBS, since=since)
        return len(found)

    recorded = time.monotonic()
    longest = 120 + INTERVAL_SECONDS * (workloads / 100)
    calm = datetime.now(tz=UTC)
    while True:
        _after_ticks(operator, metrics, 3)
        now = datetime.now(tz=UTC)
        if writes(calm) == 0:
            break
        calm = now
        if time.monotonic() - recorded > longest:
            raise TimeoutError(f"gc-tuner still writes after {longest:.0f} s")
    record_seconds = time.monotonic() - recorded
    say(f"at rest after {record_seconds:.0f} s")

    since, before, cpu = datetime.now(tz=UTC), metrics(), _cpu_seconds(operator)
    durations = []
    for _ in range(TICKS):
        old = metrics()
        new = _after_ticks(operator, metrics, 1)
        ticks = _ticks(new) - _ticks(old)
        name = "gc_tuner_tick_duration_seconds_sum"
        durations.append((new[name] - old[name]) / ticks)
    after = metrics()
    ticks = _ticks(after) - _ticks(before)
    spent = _cpu_seconds(operator) - cpu
    requests = read_audit_log(stage.audit_log, user=USER, since=since)
    memory = _memory(operator)
    return Cost(
        workloads=workloads,
        pods=workloads * REPLICAS,
        start_seconds=start_seconds,
        record_seconds=record_seconds,
        tick_seconds=median(durations),
        tick_cpu_seconds=spent / ticks,
        first_tick_seconds=first,
        resident_bytes=memory["VmRSS"],
        resident_peak_bytes=memory["VmHWM"],
        queries_per_tick=(after["gc_tuner_queries_total"] - before["gc_tuner_queries_total"])
        / ticks,
        reads_per_tick=sum(each.verb in READING_VERBS for each in requests) / ticks,
        writes_per_tick=sum(each.verb in WRITING_VERBS for each in requests) / ticks,
        decisions=_decisions(before, after, ticks),
    )


def _decisions(before: dict[str, float], after: dict[str, float], ticks: float) -> dict[str, int]:
    """Workloads by reason, over some ticks at rest."""
    prefix = "gc_tuner_decisions_total{"
    counts = {
        name.removeprefix(prefix).rstrip("}"): (count - before.get(name, 0.0)) / ticks
        for name, count in after.items()
        if name.startswith(prefix)
    }
    return {name: round(count) for name, count in counts.items() if round(count)}


def _after_ticks(
    operator: Process, metrics: Callable[[], dict[str, float]], ticks: int
) -> dict[str, float]:
    """Wait for some more ticks, and return the metrics then."""
    goal = _ticks(metrics()) + ticks
    seconds = 10 * (ticks + 1) * INTERVAL_SECONDS
    _until(
        operator,
        lambda: _ticks(metrics()) >= goal,
        seconds,
        f"{ticks} more ticks",
        every_seconds=LOOK_SECONDS,
    )
    return metrics()


def _until(
    operator: Process,
    predicate: Callable[[], bool],
    seconds: float,
    what: str,
    *,
    every_seconds: float,
) -> None:
    def looked() -> bool:
        if not operator.running:
            raise RuntimeError(f"gc-tuner ended\n{operator.tail()}")
        try:
            return predicate()
        except OSError:
            return False  # not up yet

    wait_for(looked, what, patience_seconds=seconds, interval_seconds=every_seconds)


def _ticks(metrics: dict[str, float]) -> float:
    return metrics.get("gc_tuner_tick_duration_seconds_count", 0.0)


def _metrics(port: int) -> dict[str, float]:
    """Series of gc-tuner's own metrics, those of single workloads left out.

    Raises:
        OSError: It does not answer.
    """
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in found if "workload=" not in name}


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _cpu_seconds(process: Process) -> float:
    """CPU that a process has used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def _memory(process: Process) -> dict[str, int]:
    """Memory of a process in bytes, by the kernel's names."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: 1024 * int(value.split()[0]) for name, value in pairs}
