"""Which goals a fleet's cost meets."""

from __future__ import annotations

from dataclasses import replace

from tests.benchmark.controller.goals import fleet_goals
from tests.unit.benchmark.lanes import COST


def _missed(**changes: float) -> list[str]:
    small = replace(COST, workloads=1_000, tick_cpu_seconds=0.4, resident_peak_bytes=150_000_000)
    large = replace(
        small,
        workloads=10_000,
        tick_seconds=5.0,
        tick_cpu_seconds=4.8,
        resident_peak_bytes=500_000_000,
    )
    changed = replace(large, **changes)  # type: ignore[arg-type]  # floats all
    return [each.text for each in fleet_goals([small, changed]) if not each.met]


def test_all_can_be_met() -> None:
    assert _missed() == []


def test_each_can_be_missed() -> None:
    assert _missed(tick_seconds=5.1) == ["10,000: a tick of 5.10 s, 5 s allowed"]
    assert _missed(start_seconds=62.0) == [
        "10,000: first decisions after 62.0 s, 61.5 s allowed (1.5 s and a rate window)"
    ]
    assert _missed(resident_peak_bytes=501e6) == ["10,000: 501 MB, 500 allowed"]
    assert _missed(queries_per_tick=20.0) == ["1,000 to 10,000: 10.0 and 20.0 queries a tick"]
    (missed,) = _missed(tick_cpu_seconds=4.9)
    assert missed == "1,000 to 10,000: 12.2 times the CPU for 10 times the workloads"
