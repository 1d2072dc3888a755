"""One run of a container: a local process with its children."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.testbed.node.procfs import CpuMeter, Memory, process_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LAUNCHER = Path(__file__).with_name("launch.py")
_LAUNCH_LOOK_SECONDS = 0.01
_SIGNAL_EXIT_BASE = 128


@dataclass(frozen=True)
class Mount:
    """A file or directory of the machine, shown to the container somewhere else."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class User:
    """Who a process is; without effect where the node itself is not root."""

    uid: int
    gid: int = 0

    @classmethod
    def parse(cls, text: str) -> User | None:
        """Return the user of a `uid` or `uid:gid`; None for nothing."""
        uid, _, gid = text.partition(":")
        return cls(int(uid), int(gid or 0)) if text else None


@dataclass(frozen=True)
class LaunchPlan:
    """All that is needed to start a container's process.

    `read_only_root` lets it write to its writable mounts, /proc and /dev alone. `user` is the
    node's own where it is None.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    working_directory: str
    mounts: Sequence[Mount]
    read_only_root: bool = False
    user: User | None = None


@dataclass
class Process:
    """A running container process; `exited` carries its exit code (128 + signal if killed).

    `members` are the process ids of the whole tree as last looked up.
    """

    container_id: str
    pid: int
    started_at: datetime
    exited: asyncio.Future[int]
    members: set[int]
    cpu: CpuMeter = field(default_factory=CpuMeter)
    out_of_memory: bool = False

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far by the tree."""
        return self.cpu.read(self.members)

    def memory(self) -> Memory:
        """Return what the tree has in memory."""
        total = Memory()
        for pid in self.members:
            used = process_memory(pid)
            if used is not None:
                total += used
        return total

    def terminate(self) -> None:
        """Ask the container's first process to end."""
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole tree at once."""
        if not self.exited.done():
            _kill_tree(self.pid, self.members)


def start_process(plan: LaunchPlan, directory: Path, log: Path) -> Process:
    """Start a container; must be called from the thread that runs the event loop.

    `directory` is the container's own and holds its launch file; output is appended to `log`.
    """
    container_id = secrets.token_hex(32)
    popen = spawn(plan, directory, log, container_id, joins=None)
    process = Process(
        container_id=container_id,
        pid=popen.pid,
        started_at=datetime.now(UTC),
        exited=_watch(popen, lambda: process.members),
        members={popen.pid},
    )
    return process


async def run_inside(
    process: Process, plan: LaunchPlan, argv: Sequence[str], directory: Path, log: Path
) -> int:
    """Run one more command with a container's mounts and environment; return its exit code."""
    await _launched(process)
    inner = LaunchPlan(argv, plan.env, plan.working_directory, (), user=plan.user)
    popen = spawn(inner, directory, log, secrets.token_hex(8), joins=process.pid)
    exited = _watch(popen, set)
    try:
        return await asyncio.shield(exited)
    finally:
        if not exited.done():
            _kill_tree(popen.pid, set())


async def _launched(process: Process) -> None:
    """Wait until the launcher has become the container's command, in its own mounts, or ended."""
    # No event tells that a process has executed another program.
    while _launching(process.pid) and not process.exited.done():  # noqa: ASYNC110
        await asyncio.sleep(_LAUNCH_LOOK_SECONDS)


def _launching(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False  # it is gone, and with it the reason to wait
    # For a moment after it was executed, the kernel shows no command line at all.
    return not words or str(_LAUNCHER).encode() in words


def spawn(
    plan: LaunchPlan, directory: Path, log: Path, name: str, joins: int | None
) -> subprocess.Popen[bytes]:
    """Start the launcher, which becomes the plan's command, in a process group of its own.

    It ends with the thread that called.

    Args:
        plan: what to start.
        directory: a folder for what the start itself needs.
        log: file that its output is appended to.
        name: of its launch file.
        joins: process whose mounts it shares instead of having its own.
    """
    scratch = directory / "root"
    scratch.mkdir(parents=True, exist_ok=True)
    spec = {
        "parent": os.getpid(),
        "argv": list(plan.argv),
        "env": dict(plan.env),
        "cwd": plan.working_directory,
        "mounts": [
            {"source": str(mount.source), "target": mount.target, "read_only": mount.read_only}
            for mount in plan.mounts
        ],
        "scratch": str(scratch),
        "join": joins,
        "read_only_root": plan.read_only_root,
        "user": None if plan.user is None else [plan.user.uid, plan.user.gid],
    }
    launch_file = directory / f"launch-{name[:8]}.json"
    descriptor = os.open(launch_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(spec, file)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(launch_file)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _watch(popen: subprocess.Popen[bytes], members: Callable[[], set[int]]) -> asyncio.Future[int]:
    """Return a future of the exit code; the rest of the tree ends with its first process."""
    loop = asyncio.get_running_loop()
    exited: asyncio.Future[int] = loop.create_future()
    descriptor = os.pidfd_open(popen.pid)

    def reap() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        # Not reaped yet, so its id is still its own.
        _kill_tree(popen.pid, members() - {popen.pid})
        code = popen.wait()
        exited.set_result(code if code >= 0 else _SIGNAL_EXIT_BASE - code)

    loop.add_reader(descriptor, reap)
    return exited


def _kill_tree(leader: int, others: set[int]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for pid in others:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
