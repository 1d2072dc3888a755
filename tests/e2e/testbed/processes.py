"""Operating system processes of the test bed: started, awaited, ended without leftovers."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

_TETHER = Path(__file__).with_name("tether.py")
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 15
_NAP_SECONDS = 0.02
_STANDSTILL_SECONDS = 0.5
"""Of a nap: longer than neighbours or other threads make it."""

PATIENCE_SECONDS = 300.0
"""For what must come, however slow the machine is: how soon is no promise."""

# Below Linux' ephemeral range (32768 and up): while a server is stopped, no outgoing connection can
# be given its port by chance.
_LOWEST_PORT = 12_000
_HIGHEST_PORT = 31_999


class ProcessError(RuntimeError):
    """A process of the test bed did not start or ended by itself; the text holds its last lines."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing on `host` listens on now.

    Raises:
        OSError: no free port was found.
    """
    for _ in range(200):
        port = random.randint(_LOWEST_PORT, _HIGHEST_PORT)  # noqa: S311 - no secret
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free TCP port on {host} between {_LOWEST_PORT} and {_HIGHEST_PORT}")


class Stopwatch:
    """Tells the time for which this machine has worked; a context manager that ends it.

    A machine whose host takes its processors away stands still for seconds, and with it all that is
    measured on it. Naps show that: one that lasts half a second or more is counted as it should
    have been.

    Attributes:
        seconds: for which it has worked so far.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        nap: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        """Stand at zero.

        Args:
            clock: any, seconds.
            nap: waits that long, or until it is over; returns whether it is.
        """
        self.seconds = 0.0
        self._clock, self._nap = clock, nap
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        before, over = self._clock(), False
        while not over:
            over = self._nap(self._over, _NAP_SECONDS)
            now = self._clock()
            lasted = now - before
            self.seconds += lasted if lasted < _STANDSTILL_SECONDS else _NAP_SECONDS
            before = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()


def wait_for(
    predicate: Callable[[], bool],
    what: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    interval_seconds: float = 0.1,
) -> float:
    """Poll until `predicate` is true.

    Args:
        predicate: what is awaited; an exception that it raises ends the wait.
        what: the awaited fact, in words, for the error.
        patience_seconds: longest wait, as a `Stopwatch` tells it.
        interval_seconds: time between two looks.

    Returns:
        How long it took, seconds of the same watch.

    Raises:
        TimeoutError: it did not come true in time; the text names `what`.
    """
    with Stopwatch() as watch:
        while not predicate():
            if watch.seconds >= patience_seconds:
                raise TimeoutError(f"not within {patience_seconds:g} s: {what}")
            time.sleep(interval_seconds)
        return watch.seconds


@dataclass(kw_only=True)
class Process:
    """One operating system process in a process group of its own; can be started again.

    It is ended with its whole group by `stop`, and by the kernel when the thread that started it
    ends (see `tether.py`).

    Attributes:
        name: how errors call it.
        command: program and arguments.
        log: file that receives its output, appended to over restarts.
        environment: added to this process's own environment.
        directory: working directory.
        ready: tells whether it serves; `start` waits for it.
        stop_timeout_seconds: time between SIGTERM and SIGKILL in `stop`.
        death_signal: what it gets when this process ends without stopping it.
    """

    name: str
    command: Sequence[str | Path]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    ready: Callable[[], bool] | None = None
    stop_timeout_seconds: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """The process id, or None while it does not run."""
        return self._popen.pid if self._popen is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start it and wait until it is ready. Does nothing when it already runs.

        Args:
            wait: False returns at once; `wait_ready` then does the waiting.

        Raises:
            ProcessError: it ended, or was not ready in time. It does not run then.
        """
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        tether = [sys.executable, "-I", "-S", str(_TETHER)]
        parent = [str(int(self.death_signal)), str(os.getpid())]
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                [*tether, *parent, *map(str, self.command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                cwd=self.directory,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until `ready` holds.

        Raises:
            ProcessError: it ended, or was not ready in time. It does not run then.
        """
        if self.ready is None:
            return
        try:
            wait_for(
                self._serves,
                f"{self.name} ready",
                interval_seconds=_POLL_SECONDS,
            )
        except TimeoutError as error:
            self.kill()
            raise ProcessError(f"{error}\n{self.tail()}") from error
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it: SIGTERM to its group, SIGKILL when it takes too long."""
        self._end(signal.SIGTERM, self.stop_timeout_seconds)

    def kill(self) -> None:
        """End it and its group at once, as a crash would."""
        self._end(signal.SIGKILL, self.stop_timeout_seconds)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open and nothing answers."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal_group(signal.SIGCONT)

    def tail(self) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return ""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"last lines of {self.log}:", *lines[-_LOG_TAIL_LINES:]])

    def _serves(self) -> bool:
        if self._popen is None or self._popen.poll() is not None:
            code = None if self._popen is None else self._popen.returncode
            raise ProcessError(f"{self.name} ended early with code {code}\n{self.tail()}")
        return self.ready is None or self.ready()

    def _end(self, with_signal: signal.Signals, timeout_seconds: float) -> None:
        if self._popen is None:
            return
        self._signal_group(with_signal)
        self._signal_group(signal.SIGCONT)
        try:
            self._popen.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._signal_group(signal.SIGKILL)
            self._popen.wait()
        # What its own children left in the group goes too.
        self._signal_group(signal.SIGKILL)
        self._popen = None

    def _signal_group(self, number: signal.Signals) -> None:
        if self._popen is None:
            return
        try:
            os.killpg(self._popen.pid, number)
        except (ProcessLookupError, PermissionError):
            return


@contextmanager
def terminated_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt inside the block, so that cleaning up runs.

    Only the main thread may use it.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
