"""What processes use, read from /proc."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Memory:
    """Memory of one or more processes.

    `anonymous_bytes` is what a kernel cannot drop (heap, stacks); `resident_bytes` also counts
    the pages of files that are mapped, the program itself among them.
    """

    resident_bytes: int = 0
    anonymous_bytes: int = 0

    def __add__(self, other: Memory) -> Memory:
        """Add up two processes."""
        return Memory(
            self.resident_bytes + other.resident_bytes,
            self.anonymous_bytes + other.anonymous_bytes,
        )


def process_memory(pid: int) -> Memory | None:
    """Return what a process has in memory, None once it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - read 100 times a second
            fields = file.read().split()
    except OSError:
        return None
    resident, shared = int(fields[1]), int(fields[2])
    return Memory(resident * _PAGE_BYTES, max(0, resident - shared) * _PAGE_BYTES)


def process_cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a process with all its threads, None once it is gone.

    Reads the process's own CPU clock, which is exact, where /proc counts in 10 ms. The clock's
    id is made from the process id as `clock_getcpuclockid(3)` does.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


@dataclass(frozen=True)
class Ancestry:
    """Who belongs to whom among the machine's processes."""

    parents: dict[int, int]
    sessions: dict[int, int]

    def members(self, leader: int) -> set[int]:
        """Return the processes of a container whose first process is `leader`.

        Each container is a session of its own; a child that made another session is found by
        its parents.
        """
        found = {pid for pid, session in self.sessions.items() if session == leader}
        found.add(leader)
        grew = True
        while grew:
            more = {pid for pid, parent in self.parents.items() if parent in found} - found
            found |= more
            grew = bool(more)
        return found


def read_ancestry() -> Ancestry:
    """Read parent and session of every process of the machine."""
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "stat").read_bytes()
        except OSError:
            continue
        # The command's name may hold spaces and brackets; the last bracket ends it.
        fields = line[line.rindex(b")") + 2 :].split()
        parents[int(entry.name)] = int(fields[1])
        sessions[int(entry.name)] = int(fields[3])
    return Ancestry(parents, sessions)


@dataclass
class CpuMeter:
    """CPU time of a changing set of processes, as a counter that never falls."""

    _gone_seconds: float = 0.0
    _last: dict[int, float] = field(default_factory=dict)

    def read(self, pids: set[int]) -> float:
        """Return CPU seconds used so far by these processes and all earlier ones."""
        current = {
            pid: seconds for pid in pids if (seconds := process_cpu_seconds(pid)) is not None
        }
        for pid, seconds in self._last.items():
            if pid not in current:
                self._gone_seconds += seconds
        self._last = current
        return self._gone_seconds + sum(current.values())
