"""Being told to stop: SIGTERM from Kubernetes, SIGINT from a keyboard."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_TOLD = 0
EXIT_IMPATIENT = 130
"""Exit code after a second signal: as a shell has it for an interrupted program."""


@contextlib.contextmanager
def stop_event(patience_seconds: float | None = None) -> Iterator[threading.Event]:
    """An event that is set by the first stop signal; a second one ends the process at once.

    So does time: a server that does not answer must not keep the process from ending. Nothing is
    lost by it that a crash would keep.

    Args:
        patience_seconds: How long after the first signal the process may take to end by itself;
            None: as long as it takes.

    The signals are blocked for this thread and those that it starts, so that a write in hand is
    never interrupted, and taken by a thread that does nothing else: a handler would run in the
    middle of whatever the main thread does, also while it holds the event's own lock.
    """
    stop, done = threading.Event(), threading.Event()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    listener = threading.Thread(
        target=_listen, args=(stop, done, patience_seconds), name="signals", daemon=True
    )
    listener.start()
    try:
        yield stop
    finally:
        done.set()
        if listener.ident is not None:
            signal.pthread_kill(listener.ident, signal.SIGTERM)
        listener.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(stop: threading.Event, done: threading.Event, patience_seconds: float | None) -> None:
    signal.sigwait(STOP_SIGNALS)
    if done.is_set():
        return
    stop.set()
    again: object
    if patience_seconds is None:
        again = signal.sigwait(STOP_SIGNALS)
    else:
        again = signal.sigtimedwait(STOP_SIGNALS, patience_seconds)
    if not done.is_set():
        os._exit(EXIT_TOLD if again is None else EXIT_IMPATIENT)
