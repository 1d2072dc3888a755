"""What was measured, kept on disk: one file a measurement, in a folder of its machine and commit.

An interrupted run goes on where it was, and so does one on another machine of the same kind, from
what was published. Figures of two kinds of machine or of two versions of the code are never read
together.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from tests.e2e.testbed.cluster import REPOSITORY

Measured = TypeVar("Measured")

MEASURED = (
    "tuner",
    "tests/benchmark/controller",
    "tests/benchmark/quality",
    "tests/e2e/services",
    "tests/e2e/testbed",
    "charts/gc-tuner/crds",
    "requirements.txt",
    ":(exclude)tests/benchmark/controller/goals.py",
    ":(exclude)tests/benchmark/quality/goals.py",
    ":(exclude)tests/benchmark/quality/score.py",
)
"""What a figure depends on, for git. Documents, other tests, and what is made of the figures may
change meanwhile."""
_GIBIBYTE = 2**30


class MixedError(RuntimeError):
    """A file holds figures of another machine or commit; the text says which and what to do."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where figures come from.

    Attributes:
        commit: the last one that touched what is measured; with a digest of what is not committed.
        processor: model.
        processors: how many.
        memory_gib: of the machine, rounded.
        system: kernel.
        python: version.
        go: version.
    """

    commit: str
    processor: str
    processors: int
    memory_gib: int
    system: str
    python: str
    go: str

    @classmethod
    def here(cls) -> Self:
        """Return that of this machine and this checkout.

        Raises:
            RuntimeError: This is no git checkout, or there is no Go.
        """
        commit = _output("git", "log", "-1", "--format=%h", "--abbrev=12", "--", *MEASURED)
        new = _output("git", "ls-files", "--others", "--exclude-standard", "--", *MEASURED)
        changed = _output("git", "diff", "HEAD", "--", *MEASURED) + "".join(
            f"{name}\n{(REPOSITORY / name).read_text(errors='replace')}" for name in new.split()
        )
        if changed:
            commit += f"+{hashlib.sha256(changed.encode()).hexdigest()[:8]}"
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return cls(
            commit=commit,
            processor=_processor(),
            processors=os.cpu_count() or 0,
            memory_gib=round(pages / _GIBIBYTE),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            go=_output("go", "env", "GOVERSION"),
        )

    @property
    def folder(self) -> str:
        """A name of its own."""
        machine = hashlib.sha256(repr(self).encode()).hexdigest()[:8]
        return f"{self.commit}-{machine}"

    def __str__(self) -> str:
        """The machine and the commit in words."""
        return (
            f"{self.processors} x {self.processor}, {self.memory_gib} GiB, {self.system}, "
            f"{self.go}, Python {self.python}, commit {self.commit}"
        )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - git and go
            command, cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise RuntimeError(f"{command[0]} is needed to say what is measured: {error}") from error
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def default_folder(origin: Origin) -> Path:
    """Return where the figures of an origin are kept: under XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gc-tuner" / "benchmarks" / origin.folder


@dataclass(frozen=True)
class Store:
    """Measurements of one origin.

    Attributes:
        folder: theirs.
        published: the folder of those that were published, of whatever origin.
        origin: theirs.
    """

    folder: Path
    published: Path
    origin: Origin

    def read(self, name: str, kind: type[Measured]) -> Measured | None:
        """Return a measurement; None where it was not made yet.

        Raises:
            MixedError: It is of another origin.
        """
        path = _path(self.folder, name)
        kept = _kept(path)
        if kept is None:
            kept = _kept(_path(self.published, name))
            # Of an earlier version, as a rule: measured anew, and then replaced.
            kept = None if kept is None or kept.origin != self.origin else kept
        if kept is None:
            return None
        if kept.origin != self.origin:
            raise MixedError(
                f"{path} holds figures of another machine or commit, which cannot be compared "
                f"with those of this one.\n  there: {kept.origin}\n  here:  {self.origin}\n"
                "Remove the file to measure it anew."
            )
        return msgspec.convert(kept.measured, kind)

    def write(self, name: str, measured: object, origin: Origin) -> None:
        """Keep a measurement; all of it is there or nothing.

        Args:
            name: of the measurement.
            measured: its figures.
            origin: as it is after measuring.

        Raises:
            MixedError: What is measured was changed meanwhile.
        """
        if origin != self.origin:
            raise MixedError(
                f"{name} was measured while what is measured changed; it was not kept.\n"
                f"  before: {self.origin}\n  after:  {origin}\n"
                "Measure it again, and change nothing meanwhile."
            )
        _write(_path(self.folder, name), _Kept(self.origin, measured))

    def publish(self, name: str) -> None:
        """Put a measurement, if it was made, where the page's readers find it."""
        measured = self.read(name, dict)
        if measured is not None:
            _write(_path(self.published, name), _Kept(self.origin, measured))


class _Kept(msgspec.Struct, frozen=True):
    """What a file holds."""

    origin: Origin
    measured: Any


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _kept(path: Path) -> _Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.MsgspecError):  # never made, or by a version of other fields
        return None


def _write(path: Path, kept: _Kept) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(msgspec.json.encode(kept) + b"\n")
    unfinished.rename(path)
