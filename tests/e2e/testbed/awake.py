"""Keep the cores of a virtual machine awake while its host takes them from what seems idle.

    python awake.py

The short turns of many processes leave a core idle thousands of times a second, and a shared host
may then let each of them wait, though it has cores to spare: of two cores .1 were had, and 1.9
within fifteen seconds of something running all the time. So where the kernel counts time as
stolen, something does, for a minute, at a priority at which it takes nothing from anything else
here. On a machine of one's own nothing is stolen, and nothing is done.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

LOOK_SECONDS = 3.0
"""For how long stolen time is counted, while nothing is done against it."""
STOLEN_SHARE = 0.1
"""Of all cores' time, from which on the host is in the way."""
AWAKE_SECONDS = 60.0
"""From one look to the next."""
_STOLEN = 8
"""Place of stolen time in the first line of /proc/stat; proc_stat(5)."""


def stolen_seconds(stat: str) -> float:
    """Return the time that the host has taken from all cores since the start, summed.

    Args:
        stat: content of /proc/stat.
    """
    return float(stat.split(maxsplit=_STOLEN + 1)[_STOLEN]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Look, and stay awake where that helps, to the end."""
    stat = Path("/proc/stat")
    cores = len(os.sched_getaffinity(0))
    # Where each session is scheduled as one, its own priority counts against the others'.
    autogroup = Path("/proc/self/autogroup")
    if autogroup.exists():
        autogroup.write_text("19")
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        before = stolen_seconds(stat.read_text())
        time.sleep(LOOK_SECONDS)
        stolen = stolen_seconds(stat.read_text()) - before
        if stolen > STOLEN_SHARE * cores * LOOK_SECONDS:
            _stay_awake(cores)


def _stay_awake(cores: int) -> None:
    ends, parent = time.monotonic() + AWAKE_SECONDS, os.getpid()
    others = range(cores - 1)
    is_child = any(os.fork() == 0 for _ in others)
    while time.monotonic() < ends and (not is_child or os.getppid() == parent):
        pass
    if is_child:
        os._exit(0)
    for _ in others:
        os.wait()


if __name__ == "__main__":
    main()
