"""A watch that stands still while the machine does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.testbed.processes import Stopwatch, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence


def told(naps: Sequence[float]) -> float:
    """What it tells after naps that lasted so long, seconds."""
    lasted, now, over = iter(naps), [0.0], threading.Event()

    def nap(_over: threading.Event, _seconds: float) -> bool:
        assert not over.is_set(), "no nap after the last one"
        length = next(lasted, None)
        now[0] += length or 0.0
        if length is None:
            over.set()
        return length is None

    with Stopwatch(clock=lambda: now[0], nap=nap) as watch:
        assert over.wait(60)
    return watch.seconds


def test_what_passes_is_told() -> None:
    assert told([0.02] * 50) == pytest.approx(1.0)
    assert told([]) == 0


def test_a_busy_machine_counts_in_full() -> None:
    assert told([0.3] * 10) == pytest.approx(3.0)


def test_a_machine_that_stood_still_does_not_count() -> None:
    assert told([0.02, 5.0, 0.02]) == pytest.approx(0.06)


def test_a_wait_is_over_when_its_time_is() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"not within 0\.1 s: what never comes"):
        wait_for(lambda: False, "what never comes", patience_seconds=0.1, interval_seconds=0.01)
    assert time.monotonic() - began >= 0.1


def test_a_wait_returns_how_long_it_took() -> None:
    began = time.monotonic()
    took = wait_for(lambda: time.monotonic() >= began + 0.1, "a tenth of a second")
    assert 0 < took <= time.monotonic() - began
