"""Real Prometheus servers that scrape the node and the pods as they would in any cluster."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.testbed.processes import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io"
_PORT = "__meta_kubernetes_pod_container_port_number"

# What the annotations prometheus.io/scrape, port and path ask for; the labels are those of the
# common Helm charts. A pod is one target per declared port, of every container: with an annotated
# port only that one is kept.
_POD_RELABELLING: list[dict[str, Any]] = [
    {"source_labels": [f"{_ANNOTATION}_scrape"], "action": "keep", "regex": "true"},
    {
        "source_labels": ["__meta_kubernetes_pod_phase"],
        "action": "drop",
        "regex": "Succeeded|Failed",
    },
    {"source_labels": [_PORT], "action": "keep", "regex": ".+"},
    {"source_labels": [_PORT], "target_label": "__tmp_port"},
    {"source_labels": [f"{_ANNOTATION}_port"], "regex": "(.+)", "target_label": "__tmp_port"},
    {"source_labels": [_PORT], "action": "keepequal", "target_label": "__tmp_port"},
    {
        "source_labels": [f"{_ANNOTATION}_path"],
        "regex": "(.+)",
        "target_label": "__metrics_path__",
    },
    {
        "source_labels": ["__meta_kubernetes_pod_ip", _PORT],
        "separator": ":",
        "target_label": "__address__",
    },
    {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
    {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
    {"source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container"},
]


class PrometheusQueryError(RuntimeError):
    """Prometheus refused a query or could not be reached."""


@dataclass(frozen=True)
class Scraping:
    """What one Prometheus scrapes and how often.

    Attributes:
        interval_seconds: between scrapes, and between evaluations of rules.
        rules: content of a rule file (`{"groups": [...]}`).
        extra: further entries of `scrape_configs`.
    """

    interval_seconds: float
    rules: Mapping[str, Any] | None = None
    extra: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Prometheus:
    """One Prometheus server; stopped and started again it keeps its port and its data.

    Attributes:
        url: its address, without a trailing slash.
        process: the process itself, for killing or freezing it.
    """

    url: str
    process: Process

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ProcessError: it did not start.
        """
        self.process.start()

    def stop(self) -> None:
        """End it; what it scraped stays on disk."""
        self.process.stop()

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """Evaluate an instant query now.

        Returns:
            The value of each series of the answer, by its labels.

        Raises:
            PrometheusQueryError: no answer, or a refusal.
        """
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own address
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            raise PrometheusQueryError(f"{expression}: {text}") from error
        except OSError as error:
            raise PrometheusQueryError(f"{self.url}: {error}") from error
        result = body["data"]["result"]
        if body["data"]["resultType"] == "scalar":
            return {frozenset(): float(result[1])}
        return {frozenset(s["metric"].items()): float(s["value"][1]) for s in result}


def prepare_prometheus(
    program: Path,
    directory: Path,
    *,
    kubeconfig: Path,
    node_address: str,
    scraping: Scraping,
) -> Prometheus:
    """Write the configuration of one server and describe its process, without starting it.

    Args:
        program: the built `prometheus`.
        directory: its own folder: configuration, data and log.
        kubeconfig: credentials that may list and watch pods.
        node_address: host and port of the node's metrics.
        scraping: what it scrapes and how often.
    """
    directory.mkdir(parents=True, exist_ok=True)
    interval = f"{round(scraping.interval_seconds * 1000)}ms"
    configuration = {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": f"{round(min(scraping.interval_seconds, 10.0) * 1000)}ms",
            "evaluation_interval": interval,
        },
        "scrape_configs": [
            _node_scrape("cadvisor", node_address),
            _node_scrape("kube-state", node_address),
            {
                "job_name": "kubernetes-pods",
                "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(kubeconfig)}],
                "relabel_configs": _POD_RELABELLING,
            },
            *scraping.extra,
        ],
    }
    if scraping.rules is not None:
        (directory / "rules.json").write_text(json.dumps(scraping.rules, indent=1))
        configuration["rule_files"] = ["rules.json"]
    configuration_file = directory / "prometheus.json"
    configuration_file.write_text(json.dumps(configuration, indent=1))

    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    process = Process(
        name=f"prometheus {directory.name}",
        command=[
            program,
            f"--config.file={configuration_file}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.retention.time=1d",
            # Hidden; by default new pods wait 5 s here, after the 5 s of service discovery.
            "--scrape.discovery-reload-interval=1s",
            "--log.level=warn",
        ],
        log=directory / "prometheus.log",
        ready=ready,
    )
    return Prometheus(url, process)


def _node_scrape(endpoint: str, node_address: str) -> dict[str, Any]:
    # The node reports on pods: their labels, not those of the scrape, are what queries name.
    return {
        "job_name": "kube-state-metrics" if endpoint == "kube-state" else endpoint,
        "honor_labels": True,
        "metrics_path": f"/metrics/{endpoint}",
        "static_configs": [{"targets": [node_address]}],
    }
