"""A scenario from beginning to end: first the grid, whose best settings then race the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from tests.benchmark.quality.contenders import alternatives, gc_tuners, grid
from tests.benchmark.quality.lane import Lane
from tests.benchmark.quality.race import WINDOW_SECONDS, Timeline, race
from tests.benchmark.quality.score import best

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmark.quality.scenarios import Scenario
    from tests.e2e.testbed.cluster import Cluster

BEST = 3


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured in a scenario.

    Attributes:
        scenario: its name.
        seconds: that it took.
        grid: each setting once.
        race: all contenders, the best three of the grid among them.
    """

    scenario: str
    seconds: float
    window_seconds: int
    grid: list[Lane]
    race: list[Lane]


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How thoroughly a scenario is measured.

    Attributes:
        gogc: of the grid, percent.
        limits: GOMEMLIMIT of the grid, percent of the container's limit.
        grid: how long the grid is measured where the load comes to rest.
        race: the same of the race.
        whole: of both where the load never comes to rest.
    """

    gogc: tuple[int, ...]
    limits: tuple[int, ...]
    grid: Timeline
    race: Timeline
    whole: Timeline


FULL = Extent(
    gogc=(50, 100, 200, 400, 800, 1600),
    limits=(70, 90),
    grid=Timeline(windows=5, rest_from=2),
    race=Timeline(windows=14, rest_from=10, rounds=2),
    whole=Timeline(windows=18, rest_from=6),
)
QUICK = Extent(
    gogc=(200, 400, 800),
    limits=(90,),
    grid=Timeline(windows=3, rest_from=1),
    race=Timeline(windows=12, rest_from=9),
    whole=Timeline(windows=12, rest_from=6),
)


def run(
    cluster: Cluster,
    scenario: Scenario,
    extent: Extent,
    say: Callable[[str], None],
    clock: Callable[[], float],
) -> Result:
    """Measure a scenario.

    Raises:
        RuntimeError: Something ended that should run, or no setting of the grid was measured.
        TimeoutError: A service did not become ready.
        ProcessError: Something did not start.
    """
    began = clock()
    settings = grid(scenario, extent.gogc, extent.limits)
    say(f"{scenario.name}: the grid, {len(settings)} settings")
    timeline = extent.whole if scenario.whole else extent.grid
    resting = replace(scenario, schedule=scenario.rest or scenario.schedule)
    measured = race(cluster, resting, settings, timeline, say)
    names = [lane.name for lane in best(measured, BEST)]
    if not names:
        raise RuntimeError(f"{scenario.name}: no setting of the grid lived or was measured")
    say(f"{scenario.name}: the race, with {', '.join(names)}")
    static = [next(each for each in settings if each.name == name) for name in names]
    timeline = extent.whole if scenario.whole else extent.race
    contenders = (*alternatives(scenario), *static, *gc_tuners())
    raced = race(cluster, scenario, contenders, timeline, say)
    return Result(
        scenario=scenario.name,
        seconds=clock() - began,
        window_seconds=WINDOW_SECONDS,
        grid=measured,
        race=raced,
    )
