"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler: the real programs."""

from __future__ import annotations

import json
import secrets
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.testbed.credentials import (
    Authority,
    client_certificate_user,
    write_kubeconfig,
)
from tests.e2e.testbed.processes import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.testbed.binaries import Binaries

# Every request, once, when it is answered: who wrote what, when. Bodies would make the log huge;
# they are kept of what shows whether a write of gc-tuner's was right: workloads, records, Leases.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete"],
            "omitManagedFields": True,
            "resources": [
                {"group": "apps", "resources": ["deployments", "statefulsets"]},
                {"group": "gc-tuner.io", "resources": ["gctunings", "gctunings/status"]},
                {"group": "coordination.k8s.io", "resources": ["leases"]},
            ],
        },
        {"level": "Metadata"},
    ],
}
_AUDIT_LOG_MEBIBYTES = 2000
"""Larger than it gets: one that is rotated would seem to have lost its beginning."""

# They could only fail, with an event each time: endpoints refuse loopback addresses.
_USELESS_CONTROLLERS = (
    "-endpoints-controller",
    "-endpointslice-controller",
    "-endpointslice-mirroring-controller",
)


@dataclass(frozen=True)
class ControlPlane:
    """The four processes, in the order in which they start, and how to reach them.

    Attributes:
        etcd: the store.
        apiserver: ready when /readyz says so.
        controller_manager: Deployments, ReplicaSets, garbage collection, tokens.
        scheduler: binds pods to the node.
        authority: signs client certificates.
        url: the API server's address.
        admin_kubeconfig: credentials of user `admin`, group `system:masters`.
        audit_log: JSON lines, one per answered request.
    """

    etcd: Process
    apiserver: Process
    controller_manager: Process
    scheduler: Process
    authority: Authority
    url: str
    admin_kubeconfig: Path
    audit_log: Path

    @property
    def processes(self) -> tuple[Process, ...]:
        """All four, in the order in which they start."""
        return (self.etcd, self.apiserver, self.controller_manager, self.scheduler)


def prepare_control_plane(binaries: Binaries, directory: Path) -> ControlPlane:
    """Write keys, configuration and kubeconfig files, and describe the processes.

    Nothing is started. Start them in the order of `ControlPlane.processes`.
    """
    logs = directory / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    authority = Authority(binaries.credentials, directory / "pki")
    authority.initialise()
    pki = authority.directory

    etcd_client = f"http://127.0.0.1:{free_port()}"
    etcd_peer = f"http://127.0.0.1:{free_port()}"
    port = free_port()
    url = f"https://127.0.0.1:{port}"

    token = secrets.token_hex(16)
    tokens = pki / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    policy = directory / "audit-policy.json"
    policy.write_text(json.dumps(_AUDIT_POLICY))
    audit_log = logs / "audit.jsonl"

    def kubeconfig(name: str, user: dict[str, str]) -> Path:
        return write_kubeconfig(
            directory / "kubeconfigs" / f"{name}.json",
            server=url,
            authority=authority.certificate,
            user=user,
        )

    def component_kubeconfig(name: str) -> Path:
        return kubeconfig(name, client_certificate_user(authority.client(f"system:{name}", ())))

    etcd = Process(
        name="etcd",
        command=[
            binaries.etcd,
            f"--data-dir={directory / 'etcd'}",
            f"--listen-client-urls={etcd_client}",
            f"--advertise-client-urls={etcd_client}",
            f"--listen-peer-urls={etcd_peer}",
            f"--initial-advertise-peer-urls={etcd_peer}",
            f"--initial-cluster=default={etcd_peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
        log=logs / "etcd.log",
        ready=_answers(f"{etcd_client}/health"),
    )
    apiserver = Process(
        name="kube-apiserver",
        command=[
            binaries.kube_apiserver,
            f"--etcd-servers={etcd_client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={authority.certificate}",
            f"--token-auth-file={tokens}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'service-account.pub'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # Endpoints refuse loopback addresses, so it cannot publish its own.
            "--endpoint-reconciler-type=none",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={audit_log}",
            "--audit-log-format=json",
            f"--audit-log-maxsize={_AUDIT_LOG_MEBIBYTES}",
        ],
        log=logs / "kube-apiserver.log",
        ready=_answers(f"{url}/readyz", authority=authority.certificate, token=token),
        # Its own shutdown waits for clients to close their watches.
        stop_timeout_seconds=2.0,
    )
    controller_manager = Process(
        name="kube-controller-manager",
        command=[
            binaries.kube_controller_manager,
            f"--kubeconfig={component_kubeconfig('kube-controller-manager')}",
            f"--service-account-private-key-file={pki / 'service-account.key'}",
            f"--root-ca-file={authority.certificate}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
            f"--controllers=*,{','.join(_USELESS_CONTROLLERS)}",
            # A test that stops the API server must not find its pods evicted afterwards.
            "--node-monitor-grace-period=30m",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        ],
        log=logs / "kube-controller-manager.log",
    )
    scheduler = Process(
        name="kube-scheduler",
        command=[
            binaries.kube_scheduler,
            f"--kubeconfig={component_kubeconfig('kube-scheduler')}",
            "--leader-elect=false",
            "--secure-port=0",
        ],
        log=logs / "kube-scheduler.log",
    )
    return ControlPlane(
        etcd=etcd,
        apiserver=apiserver,
        controller_manager=controller_manager,
        scheduler=scheduler,
        authority=authority,
        url=url,
        admin_kubeconfig=kubeconfig("admin", {"token": token}),
        audit_log=audit_log,
    )


def _answers(
    url: str, *, authority: Path | None = None, token: str | None = None
) -> Callable[[], bool]:
    """Return a check that `url` answers 200."""
    context = ssl.create_default_context(cafile=str(authority)) if authority is not None else None
    request = urllib.request.Request(url)  # noqa: S310 - a loopback address of our own
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")

    def check() -> bool:
        try:
            with urllib.request.urlopen(request, timeout=2, context=context) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    return check
