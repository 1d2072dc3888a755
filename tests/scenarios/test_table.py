"""Loads of every shape, and what no shape excuses, in the manner of the tests of Go's own pacer.

Each row is a service whose load and live heap are composed of small streams, and the times at which
something about it changes for good. Between those times the loop has to find a setting that is near
the best one that never changes, and then leave it alone.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.scenarios.statics import SET_POINT, TOLERANCE, Static, best, live
from tests.scenarios.worlds import BUSY, MIB, Stage
from tuner.model.workload import GOGC, GOMEMLIMIT
from tuner.simulation import Service
from tuner.simulation.streams import (
    Stream,
    burst,
    constant,
    gaps,
    leak,
    limited,
    noise,
    oscillate,
    ramp,
    step,
    total,
    walk,
)
from tuner.simulation.world import BEGINNING

NEAR = 1.10
"""How near to the best static setting a service has to come."""
RESTARTS = 3
"""With so many restarts."""
MEASURED_SECONDS = 2400.0
"""Length of the trial runs of static settings, at the end of each episode."""
NONE_LOST = constant(0.0)
ROOMY = replace(BUSY, memory_request_bytes=2048 * MIB, memory_limit_bytes=2048 * MIB)
SMALL = replace(
    BUSY,
    live_bytes=constant(24e6),
    memory_request_bytes=256 * MIB,
    memory_limit_bytes=256 * MIB,
)


def at_hour(hour: float) -> float:
    return BEGINNING + 3600 * hour


@dataclass(frozen=True, slots=True)
class Row:
    """A service and its fate."""

    name: str
    service: Service
    hours: tuple[float, ...] = (4,)
    """Ends of the episodes: what changes for good does it where one begins, or all the time."""
    resized_to_bytes: int | None = None
    """Memory limit that the pods are to get in place where the last episode begins."""
    gaps: Stream = NONE_LOST
    """Share of scrapes that are lost."""
    resize_waits: bool = False
    """Whether they never do, as more than that is in use."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which nothing changes for good, and the service as it is then."""

    service: Service
    start: float
    end: float

    @property
    def rest(self) -> float:
        """When the loop has to have come to rest."""
        return self.end - (self.end - self.start) / 3

    @property
    def measured(self) -> float:
        """When static settings are put to the test."""
        return self.end - MEASURED_SECONDS


def episodes_of(row: Row) -> Sequence[Episode]:
    bounds = [BEGINNING, *map(at_hour, row.hours)]
    episodes = [Episode(row.service, *each) for each in itertools.pairwise(bounds)]
    if row.resized_to_bytes is not None and not row.resize_waits:
        resized = replace(row.service, memory_limit_bytes=row.resized_to_bytes)
        episodes[-1] = replace(episodes[-1], service=resized)
    return episodes


ROWS = (
    Row("Constant", ROOMY),
    Row("ConstantShortOfMemory", BUSY),
    Row("SmallHeap", SMALL),
    Row("DefaultMetricsOnly", replace(ROOMY, runtime_metrics=False)),
    Row("StepUp", replace(ROOMY, requests_per_second=step(200, 600, at=at_hour(3))), (3, 6)),
    Row("StepDown", replace(ROOMY, requests_per_second=step(600, 200, at=at_hour(3))), (3, 6)),
    Row(
        "Ramp",
        replace(ROOMY, requests_per_second=ramp(200, 800, start=at_hour(0), end=at_hour(3))),
        (6,),
    ),
    Row(
        "Sine", replace(ROOMY, requests_per_second=total(constant(500), oscillate(250, period=600)))
    ),
    Row(
        "SineWithAutoscaler",
        replace(
            ROOMY,
            cpu_hpa=0.15,
            requests_per_second=total(constant(700), oscillate(400, period=7200)),
        ),
        (6,),
    ),
    Row(
        "RandomWalk",
        replace(
            ROOMY,
            requests_per_second=walk(
                500, step=40, bounds=(250, 900), hold=60, start=BEGINNING, seed=11
            ),
        ),
    ),
    Row(
        "Bursts",
        replace(ROOMY, requests_per_second=total(constant(450), burst(450, length=10, every=120))),
    ),
    Row(
        "SlowLeak",
        replace(ROOMY, leaked_bytes=leak(12e3, start=0)),
        (6,),
    ),
    Row("LiveHeapDoubles", replace(BUSY, live_bytes=step(200e6, 400e6, at=at_hour(3))), (3, 6)),
    Row("LiveHeapHalves", replace(BUSY, live_bytes=step(400e6, 200e6, at=at_hour(3))), (3, 6)),
    Row(
        "LimitResized",
        replace(BUSY, memory_limit_bytes=1536 * MIB),
        (3, 6),
        resized_to_bytes=1075 * MIB,
    ),
    Row("LimitResizedBelowUse", BUSY, (3, 6), resized_to_bytes=717 * MIB, resize_waits=True),
    Row("LoadGone", replace(ROOMY, requests_per_second=step(600, 0, at=at_hour(3))), (3, 6)),
    Row(
        "NoisyScrapesWithGaps",
        replace(ROOMY, requests_per_second=total(constant(600), noise(120, hold=15, seed=5))),
        gaps=limited(total(constant(0.15), gaps(longest=120, every=1800, seed=3)), highest=1.0),
    ),
)


@dataclass(slots=True)
class Run:
    """A row that was lived through."""

    row: Row
    stage: Stage
    settings: list[tuple[float, Static]] = field(default_factory=lambda: [(BEGINNING, Static())])
    """What was written, and when."""
    fullest_ratio: float = 0.0
    """Memory of the worst pod, by the limit that it had."""

    def look(self) -> None:
        """Take note of what is so now."""
        (container,) = self.stage.cluster.fetch(self.stage.key).containers
        static = Static(container.literal(GOGC), container.literal(GOMEMLIMIT))
        if static != self.settings[-1][1]:
            self.settings.append((self.stage.cluster.now, static))
        for pod in self.stage.cluster.pods(self.stage.key):
            full = pod.resident_bytes() / (pod.memory_limit_bytes or math.inf)
            self.fullest_ratio = max(self.fullest_ratio, full)

    def settings_in(self, episode: Episode) -> Sequence[Static]:
        """The setting at its beginning, and those that were written in it."""
        before = [static for at, static in self.settings if at <= episode.start]
        return [before[-1], *(s for at, s in self.settings if episode.start < at <= episode.end)]


def lived_through(row: Row, *, mode: str) -> Run:
    stage = Stage(replace(row.service, mode=mode))
    stage.world.source.gaps = row.gaps
    run = Run(row, stage)
    for number, episode in enumerate(episodes_of(row), start=1):
        if row.resized_to_bytes is not None and number == len(row.hours):
            stage.cluster.resize(stage.key, row.resized_to_bytes)
        while stage.cluster.now < episode.end:
            stage.run(1)
            run.look()
    return run


def turns(texts: Sequence[str | None]) -> int:
    """How often a value turned round on its way."""
    values = [float(text.removesuffix("MiB")) for text in texts if text is not None]
    rises = [after > before for before, after in itertools.pairwise(values) if after != before]
    return sum(before != after for before, after in itertools.pairwise(rises))


@pytest.fixture(name="run", scope="module", params=ROWS, ids=lambda row: row.name)
def _run(request: pytest.FixtureRequest) -> Run:
    return lived_through(request.param, mode="auto")


@pytest.fixture(name="untuned", scope="module")
def _untuned(run: Run) -> Run:
    return lived_through(run.row, mode="off")


def test_tuning_brings_no_kill_that_the_untuned_service_lacks(run: Run, untuned: Run) -> None:
    assert untuned.stage.writes() == 0
    assert run.stage.cluster.oom_kills <= untuned.stage.cluster.oom_kills


def test_memory_keeps_within_the_set_point_or_where_the_untuned_service_had_it(
    run: Run, untuned: Run
) -> None:
    assert run.fullest_ratio <= max(TOLERANCE * SET_POINT, untuned.fullest_ratio)


def test_three_restarts_bring_it_near_the_best_setting_that_never_changes(run: Run) -> None:
    for episode in episodes_of(run.row):
        service, start, end = episode.service, episode.measured, episode.end
        reached = run.settings_in(episode)[: RESTARTS + 1][-1]
        lived = live(service, reached, start, end)
        assert lived.oom_kills == 0
        assert lived.cpu_seconds_per_request <= NEAR * best(service, start, end)


def test_nothing_is_written_at_rest(run: Run) -> None:
    for episode in episodes_of(run.row):
        written = [at for at, _ in run.settings[1:] if episode.rest < at <= episode.end]
        assert written == []


def test_no_value_turns_round_more_than_once(run: Run) -> None:
    settings = [static for _, static in run.settings]
    assert turns([static.gogc or "100" for static in settings]) <= 1
    assert turns([static.gomemlimit for static in settings]) <= 1
