"""Races that never ran, for what is made of their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmark.quality.lane import Lane, Prediction, Window

if TYPE_CHECKING:
    from collections.abc import Sequence


def window(
    cost: float | None, repeat: int | None = None, done: float = 1000.0, peak: float = 1e8
) -> Window:
    """A window in which each request cost so much CPU, seconds."""
    return Window(
        repeat=repeat,
        cpu_seconds=None if cost is None else cost * done,
        done=done,
        p95_ms=5.0,
        p99_ms=9.0,
        peak_bytes=peak,
        gogc=100.0,
        gomemlimit_bytes=None,
        cycles=30.0,
        machine_busy=0.6,
    )


def lane(
    name: str,
    costs: Sequence[float | None],
    *,
    repeats: Sequence[int | None] | None = None,
    oom_kills: int = 0,
    restarts: int = 0,
    predictions: Sequence[Prediction] = (),
) -> Lane:
    """A lane whose windows cost so much; by default the last of them is at rest."""
    if repeats is None:
        repeats = [None] * (len(costs) - 1) + [0]
    return Lane(
        name=name,
        title=name.capitalize(),
        windows=[window(cost, repeat) for cost, repeat in zip(costs, repeats, strict=True)],
        oom_kills=oom_kills,
        restarts=restarts,
        predictions=list(predictions),
        decision=f"hold: {name}" if name.startswith("gc-tuner") else None,
    )
