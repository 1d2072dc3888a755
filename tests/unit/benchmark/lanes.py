"""Races that never ran, for what is made of their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tests.benchmark.controller.measure import Cost
from tests.benchmark.quality.lane import Lane, Prediction, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

COST = Cost(
    workloads=1000,
    pods=2000,
    start_seconds=2.04,
    record_seconds=60.0,
    tick_seconds=0.8,
    tick_cpu_seconds=1.1,
    first_tick_seconds=1.0,
    resident_bytes=140_000_000,
    resident_peak_bytes=150_000_000,
    queries_per_tick=10.0,
    reads_per_tick=2.0,
    writes_per_tick=0.0,
    decisions={},
)


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


def with_gogc(one: Lane, settings: Sequence[float | None]) -> Lane:
    """The same with this GOGC at the end of each window."""
    windows = [
        msgspec.structs.replace(each, gogc=gogc)
        for each, gogc in zip(one.windows, settings, strict=True)
    ]
    return msgspec.structs.replace(one, windows=windows)
