"""What gc-tuner may cost."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tests.benchmark.goal import Goal
from tuner.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmark.controller.measure import Cost

MEGABYTES = {1_000: 150, 10_000: 500}
"""Memory at most, by the size of the fleet."""
TICK_SECONDS = {10_000: 5.0}
START_SECONDS = 1.5
"""From the start to the first decisions, and one rate window beside."""
GROWTH = 1.2
"""A fleet so many times as large may cost so much more than that many times as much."""


def fleet_goals(costs: Sequence[Cost]) -> list[Goal]:
    """Return the goals of all sizes that were measured.

    Args:
        costs: by size, the smallest fleet first.
    """
    return list(_goals(costs))


def _goals(costs: Sequence[Cost]) -> Iterator[Goal]:
    start = START_SECONDS + Settings().rate_window
    for each in costs:
        size, used = each.workloads, each.resident_peak_bytes / 1e6
        most = MEGABYTES.get(size)
        if most is not None:
            yield Goal(f"{size:,}: {used:.0f} MB, {most} allowed", used <= most)
        longest = TICK_SECONDS.get(size)
        if longest is not None:
            took = each.tick_seconds
            yield Goal(f"{size:,}: a tick of {took:.2f} s, {longest:g} s allowed", took <= longest)
        yield Goal(
            f"{size:,}: first decisions after {each.start_seconds:.1f} s, "
            f"{start:g} s allowed ({START_SECONDS:g} s and a rate window)",
            each.start_seconds <= start,
        )
    for small, large in pairwise(costs):
        sizes = f"{small.workloads:,} to {large.workloads:,}"
        times = large.workloads / small.workloads
        growth = large.tick_cpu_seconds / small.tick_cpu_seconds
        yield Goal(
            f"{sizes}: {growth:.1f} times the CPU for {times:g} times the workloads",
            growth <= GROWTH * times,
        )
        asked = (small.queries_per_tick, large.queries_per_tick)
        yield Goal(
            f"{sizes}: {asked[0]:.1f} and {asked[1]:.1f} queries a tick",
            round(asked[0]) == round(asked[1]),
        )
