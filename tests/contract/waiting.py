"""Waiting for what a mirror's own thread brings about."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tests.e2e.testbed.processes import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


def settle(holds: Callable[[], bool]) -> None:
    """Wait until something holds, with patience: only what never comes is missed.

    Where it does not come true it says nothing: the assertion that follows shows both sides.
    """
    with suppress(TimeoutError):
        wait_for(holds, "", interval_seconds=0.005)
