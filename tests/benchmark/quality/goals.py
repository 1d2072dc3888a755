"""What gc-tuner has to reach in a scenario."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tests.benchmark.goal import Goal
from tests.benchmark.quality.contenders import (
    CRITICAL,
    DEFAULT,
    GC_TUNER,
    LIVE,
    NORMAL,
    STATIC,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmark.quality.scenarios import Scenario
    from tests.benchmark.quality.score import Score

AT_REST = {CRITICAL: 1.03, NORMAL: 1.05, LIVE: 1.05}
"""CPU per request at most, by the oracle's."""
LEVEL = 1.02
"""CPU per request at most, by that of the best alternative in which no container is killed for its
memory; as the oracle, what dies of its setting is none."""
RESTARTS = 3
"""Until it is near the oracle."""
LIVE_SECONDS = 180.0
"""Within which the live channel has to be near."""
PREDICTION_ERROR = 0.10
"""Of the CPU, the median over all changes that were measured."""
ASKED = (
    "Asked of gc-tuner: no more OOM kills than Go's default has; where GC matters, CPU per request "
    f"at most {AT_REST[CRITICAL]:.2f} of the oracle's for *critical* and {AT_REST[NORMAL]:.2f} for "
    f"*normal* and *live*, and at most {LEVEL:.2f} of the best alternative's; *critical* and "
    f"*normal* near the oracle after {RESTARTS} restarts at most, *live* in {LIVE_SECONDS:.0f} s "
    "and without any; where GC does not matter, no restart at all."
)
"""The goals of a scenario in words."""


def goals(scenario: Scenario, scores: Sequence[Score]) -> list[Goal]:
    """Return the goals of a scenario."""
    return list(_goals(scenario, {each.lane.name: each for each in scores}))


def prediction_goal(errors: Sequence[float]) -> Goal:
    """Return the goal of all predictions together.

    Args:
        errors: foretold less measured saving, as a share of the CPU, of each change whose effect
            was measured; at least one.
    """
    error = median(abs(each) for each in errors)
    return Goal(
        f"median error {100 * error:.1f} percentage points of CPU, "
        f"{100 * PREDICTION_ERROR:g} allowed",
        error <= PREDICTION_ERROR,
    )


def _goals(scenario: Scenario, scores: dict[str, Score]) -> Iterator[Goal]:
    kills = scores[DEFAULT].lane.oom_kills
    for name in (CRITICAL, NORMAL, LIVE):
        score = scores[name]
        who = name.removeprefix(GC_TUNER)
        killed = score.lane.oom_kills
        yield Goal(f"{who}: {killed} OOM kills, the default {kills}", killed <= kills)
        if not scenario.gc_matters:
            restarts = score.lane.restarts
            yield Goal(f"{who}: {restarts} restarts for nothing", restarts == 0)
            continue
        ratio = score.ratio
        yield Goal(
            f"{who}: {_said(ratio)} of the oracle, {AT_REST[name]:.2f} asked",
            ratio is not None and ratio <= AT_REST[name],
        )
        alive = [each for each in scores.values() if each.lane.oom_kills == 0]
        rivals = [
            each.ratio
            for each in alive
            if not each.lane.name.startswith((STATIC, GC_TUNER)) and each.ratio is not None
        ]
        best = min(rivals, default=None)
        yield Goal(
            f"{who}: {_said(ratio)}, the best alternative {_said(best)}",
            best is None or (ratio is not None and ratio <= LEVEL * best),
        )
        near = score.near_seconds
        if name == LIVE:
            yield Goal(
                f"live: near after {'no time' if near is None else f'{near:.0f} s'}, "
                f"{LIVE_SECONDS:.0f} s asked",
                near is not None and near <= LIVE_SECONDS,
            )
            yield Goal(f"live: {score.lane.restarts} restarts", score.lane.restarts == 0)
        else:
            restarts = score.restarts_until_near
            yield Goal(
                f"{who}: {restarts} restarts until near, {RESTARTS} allowed", restarts <= RESTARTS
            )


def _said(value: float | None) -> str:
    return "never measured" if value is None else f"{value:.3f}"
