"""Run a command that does not outlive the process that started it.

    python tether.py SIGNAL_NUMBER PARENT_PID COMMAND [ARGUMENT...]

Becomes COMMAND (same process id), after asking Linux to send SIGNAL_NUMBER to it as soon as the
parent is gone, however the parent ended. A program of its own, rather than a function run between
fork and exec: the latter can deadlock when the parent has threads.

The request belongs to the *thread* that started the command: when that thread ends, so does the
command. Start processes from a thread that lives as long as they should.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Tie this process to its parent, then become the command."""
    signal_number, parent, *command = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):
        sys.exit("the parent ended before the command began")
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
