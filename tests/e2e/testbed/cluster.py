"""The whole test bed as one object: control plane, node, Prometheus and the means to use them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3

from tests.e2e.testbed.audit import AuditEvent, read_audit_log
from tests.e2e.testbed.binaries import Binaries, build_all
from tests.e2e.testbed.controlplane import ControlPlane, prepare_control_plane
from tests.e2e.testbed.credentials import client_certificate_user, write_kubeconfig
from tests.e2e.testbed.image import build_image
from tests.e2e.testbed.processes import PATIENCE_SECONDS, Process, free_port, wait_for
from tests.e2e.testbed.prometheus import Prometheus, Scraping, prepare_prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from tests.e2e.testbed.image import BuiltImage

REPOSITORY = Path(__file__).resolve().parents[3]
_AWAKE = Path(__file__).with_name("awake.py")
NODE_NAME = "node-1"
_CUSTOM_RESOURCES = REPOSITORY / "charts" / "gc-tuner" / "crds"
_KUBECTL_TIMEOUT_SECONDS = 2 * PATIENCE_SECONDS  # it waits, too


def _cluster_role(user: str, *rules: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a ClusterRole of these rules and its binding to the user."""
    name = f"testbed:{user}"
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": list(rules),
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "name": user}],
    }
    return role, binding


_READ = ["get", "list", "watch"]

# What Prometheus may read, and what the node may read beyond what every kubelet may, because it
# also plays kube-state-metrics and kube-proxy, and watches what pods mount all at once.
_STAND_IN_RIGHTS: tuple[dict[str, Any], ...] = (
    *_cluster_role(
        "prometheus",
        {"apiGroups": [""], "resources": ["pods"], "verbs": _READ},
    ),
    *_cluster_role(
        f"system:node:{NODE_NAME}",
        {
            "apiGroups": [""],
            "resources": ["pods", "services", "configmaps", "secrets"],
            "verbs": _READ,
        },
        {"apiGroups": ["apps"], "resources": ["*"], "verbs": _READ},
    ),
)


class KubectlError(RuntimeError):
    """kubectl ended with an error.

    Attributes:
        code: its exit code.
        stderr: what it said.
    """

    def __init__(self, arguments: Sequence[str], code: int, stderr: str) -> None:
        """Take what was asked and what came back."""
        super().__init__(f"kubectl {' '.join(arguments)}: exit code {code}\n{stderr.strip()}")
        self.code = code
        self.stderr = stderr


@dataclass(frozen=True)
class Image:
    """What the node runs for a container image.

    Attributes:
        name: image name without a tag.
        command: program and arguments, as ENTRYPOINT would be.
        arguments: as CMD would be.
        environment: as ENV would be.
        working_directory: as WORKDIR would be; by default a folder of the pod's.
        user: as USER would be; by default the node's own.
        mounts: folders of the machine that a container sees, and where.
    """

    name: str
    command: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str | None = None
    user: str = ""
    mounts: tuple[tuple[Path, str], ...] = ()

    def entry(self) -> dict[str, Any]:
        """Return its entry in the node's images file."""
        return {
            "command": self.command,
            "args": self.arguments,
            "env": dict(self.environment),
            "workingDir": self.working_directory,
            "user": self.user,
            "mounts": [{"source": str(source), "target": target} for source, target in self.mounts],
        }


def default_images(binaries: Binaries) -> tuple[Image, ...]:
    """Return the images of the sample service, the load generator and gc-tuner itself."""
    return (
        Image("testbed/service", (str(binaries.service),)),
        Image("testbed/loadgen", (str(binaries.loadgen),)),
        gc_tuner_image(build_image(REPOSITORY)),
    )


def gc_tuner_image(built: BuiltImage) -> Image:
    """Return gc-tuner's own image, as its Dockerfile has it."""
    config = built.config
    return Image(
        "gc-tuner",
        command=config.entrypoint,
        arguments=config.arguments,
        environment=tuple(config.environment.items()),
        working_directory=config.working_directory,
        user=config.user,
        mounts=tuple((each.source, each.target) for each in built.mounts),
    )


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running cluster of processes; a context manager that ends all of it.

    Attributes:
        directory: everything it writes: logs, keys, kubeconfig files, state.
        control_plane: etcd, API server, controller manager, scheduler; each can be stopped,
            started, frozen.
        node: the kubelet stand-in.
        node_address: host and port of the node's own endpoints.
        prometheus: the first Prometheus.
        scraping: what that one scrapes.
        binaries: the programs it runs.
    """

    directory: Path
    binaries: Binaries
    control_plane: ControlPlane
    node: Process
    node_address: str
    prometheus: Prometheus
    scraping: Scraping
    _cleanup: ExitStack

    @classmethod
    def start(
        cls,
        directory: Path | None = None,
        *,
        scrape_interval_seconds: float = 1.0,
        binaries: Binaries | None = None,
        images: Sequence[Image] = (),
        mount_refresh_seconds: float = 1.0,
    ) -> Self:
        """Build what is missing, start everything and wait until pods can be created.

        Call it from a thread that outlives the cluster, best the main one (see `tether.py`).

        Args:
            directory: an empty or new folder, kept afterwards; by default a temporary one that is
                removed in the end.
            scrape_interval_seconds: of the first Prometheus.
            binaries: the programs; by default those of the cache, built now if need be.
            images: further images, or other commands for the usual ones.
            mount_refresh_seconds: how soon a changed ConfigMap or Secret reaches mounted files.

        Raises:
            BuildError: a program could not be built.
            ProcessError: a part did not start; nothing is left running.
            TimeoutError: a part started but did not do its work; nothing is left running.
        """
        binaries = binaries or build_all()
        own = ExitStack()
        with ExitStack() as on_failure:
            on_failure.push(own)
            if directory is None:
                directory = Path(tempfile.mkdtemp(prefix="gc-tuner-testbed-"))
                own.callback(shutil.rmtree, directory, ignore_errors=True)
            directory = directory.resolve()
            control_plane = prepare_control_plane(binaries, directory)
            node_address = f"127.0.0.1:{free_port()}"
            scraping = Scraping(scrape_interval_seconds)
            cluster = cls(
                directory=directory,
                binaries=binaries,
                control_plane=control_plane,
                node=_prepare_node(
                    control_plane,
                    directory,
                    [*default_images(binaries), *images],
                    node_address,
                    mount_refresh_seconds,
                ),
                node_address=node_address,
                prometheus=_prepare_prometheus(
                    binaries,
                    control_plane,
                    directory / "prometheus" / "main",
                    node_address,
                    scraping,
                ),
                scraping=scraping,
                _cleanup=own,
            )
            cluster._start_all()
            on_failure.pop_all()
        return cluster

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process, and remove the temporary folder if there is one."""
        self._cleanup.close()

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig file of the administrator, user `admin`."""
        return self.control_plane.admin_kubeconfig

    @property
    def api_url(self) -> str:
        """Address of the API server."""
        return self.control_plane.url

    @property
    def prometheus_url(self) -> str:
        """Address of the first Prometheus."""
        return self.prometheus.url

    @property
    def node_url(self) -> str:
        """Address of the node's metrics and of the list of a Service's ready pods."""
        return f"http://{self.node_address}"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log; `audit_events` reads it."""
        return self.control_plane.audit_log

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> str:
        """Run kubectl and return its standard output.

        Args:
            arguments: what follows `kubectl`.
            input: standard input.
            check: False also returns the output of a failed call.
            kubeconfig: on whose behalf; by default the administrator's.

        Raises:
            KubectlError: it failed, and `check` is true.
        """
        result = subprocess.run(
            [self.binaries.kubectl, *arguments],
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=_KUBECTL_TIMEOUT_SECONDS,
            env={
                "KUBECONFIG": str(kubeconfig or self.kubeconfig),
                "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
                "HOME": str(self.directory),
            },
        )
        if check and result.returncode != 0:
            raise KubectlError(arguments, result.returncode, result.stderr)
        return result.stdout

    def apply(
        self, manifests: str | Path | Sequence[Mapping[str, Any]], *, namespace: str | None = None
    ) -> str:
        """Run `kubectl apply`.

        Args:
            manifests: YAML text, a file or folder of it, or objects.
            namespace: for objects that name none.

        Raises:
            KubectlError: it was refused.
        """
        where = [] if namespace is None else ["--namespace", namespace]
        if isinstance(manifests, Path):
            return self.kubectl("apply", *where, "--filename", str(manifests))
        if not isinstance(manifests, str):
            manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        return self.kubectl("apply", *where, "--filename", "-", input=manifests)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Run `kubectl get ... -o json` and return the object or the list.

        Raises:
            KubectlError: it was refused, or the object is missing.
        """
        content: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output", "json"))
        return content

    def read(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return what `kubectl get --raw` would, without a tenth of a second of CPU for it.

        For what is looked at again and again: kubectl would keep a core busy that services need.

        Args:
            path: such as /api/v1/namespaces/default/pods.
            parameters: such as labelSelector.

        Raises:
            KubectlError: it was refused, or is missing.
            urllib3.exceptions.HTTPError: the API server cannot be reached.
        """
        answer = self._requests.request("GET", f"{self.api_url}{path}", fields=parameters)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise KubectlError(("get", "--raw", path), answer.status, answer.data.decode())
        content: dict[str, Any] = json.loads(answer.data)
        return content

    @cached_property
    def _requests(self) -> urllib3.PoolManager:
        """The administrator's connections."""
        (admin,) = json.loads(self.kubeconfig.read_text())["users"]
        return urllib3.PoolManager(
            headers={"Authorization": f"Bearer {admin['user']['token']}"},
            ca_certs=str(self.control_plane.authority.certificate),
            timeout=_KUBECTL_TIMEOUT_SECONDS,
        )

    def revision(self, namespace: str, deployment: str) -> int:
        """Return how many pod templates a Deployment has had, each of them a rollout.

        Raises:
            KubectlError: there is none.
        """
        found = self.get(f"deployment/{deployment}", "--namespace", namespace)
        return int(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"])

    def create_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Create a namespace and wait until pods can be made in it.

        Raises:
            KubectlError: it exists, was refused, or its ServiceAccount did not come.
        """
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": dict(labels or {})},
        }
        self.kubectl("create", "--filename", "-", input=json.dumps(namespace))
        self.kubectl(
            *("wait", "serviceaccount/default", "--namespace", name),
            # Controllers back off for half a minute after the API server was away.
            *("--for=create", f"--timeout={PATIENCE_SECONDS:g}s"),
        )

    def wait_for_rollout(self, namespace: str, workload: str) -> None:
        """Wait until every replica of `workload` (such as `deployment/web`) is new and ready.

        Raises:
            TimeoutError: not in time; the text shows the pods.
        """
        try:
            self.kubectl(
                *("rollout", "status", workload, "--namespace", namespace),
                f"--timeout={PATIENCE_SECONDS:g}s",
            )
        except KubectlError as error:
            pods = self.kubectl("get", "pods", "--namespace", namespace, check=False)
            raise TimeoutError(
                f"not within {PATIENCE_SECONDS:g} s: rollout of {workload} in {namespace}\n"
                f"{error.stderr}{pods}"
            ) from error

    @staticmethod
    def wait_for(
        predicate: Callable[[], bool],
        what: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        every_seconds: float = 1.0,
    ) -> float:
        """Look now and then until `predicate` is true; see `processes.wait_for`.

        Raises:
            TimeoutError: it did not come true in time; the text names `what`.
        """
        return wait_for(
            predicate, what, patience_seconds=patience_seconds, interval_seconds=every_seconds
        )

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig file of a user, known by a client certificate.

        It has the rights that RBAC grants to the user and the groups, and no others.
        """
        pem = self.control_plane.authority.client(user, groups)
        return self._write_kubeconfig(f"user-{user}", client_certificate_user(pem))

    def service_account_kubeconfig(
        self, namespace: str, name: str, *, duration_seconds: int = 24 * 3600
    ) -> Path:
        """Return a kubeconfig file of an existing ServiceAccount.

        Raises:
            KubectlError: there is no such ServiceAccount.
        """
        token = self.kubectl(
            *("create", "token", name, "--namespace", namespace),
            f"--duration={duration_seconds}s",
        ).strip()
        return self._write_kubeconfig(
            f"serviceaccount-{namespace}-{name}", {"token": token}, namespace
        )

    def audit_events(
        self,
        user: str | None = None,
        verbs: Collection[str] | None = None,
        *,
        resource: str | None = None,
        since: datetime | None = None,
    ) -> list[AuditEvent]:
        """Return what was asked of the API server; see `audit.read_audit_log`."""
        return read_audit_log(
            self.audit_log, user=user, verbs=verbs, resource=resource, since=since
        )

    def endpoints(self, namespace: str, service: str) -> list[str]:
        """Return `ip:port` of the ready pods behind a Service."""
        url = self.endpoints_url(namespace, service)
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own address
            content: list[str] = json.load(answer)
        return content

    def endpoints_url(self, namespace: str, service: str) -> str:
        """Return where the list of a Service's ready pods can be had, for the load generator."""
        return f"{self.node_url}/endpoints/{namespace}/{service}"

    def start_prometheus(
        self,
        name: str,
        *,
        scrape_interval_seconds: float | None = None,
        rules: Mapping[str, Any] | None = None,
        extra_scrapes: Sequence[Mapping[str, Any]] = (),
    ) -> Prometheus:
        """Start one more Prometheus, which a test may stop and start as it likes.

        Args:
            name: a name of its own.
            scrape_interval_seconds: by default that of the first.
            rules: content of a rule file (`{"groups": [...]}`), alerts for instance.
            extra_scrapes: further entries of `scrape_configs`.

        Raises:
            ProcessError: it did not start.
        """
        prometheus = _prepare_prometheus(
            self.binaries,
            self.control_plane,
            self.directory / "prometheus" / name,
            self.node_address,
            Scraping(
                scrape_interval_seconds or self.scraping.interval_seconds, rules, extra_scrapes
            ),
        )
        self.start_process(prometheus.process)
        return prometheus

    def start_process(self, process: Process) -> None:
        """Start a process that uses the cluster, gc-tuner for instance, and ends with it.

        Raises:
            ProcessError: it did not start.
        """
        self._cleanup.callback(process.stop)
        process.start()

    def stay_awake(self) -> None:
        """Do not let the host of a virtual machine take what seems idle; see `awake.py`.

        Raises:
            ProcessError: it did not start.
        """
        # Isolated: beside the program there are modules with names of the standard library's.
        process = Process(
            name="awake",
            command=[sys.executable, "-I", _AWAKE],
            log=self.directory / "awake.log",
            ready=lambda: os.sched_getscheduler(process.pid or 0) == os.SCHED_IDLE,
        )
        self.start_process(process)

    def _start_all(self) -> None:
        for process in self.control_plane.processes:
            self._cleanup.callback(process.kill)
            process.start()
        self._cleanup.callback(self.prometheus.process.kill)
        self.prometheus.process.start(wait=False)
        self.apply(_STAND_IN_RIGHTS)
        if any(_CUSTOM_RESOURCES.glob("*.yaml")):
            self.apply(_CUSTOM_RESOURCES)
            self.wait_for(self._resources_established, "custom resources established")
        self._cleanup.callback(self.node.stop)
        self.node.start(wait=False)
        self.prometheus.process.wait_ready()
        self.node.wait_ready()
        self.wait_for(self._accepts_pods, f"node {NODE_NAME} ready, default account made")

    def _resources_established(self) -> bool:
        # Not `kubectl wait`: it fails on a definition that has no status yet.
        definitions = self.get("customresourcedefinitions")["items"]
        return all(
            any(
                (condition["type"], condition["status"]) == ("Established", "True")
                for condition in each.get("status", {}).get("conditions") or ()
            )
            for each in definitions
        )

    def _accepts_pods(self) -> bool:
        try:
            self.kubectl("get", "serviceaccount", "default")
            node = self.get("node", NODE_NAME)
        except KubectlError:
            return False
        conditions = node.get("status", {}).get("conditions", [])
        tainted = bool(node["spec"].get("taints"))
        return not tainted and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in conditions
        )

    def _write_kubeconfig(
        self, name: str, user: Mapping[str, str], namespace: str = "default"
    ) -> Path:
        file_name = "".join(c if c.isalnum() or c in "-." else "_" for c in name)
        return write_kubeconfig(
            self.directory / "kubeconfigs" / f"{file_name}.json",
            server=self.api_url,
            authority=self.control_plane.authority.certificate,
            user=user,
            namespace=namespace,
        )


def _prepare_prometheus(
    binaries: Binaries,
    control_plane: ControlPlane,
    directory: Path,
    node_address: str,
    scraping: Scraping,
) -> Prometheus:
    pem = control_plane.authority.client("prometheus", ())
    kubeconfig = write_kubeconfig(
        directory / "kubeconfig.json",
        server=control_plane.url,
        authority=control_plane.authority.certificate,
        user=client_certificate_user(pem),
    )
    return prepare_prometheus(
        binaries.prometheus,
        directory,
        kubeconfig=kubeconfig,
        node_address=node_address,
        scraping=scraping,
    )


def _prepare_node(
    control_plane: ControlPlane,
    directory: Path,
    images: Sequence[Image],
    address: str,
    mount_refresh_seconds: float,
) -> Process:
    images_file = directory / "images.json"
    images_file.write_text(
        json.dumps({image.name: image.entry() for image in images}, indent=1), encoding="utf-8"
    )
    # By name and group a kubelet: the Node authorizer limits what it writes to its own pods.
    pem = control_plane.authority.client(f"system:node:{NODE_NAME}", ("system:nodes",))
    kubeconfig = write_kubeconfig(
        directory / "kubeconfigs" / "node.json",
        server=control_plane.url,
        authority=control_plane.authority.certificate,
        user=client_certificate_user(pem),
    )

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://{address}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return Process(
        name="node",
        command=[
            *(sys.executable, "-m", "tests.e2e.testbed.node"),
            f"--kubeconfig={kubeconfig}",
            f"--name={NODE_NAME}",
            f"--images={images_file}",
            f"--state-dir={directory / 'node'}",
            f"--listen={address}",
            f"--mount-refresh={mount_refresh_seconds:g}s",
        ],
        log=directory / "logs" / "node.log",
        directory=REPOSITORY,
        ready=ready,
        stop_timeout_seconds=20.0,
        # It has processes of its own to end.
        death_signal=signal.SIGTERM,
    )
