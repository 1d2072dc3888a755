"""gc-tuner itself as a process of the test bed, with the rights of its own ServiceAccount."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.testbed.audit import WRITING_VERBS
from tests.e2e.testbed.cluster import REPOSITORY
from tests.e2e.testbed.credentials import write_kubeconfig
from tests.e2e.testbed.processes import Process, free_port
from tuner.cluster.permissions import PERMISSIONS, election_permissions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from tests.e2e.testbed.audit import AuditEvent
    from tests.e2e.testbed.cluster import Cluster

ACCOUNT = "gc-tuner"
_VERB_SECONDS = 120.0
PROBE_SECONDS = 5.0
"""For the answer of an operator that may be frozen or gone."""
LEASE = "gc-tuner"

ELECTION: Mapping[str, str] = {
    "leaseDuration": "15s",
    "renewDeadline": "10s",
    "retryPeriod": "2s",
}
"""As in production."""

# Seconds where production has minutes; the ratios between them are production's. A Lease lasts as
# long as there: a machine that stands still for some seconds is not to end its holder's term.
QUICK: dict[str, Any] = {
    "interval": "1s",
    "rateWindow": "6s",
    "warmUp": "3s",
    "staleAfter": "6s",
    "revertPause": "5m",
    "planLifetime": "2m",
    "trial": {"windows": 3, "requests": 100, "settleCycles": 3, "patience": 15},
    "profiles": {"normal": {"cooldown": "2s"}},
    "leaderElection": {**ELECTION, "retryPeriod": "500ms"},
    "log": {"format": "json"},
}

# What gc-tuner needs in a namespace, and nothing else.
_RULES = [
    {
        "apiGroups": [each.group],
        "resources": [each.resource],
        "verbs": list(each.verbs),
        **({"resourceNames": list(each.names)} if each.names else {}),
    }
    for each in (*PERMISSIONS, *election_permissions([LEASE]))
]


def grant(
    cluster: Cluster, namespace: str, account: str = ACCOUNT, *, everywhere: bool = False
) -> None:
    """Make a ServiceAccount in a namespace, with gc-tuner's rights in that namespace only.

    Args:
        cluster: where.
        namespace: of the account.
        account: its name.
        everywhere: give it these rights in all namespaces instead.

    Raises:
        KubectlError: it was refused.
    """
    rbac = "rbac.authorization.k8s.io"
    prefix = "Cluster" if everywhere else ""
    metadata = {"name": account, "namespace": namespace}
    role = {"name": f"{namespace}:{account}"} if everywhere else metadata
    cluster.apply(
        [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": f"{prefix}Role",
                "metadata": role,
                "rules": _RULES,
            },
            {
                "apiVersion": f"{rbac}/v1",
                "kind": f"{prefix}RoleBinding",
                "metadata": role,
                "roleRef": {"apiGroup": rbac, "kind": f"{prefix}Role", "name": role["name"]},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
            },
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One gc-tuner for one namespace.

    Attributes:
        cluster: where it works.
        namespace: what it watches, and where its ServiceAccount lives.
        process: the process; started, killed and frozen as any other.
        config: its configuration, for the other verbs.
        http_port: of its own metrics and health.
        account: the ServiceAccount that it works as.
    """

    cluster: Cluster
    namespace: str
    process: Process
    config: Path
    http_port: int
    account: str = ACCOUNT

    @property
    def user(self) -> str:
        """Its name in the audit log."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    def writes(
        self, resource: str | None = None, since: datetime | None = None
    ) -> list[AuditEvent]:
        """Return every write that it asked of the API server, refused ones included.

        Of Leases only where they are asked for.
        """
        events = self.cluster.audit_events(self.user, WRITING_VERBS, resource=resource, since=since)
        return [each for each in events if resource or each.resource != "leases"]

    def get(self, path: str, timeout_seconds: float = 60.0) -> str:
        """Return what its own HTTP server answers.

        Args:
            path: such as `/metrics`.
            timeout_seconds: short where it may well be that it does not answer.

        Raises:
            OSError: it does not answer in time, or with an error status.
        """
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:
            text: bytes = answer.read()
        return text.decode()

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            self.get("/readyz", PROBE_SECONDS)
        except OSError:
            return False
        return True

    def leads(self) -> bool:
        """Whether it says that it leads; False where it does not answer."""
        try:
            metrics = self.get("/metrics", PROBE_SECONDS)
        except OSError:
            return False
        return f'gc_tuner_leader{{lease="{LEASE}"}} 1.0' in metrics.splitlines()

    def records(self) -> dict[str, dict[str, Any]]:
        """Return the status of each GCTuning of the namespace, by the name of its target."""
        path = f"/apis/gc-tuner.io/v1alpha1/namespaces/{self.namespace}/gctunings"
        items = self.cluster.read(path)["items"]
        return {each["spec"]["targetRef"]["name"]: each.get("status", {}) for each in items}

    def record(self, name: str) -> dict[str, Any]:
        """Return the status of one workload's GCTuning; empty where there is none."""
        return self.records().get(name, {})

    def reason(self, name: str) -> str:
        """Return the reason on one workload's record; empty where there is none."""
        return str(self.record(name).get("reason", ""))

    def run(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another verb with its configuration and rights, whatever it ends with.

        Raises:
            TimeoutExpired: it does not end.
        """
        return subprocess.run(
            [sys.executable, "-m", "tuner", verb, "--config", str(self.config), *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "POD_NAMESPACE": self.namespace},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_VERB_SECONDS,
            check=False,
        )

    def log(self) -> list[dict[str, Any]]:
        """Return its log so far, an object a line, but for a line that is being written."""
        if not self.process.log.exists():
            return []
        lines = self.process.log.read_text().rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def prepare_operator(  # noqa: PLR0913 - what a test may vary
    cluster: Cluster,
    namespace: str,
    *,
    settings: Mapping[str, Any] | None = None,
    prometheus_url: str | None = None,
    api_url: str | None = None,
    account: str = ACCOUNT,
    arguments: tuple[str, ...] = (),
) -> Operator:
    """Grant the rights, write the configuration and describe the process, without starting it.

    Args:
        cluster: where it works.
        namespace: what it watches.
        settings: over those of `QUICK`, section by section.
        prometheus_url: by default the cluster's first Prometheus.
        api_url: by default the API server itself; a proxy's address for faults.
        account: ServiceAccount that it works as: of several replicas, each has its own here, so
            that the audit log tells them apart.
        arguments: further arguments of `gc-tuner run`.
    """
    grant(cluster, namespace, account)
    folder = cluster.directory / "operators" / namespace / account
    port = free_port()
    given = cluster.service_account_kubeconfig(namespace, account)
    if api_url is not None:
        token = json.loads(given.read_text())["users"][0]["user"]["token"]
        given = write_kubeconfig(
            folder / "kubeconfig.json",
            server=api_url,
            authority=cluster.control_plane.authority.certificate,
            user={"token": token},
            namespace=namespace,
        )
    configuration = merged(
        QUICK,
        {
            "prometheus": {"url": prometheus_url or cluster.prometheus_url},
            "kubernetes": {"kubeconfig": str(given), "namespaces": [namespace]},
            "http": {"address": "127.0.0.1", "port": port},
        },
        settings or {},
    )
    path = _write(folder / "config.yaml", configuration)
    operator = Operator(
        cluster=cluster,
        namespace=namespace,
        http_port=port,
        config=path,
        account=account,
        process=Process(
            name=f"{account} of {namespace}",
            command=[
                *(sys.executable, "-m", "tuner", "run", "--config", path),
                *arguments,
            ],
            log=folder / "operator.log",
            directory=REPOSITORY,
            environment={"POD_NAMESPACE": namespace},
        ),
    )
    operator.process.ready = operator.ready
    return operator


def _write(path: Path, configuration: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(configuration, indent=2))  # JSON is YAML
    return path


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, each layer over those before it, section by section."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = result.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                result[key] = merged(old, value)
            else:
                result[key] = value
    return result
