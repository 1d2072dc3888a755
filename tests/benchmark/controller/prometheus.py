"""A server that answers gc-tuner's queries as Prometheus would of a fleet at rest.

    python -m tests.benchmark.controller.prometheus PORT WORKLOADS

The figures are those of simulated services that have settled where they are, each workload's a
little off its neighbour's. All answers are made before the first is asked for, so that what is
measured is gc-tuner and not this server.
"""

from __future__ import annotations

import json
import random
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.benchmark.controller.names import CONTAINER, namespace, workload
from tuner.model.reading import Quantity
from tuner.prometheus.metric_names import MetricNames
from tuner.prometheus.queries import PROBE, queries
from tuner.simulation import Service, SimulatedCluster
from tuner.simulation.source import PlantSource
from tuner.simulation.streams import constant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MIB = 2**20
WINDOW_SECONDS = 60.0
SETTLED_SECONDS = 900.0
SPREAD = 0.02
"""How far a figure is from its neighbour's, as a standard deviation."""
MEMORY_LIMIT_BYTES = 512 * MIB
SERVICE = Service(
    name="at-rest",
    requests_per_second=constant(200),
    garbage_bytes_per_request=40e3,
    work_seconds_per_request=1e-3,
    live_bytes=constant(30e6),
    cost_seconds_per_byte=0.05e-9,
    memory_limit_bytes=MEMORY_LIMIT_BYTES,
    memory_request_bytes=MEMORY_LIMIT_BYTES,
    gomemlimit="450MiB",
)
"""Its GC costs next to nothing: at each tick there is all to be read and nothing to be written."""

_QUANTITY = re.compile(r'"quantity","(\w+)"')
_WHOLE = frozenset(
    {
        Quantity.PODS,
        Quantity.PODS_ALL,
        Quantity.SAMPLES_IN_WINDOW,
        Quantity.PROCESSORS,
        Quantity.GOGC_LOWEST,
        Quantity.GOGC_HIGHEST,
        Quantity.GOMEMLIMIT_BYTES,
        Quantity.GO_VERSION,
    }
)
"""Quantities that are counts or settings: these are as they are."""


def figures() -> Mapping[Quantity, float]:
    """What one workload's metrics say once it has settled."""
    cluster = SimulatedCluster([SERVICE], 0.0, seed=1)
    source = PlantSource(
        cluster, rate_window_seconds=WINDOW_SECONDS, warm_up_seconds=WINDOW_SECONDS
    )
    while cluster.now < SETTLED_SECONDS:
        cluster.advance(15.0)
        source.scrape()
    (found,) = source.read(cluster.now).containers.values()
    return found


class Answers:
    """Bodies of answers, by query."""

    def __init__(self, workloads: int) -> None:
        """Make the answers to what gc-tuner asks with its default settings."""
        self._workloads = workloads
        self._figures = figures()
        asked = queries(
            MetricNames(), rate_window_seconds=WINDOW_SECONDS, warm_up_seconds=WINDOW_SECONDS
        )
        texts = (PROBE, *(each.text for each in asked))
        self._made = {text: self._answer(text) for text in texts}

    def to(self, query: str) -> bytes:
        """Answer a query.

        Raises:
            KeyError: gc-tuner does not ask that by default.
        """
        return self._made[query]

    def _answer(self, query: str) -> bytes:
        text = ",".join(self._series(query))
        return f'{{"status":"success","data":{{"resultType":"vector","result":[{text}]}}}}'.encode()

    def _series(self, query: str) -> Iterator[str]:
        counted = query.startswith("count ")
        pods = self._figures[Quantity.PODS]
        for quantity in map(Quantity, _QUANTITY.findall(query)):
            figure = self._figures.get(quantity)
            if figure is None:
                continue
            wobble = random.Random(quantity.value)  # noqa: S311 - not for secrets
            for index in range(self._workloads):
                factor = 1.0 if quantity in _WHOLE else wobble.gauss(1.0, SPREAD)
                labels = {
                    "namespace": namespace(index),
                    "kind": "Deployment",
                    "workload": workload(index),
                    "container": CONTAINER,
                    "quantity": quantity.value,
                }
                if quantity is Quantity.GO_VERSION and not counted:
                    labels["version"] = "go1.26.8"
                value = pods if counted else figure * factor
                yield json.dumps(
                    {"metric": labels, "value": [0, repr(value)]}, separators=(",", ":")
                )


def serve(port: int, answers: Answers) -> None:
    """Answer until the process is ended."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

        def do_GET(self) -> None:
            self._answer(urlsplit(self.path).query)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self._answer(self.rfile.read(length).decode() or urlsplit(self.path).query)

        def _answer(self, form: str) -> None:
            asked = parse_qs(form).get("query", [""])[0]
            try:
                status, body = 200, answers.to(asked)
            except KeyError:
                status, body = 404, f"not prepared: {asked}".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Answers(int(sys.argv[2])))
