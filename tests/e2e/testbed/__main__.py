"""Start the cluster of processes with three services under load, for use by hand, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tests.e2e.testbed.cache import BuildError
from tests.e2e.testbed.cluster import Cluster
from tests.e2e.testbed.manifests import MODE_LABEL, Load, SampleService
from tests.e2e.testbed.processes import ProcessError, terminated_as_interrupt

_NAMESPACE = "shop"
_AUTO = {MODE_LABEL: "auto"}

# Each service, what it shows, and its load. Together they keep less than one core busy.
_SAMPLES = (
    (
        "much to gain: many pointers to mark, much memory unused",
        SampleService(
            name="catalogue",
            namespace=_NAMESPACE,
            environment={"LIVE_HEAP_BYTES": "80Mi", "ITERATIONS_PER_REQUEST": "10000"},
            memory_request="256Mi",
            memory_limit="1Gi",
            labels=_AUTO,
        ),
        "wave:60-120/5m",
    ),
    (
        "short on memory: the heap at GOGC=100 almost fills the limit",
        SampleService(
            name="sessions",
            namespace=_NAMESPACE,
            environment={"LIVE_HEAP_BYTES": "100Mi"},
            memory_request="256Mi",
            memory_limit="288Mi",
            labels=_AUTO,
        ),
        "constant:20",
    ),
    (
        "nothing to gain: small heap, hardly any garbage",
        SampleService(
            name="health",
            namespace=_NAMESPACE,
            environment={
                "LIVE_HEAP_BYTES": "2Mi",
                "LIVE_HEAP_KIND": "flat",
                "GARBAGE_BYTES_PER_REQUEST": "16Ki",
            },
            memory_limit="128Mi",
            labels=_AUTO,
        ),
        "constant:5",
    ),
)


def main() -> int:
    """Run until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.testbed", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, help="keep everything here (default: temporary, removed)"
    )
    parser.add_argument(
        "--scrape-interval",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="of Prometheus (default: %(default)s)",
    )
    parser.add_argument("--empty", action="store_true", help="no sample services")
    arguments = parser.parse_args()
    with terminated_as_interrupt():
        try:
            with Cluster.start(
                arguments.directory, scrape_interval_seconds=arguments.scrape_interval
            ) as cluster:
                if not arguments.empty:
                    _deploy_samples(cluster)
                _write(_instructions(cluster))
                signal.pause()
        except KeyboardInterrupt:
            _write("stopped")
        except (BuildError, ProcessError, TimeoutError) as error:
            sys.stderr.write(f"testbed: {error}\n")
            return 1
    return 0


def _deploy_samples(cluster: Cluster) -> None:
    cluster.create_namespace(_NAMESPACE)
    for _, service, schedule in _SAMPLES:
        load = Load(
            name=f"load-{service.name}",
            namespace=_NAMESPACE,
            targets_url=cluster.endpoints_url(_NAMESPACE, service.name),
            schedule=schedule,
        )
        cluster.apply([*service.manifests(), *load.manifests()])
    _write(f"waiting for the services in namespace {_NAMESPACE} ...")
    for what, service, _ in _SAMPLES:
        cluster.wait_for_rollout(_NAMESPACE, f"deployment/{service.name}")
        _write(f"  {service.name}: {what}")


def _operator_settings(cluster: Cluster) -> Path:
    """Write settings for gc-tuner that fit this cluster, livelier than the defaults."""
    path = cluster.directory / "gc-tuner.yaml"
    path.write_text(
        f"""prometheus:
  url: {cluster.prometheus_url}
kubernetes:
  kubeconfig: {cluster.kubeconfig}
interval: 5s
rateWindow: 30s
http:
  address: 127.0.0.1
"""
    )
    return path


def _instructions(cluster: Cluster) -> str:
    return f"""
Kubernetes  {cluster.api_url}
Prometheus  {cluster.prometheus_url}
logs        {cluster.directory / "logs"}, audit log {cluster.audit_log.name}

In another terminal:

  export KUBECONFIG={cluster.kubeconfig}
  export PATH={cluster.binaries.kubectl.parent}:$PATH
  kubectl get pods -A -o wide
  kubectl -n {_NAMESPACE} set env deployment/catalogue GOGC=200
  gc-tuner run --config {_operator_settings(cluster)}

Ctrl-C stops everything.
"""


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
