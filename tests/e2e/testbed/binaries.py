"""The programs of the test bed, built from source once into a cache outside the checkout.

Each Go module below is one folder of the cache, named after a hash of the module's files and its
recipe: an edit of the sample service rebuilds the sample service and nothing else. Go alone is
needed, and only when something has to be built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.testbed.cache import BuildError, cached, default_cache, say

_HERE = Path(__file__).parent
_PROGRESS_SECONDS = 10.0
_ERROR_LINES = 30

_KUBERNETES_VERSION = "1.36.3"
_KUBERNETES_MAJOR, _KUBERNETES_MINOR, _ = _KUBERNETES_VERSION.split(".")
_HELM_VERSION = "3.22.0"
_PROMETHEUS_VERSION = "3.15.0"  # what module version v0.315.0 is called in public


@dataclass(frozen=True)
class GoModule:
    """One Go module and the programs that are built from it.

    Attributes:
        name: folder name in the cache.
        directory: where its go.mod is.
        programs: file name of each program, and its package.
        version_variables: string variables that the linker sets.
        tags: build tags.
    """

    name: str
    directory: Path
    programs: tuple[tuple[str, str], ...]
    version_variables: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()

    def key(self) -> str:
        """Return a hash of everything that decides what the programs do.

        Raises:
            BuildError: the module's folder is missing.
        """
        if not (self.directory / "go.mod").is_file():
            raise BuildError(f"no go.mod in {self.directory}")
        digest = hashlib.sha256(repr((self.programs, self.version_variables, self.tags)).encode())
        for path in sorted(self.directory.rglob("*")):
            name = path.relative_to(self.directory)
            if path.name in {"go.mod", "go.sum"} or (
                path.suffix == ".go" and not path.name.endswith("_test.go")
            ):
                digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
        return digest.hexdigest()[:16]


_MODULES = _HERE / "modules"

CREDENTIALS = GoModule("credentials", _MODULES / "credentials", (("credentials", "."),))
SERVICES = GoModule(
    "services",
    _HERE.parent / "services",
    (("service", "./cmd/service"), ("loadgen", "./cmd/loadgen")),
)
ETCD = GoModule("etcd", _MODULES / "etcd", (("etcd", "go.etcd.io/etcd/server/v3"),))
KUBERNETES = GoModule(
    "kubernetes",
    _MODULES / "kubernetes",
    tuple(
        (program, f"k8s.io/kubernetes/cmd/{program}")
        for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    ),
    # Without these, clients see version 0.0 and refuse features, and are called that themselves.
    version_variables=tuple(
        (f"{package}.{variable}", text)
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for variable, text in (
            ("gitVersion", f"v{_KUBERNETES_VERSION}"),
            ("gitMajor", _KUBERNETES_MAJOR),
            ("gitMinor", _KUBERNETES_MINOR),
        )
    ),
)
HELM = GoModule(
    "helm",
    _MODULES / "helm",
    (("helm", "helm.sh/helm/v3/cmd/helm"),),
    version_variables=(
        ("helm.sh/helm/v3/internal/version.version", f"v{_HELM_VERSION}"),
        # What it takes the API server for where it renders without one.
        *(
            (f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}", text)
            for package in ("chartutil", "lint/rules")
            for part, text in (("Major", _KUBERNETES_MAJOR), ("Minor", _KUBERNETES_MINOR))
        ),
    ),
)
"""Renders the chart; for its tests only, so `build_all` leaves it out."""
KWOK = GoModule("kwok", _MODULES / "kwok", (("kwok", "sigs.k8s.io/kwok/cmd/kwok"),))
"""Kubelets of nodes that are not there; for benchmarks only, so `build_all` leaves it out."""
PROMETHEUS = GoModule(
    "prometheus",
    _MODULES / "prometheus",
    (("prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),),
    version_variables=(("github.com/prometheus/common/version.Version", _PROMETHEUS_VERSION),),
    # The clients of two dozen clouds, which nobody here asks, are half of the build.
    tags=("remove_all_sd", "enable_kubernetes_sd"),
)


@dataclass(frozen=True)
class Binaries:
    """Paths of the built programs."""

    credentials: Path
    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubectl: Path
    prometheus: Path
    service: Path
    loadgen: Path


def build_all(cache: Path | None = None) -> Binaries:
    """Return every program of the test bed, building first what the cache lacks.

    Progress goes to standard error. Two processes may call it at the same time: the second waits
    for the first.

    Raises:
        BuildError: Go is missing or a build failed.
    """
    cache = cache or default_cache()
    folders = {
        module.name: build(module, cache)
        for module in (CREDENTIALS, ETCD, KUBERNETES, PROMETHEUS, SERVICES)
    }
    kubernetes = folders["kubernetes"]
    return Binaries(
        credentials=folders["credentials"] / "credentials",
        etcd=folders["etcd"] / "etcd",
        kube_apiserver=kubernetes / "kube-apiserver",
        kube_controller_manager=kubernetes / "kube-controller-manager",
        kube_scheduler=kubernetes / "kube-scheduler",
        kubectl=kubernetes / "kubectl",
        prometheus=folders["prometheus"] / "prometheus",
        service=folders["services"] / "service",
        loadgen=folders["services"] / "loadgen",
    )


def build(module: GoModule, cache: Path) -> Path:
    """Return the folder that holds the module's programs, building them if it does not exist.

    Raises:
        BuildError: Go is missing or a build failed.
    """

    def make(folder: Path) -> None:
        go = shutil.which("go")
        if go is None:
            raise BuildError(
                f"Go is needed once to build {module.name} for the test bed, and no `go` is on "
                "PATH. Install Go 1.26 or newer: https://go.dev/doc/install"
            )
        for program, package in module.programs:
            _build_program(go, module, package, folder / program)

    return cached(cache, module.name, module.key(), make)


def _build_program(go: str, module: GoModule, package: str, output: Path) -> None:
    linker_flags = ["-s", "-w", *(f"-X {name}={text}" for name, text in module.version_variables)]
    command = [go, "build", "-buildvcs=false", "-ldflags", " ".join(linker_flags)]
    if module.tags:
        command += ["-tags", ",".join(module.tags)]
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    began = time.monotonic()
    say(f"building {output.name} ...")
    log = output.with_name(f"{output.name}.log")
    with log.open("wb") as output_file:
        compiler = subprocess.Popen(
            [*command, "-o", str(output), package],
            cwd=module.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while compiler.poll() is None:
                try:
                    compiler.wait(_PROGRESS_SECONDS)
                except subprocess.TimeoutExpired:
                    say(f"building {output.name} ... {time.monotonic() - began:.0f} s")
        finally:
            if compiler.poll() is None:
                os.killpg(compiler.pid, signal.SIGKILL)
                compiler.wait()
    if compiler.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()[-_ERROR_LINES:]
        raise BuildError(
            "\n".join([f"`go build` of {package} failed in {module.directory}:", *lines])
        )
    log.unlink()
    say(f"built {output.name} in {time.monotonic() - began:.0f} s")
