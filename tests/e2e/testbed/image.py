"""gc-tuner's own image without a container engine: the Dockerfile, carried out on this machine.

Its steps stand in the Dockerfile alone. Each RUN makes a layer, kept in the cache under a hash of
all that led to it, and runs in mounts of its own: whatever it writes beside the folders that the
last stage takes over fails, as the machine is read-only to it.

The base image is stood in for by this machine's Python: it is shown at /usr/local, where the image
has it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.testbed.cache import BuildError, cached, default_cache, say
from tests.e2e.testbed.dockerfile import Config, DockerfileError, Stage, Step, read_dockerfile
from tests.e2e.testbed.node.process import LaunchPlan, Mount, User, spawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAME = "gc-tuner-image"
_BASE = Path("/usr/local")
_ERROR_LINES = 30
_USUAL_MASK = 0o022


@dataclass(frozen=True)
class BuiltImage:
    """An image as folders that are shown to a container.

    Attributes:
        config: what it says of its containers.
        layers: its own folders and where they belong.
        base: what stands in for the base image.
    """

    config: Config
    layers: tuple[Mount, ...]
    base: tuple[Mount, ...]

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """All that a container sees."""
        return (*self.base, *self.layers)

    def files(self) -> Iterator[Path]:
        """Yield everything above the base image, folders and links included."""
        for layer in self.layers:
            yield layer.source
            yield from layer.source.rglob("*")

    def size_bytes(self) -> int:
        """Return how much it is above the base image, unpacked."""
        return sum(path.lstat().st_size for path in self.files() if not path.is_dir())

    def plan(
        self,
        command: Sequence[str],
        *,
        user: User | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> LaunchPlan:
        """Return how to run a command in it, with a root file system that cannot be written.

        Args:
            command: program and arguments.
            user: who runs it; by default the image's own.
            environment: variables over those of the image.
        """
        return LaunchPlan(
            argv=command,
            env={**self.config.environment, **(environment or {})},
            working_directory=self.config.working_directory,
            mounts=self.mounts,
            read_only_root=True,
            user=user or User.parse(self.config.user),
        )


def build_image(context: Path, cache: Path | None = None) -> BuiltImage:
    """Return the image of a Dockerfile, building first what the cache lacks.

    Args:
        context: folder with the Dockerfile and what it copies.
        cache: where layers are kept; by default the test bed's.

    Raises:
        BuildError: a step failed.
        DockerfileError: the Dockerfile has something that is not known here.
    """
    stages = read_dockerfile((context / "Dockerfile").read_text(encoding="utf-8"))
    match stages:
        case (build, final) if build.name and build.base == final.base:
            pass
        case _:
            raise DockerfileError("want a stage that builds and one that takes over from it")
    config = Config(_base_environment())
    taken = {}
    for step in final.steps:
        if config.take(step):
            continue
        if step.name != "COPY" or step.flags.get("from") != build.name:
            raise DockerfileError(f"{step}: the last stage only takes over what the first made")
        source, target = step.pair()
        taken[target] = source
    builder = _Builder(cache or default_cache(), context, tuple(taken.values()))
    root = builder.run(build)
    layers = tuple(Mount(_below(root, source), target, True) for target, source in taken.items())
    return BuiltImage(config, layers, _base_mounts())


def run_in_image(plan: LaunchPlan) -> tuple[int, str]:
    """Run a container to its end, and return its exit code and all that it wrote."""
    with tempfile.TemporaryDirectory(prefix="gc-tuner-container-") as folder:
        directory = Path(folder)
        log = directory / "log"
        process = spawn(plan, directory, log, "container", joins=None)
        try:
            code = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return code, log.read_text(encoding="utf-8", errors="replace")


class _Builder:
    """Carries out the stage that builds.

    Args:
        cache: where layers are kept.
        context: folder with what is copied.
        kept: folders that a layer consists of, besides the working directory.
    """

    def __init__(self, cache: Path, context: Path, kept: tuple[str, ...]) -> None:
        self._cache = cache
        self._context = context
        self._kept = kept
        self._ignored = _ignored(context)

    def run(self, stage: Stage) -> Path:
        """Return the folder that stands for `/` after the stage's last RUN.

        Raises:
            BuildError: a step failed.
            DockerfileError: a step is not known here.
        """
        config = Config(_base_environment())
        digest = hashlib.sha256(f"{stage.base}\0{sys.version}\0{sys.base_prefix}".encode())
        layer: Path | None = None
        copies: list[tuple[Path, str]] = []
        for step in stage.steps:
            digest.update(f"{step}\0".encode())
            if config.take(step):
                continue
            if step.name == "COPY" and not step.flags:
                name, target = step.pair()
                source = self._context / name
                self._digest(source, digest)
                copies.append((source, _target(config.working_directory, target, source)))
            elif step.name == "RUN":
                layer = self._layer(step, config, digest.hexdigest()[:16], layer, tuple(copies))
                copies.clear()
            else:
                raise DockerfileError(f"{step}: not known here")
        if layer is None or copies:
            raise DockerfileError("want a RUN at the end of the stage that builds")
        return layer

    def _layer(
        self,
        step: Step,
        config: Config,
        key: str,
        below: Path | None,
        copies: Sequence[tuple[Path, str]],
    ) -> Path:
        def make(root: Path) -> None:
            say(f"{step.text[:60]} ...")
            if below is not None:
                # What an earlier layer has is shared with it: a step replaces files, and adds some.
                shutil.copytree(
                    below, root, symlinks=True, copy_function=os.link, dirs_exist_ok=True
                )
            for source, target in copies:
                self._copy(source, _below(root, target))
            self._carry_out(step, config, root)

        return cached(self._cache, _NAME, key, make)

    def _carry_out(self, step: Step, config: Config, root: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="gc-tuner-build-") as scratch:
            mounts = [Mount(Path(scratch), "/tmp", False)]  # noqa: S108 - of the step's own
            for name in sorted({*self._kept, config.working_directory} - {"/"}):
                folder = _below(root, name)
                folder.mkdir(parents=True, exist_ok=True)
                mounts.append(Mount(folder, name, False))
            ours = ("PYTHON", "VIRTUAL_ENV")  # not those of whoever builds
            outer = {name: each for name, each in os.environ.items() if not name.startswith(ours)}
            plan = LaunchPlan(
                argv=("/bin/sh", "-c", f"umask {_USUAL_MASK:03o}\n{step.text}"),
                env={**outer, **config.environment},
                working_directory=config.working_directory,
                mounts=(*_base_mounts(), *mounts),
                read_only_root=True,
            )
            code, output = run_in_image(plan)
        if code != 0:
            lines = output.splitlines()[-_ERROR_LINES:]
            raise BuildError("\n".join([f"{step}: exit code {code}", *lines]))

    def _copy(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignore = shutil.ignore_patterns(*self._ignored)
            shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)
        else:
            target.unlink(missing_ok=True)
            shutil.copy(source, target)

    def _digest(self, source: Path, digest: hashlib._Hash) -> None:
        """Take in names, modes and contents of all that is copied."""
        paths = sorted(source.rglob("*")) if source.is_dir() else [source]
        for path in paths:
            name = path.relative_to(self._context)
            if path.is_file() and not set(self._ignored) & set(name.parts):
                digest.update(f"{name}\0{path.stat().st_mode:o}\0".encode() + path.read_bytes())


def _base_environment() -> dict[str, str]:
    path = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
    # A Python that was built elsewhere looks for its library there, where not everybody may go.
    library = {"LD_LIBRARY_PATH": f"{_BASE}/lib"} if _base_mounts() else {}
    return {"PATH": path, **library}


def _base_mounts() -> tuple[Mount, ...]:
    prefix = Path(sys.base_prefix).resolve()
    in_place = prefix in {Path("/usr"), _BASE}
    return () if in_place else (Mount(prefix, str(_BASE), True),)


def _ignored(context: Path) -> tuple[str, ...]:
    lines = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return tuple(line.removeprefix("**/") for line in lines if line)


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _target(working_directory: str, target: str, source: Path) -> str:
    """Where a file or folder ends up: a folder's content takes the target's own place."""
    into = target.endswith(("/", "/.")) or target == "."
    place = os.path.normpath(Path(working_directory) / target)
    return str(Path(place) / source.name) if into and source.is_file() else place
