"""Hours of faults of every kind: no write is wrong, nothing breaks, nothing piles up, all recovers.

``make test`` runs a few hours of them; ``make faults-simulated`` whole days.
"""

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType

import pytest

from tests.scenarios.faults import EPISODES_PER_HOUR, HOUR, SERVICES, Day
from tests.scenarios.worlds import POLICY, Stage, key_of
from tuner.model.workload import WorkloadKey
from tuner.simulation import SimulatedCluster

TICKS_PER_HOUR = round(HOUR / POLICY.timing.interval_seconds)
RECOVERY_HOURS = 30
"""What was taken away again and again is left alone for up to a day."""
ROOM_TO_BREATHE = 1.25
"""Of what the loop holds on to: a workload is there or not, and its windows are full or not."""


@dataclass(frozen=True)
class Case:
    seed: int
    deadly: bool = True


@dataclass(frozen=True)
class Lived:
    """What came of hours of faults."""

    day: Day
    hours: float
    held: Sequence[int]
    """Objects that the loop held on to, at even distances from the second hour on."""


@pytest.fixture(
    name="lived",
    scope="module",
    params=[Case(1), Case(2), Case(3, deadly=False)],
    ids=["seed 1", "seed 2", "seed 3, one controller"],
)
def _lived(request: pytest.FixtureRequest) -> Lived:
    day_long = request.config.getoption("--day", default=False)
    hours, case = 24 if day_long else 4, request.param
    day, held = Day(case.seed, deadly=case.deadly), []
    begun = 2 if day_long else 1
    day.run(begun)
    for _ in range(8):
        day.run((hours - begun) / 8)
        held.append(held_by_loop(day))
    return Lived(day, hours, held)


@pytest.fixture(name="untroubled", scope="module")
def _untroubled() -> Mapping[WorkloadKey, float]:
    """GOGC in effect by service, where nothing goes wrong."""
    stage = Stage(*SERVICES)
    stage.run(4 * TICKS_PER_HOUR)
    return {key: gogc for key in map(key_of, SERVICES) for gogc in [in_effect(stage.cluster, key)]}


def in_effect(cluster: SimulatedCluster, key: WorkloadKey) -> float:
    """GOGC that gives the heap goal of the pods, percent: what a GOMEMLIMIT leaves of it."""
    ratios = [pod.goal_bytes / pod.live_bytes(cluster.now) - 1 for pod in cluster.pods(key)]
    return 100 * min(ratios, default=0.0)


def killed_for_memory(day: Day, key: WorkloadKey) -> bool:
    """Whether the kernel killed it: no setting that takes as much memory is tried again then."""
    record = day.cluster.all().get(key)
    return record is not None and record.learned.killed_peak_bytes is not None


def held_by_loop(day: Day) -> int:
    """How many objects the loop holds on to, without what is plugged into it."""
    ports = (day.world, day.cluster, day.world.source, day.world.policy, day.stage.story)
    return sum(1 for _ in _reachable(day.world.loop, (*ports, day.meddler, day.witness)))


def _reachable(root: object, without: Collection[object]) -> Iterator[object]:
    known, left = {id(each) for each in without}, [root]
    while left:
        each = left.pop()
        if id(each) not in known and not isinstance(each, type | ModuleType | FunctionType):
            known.add(id(each))
            left.extend(gc.get_referents(each))
            yield each


def test_no_write_is_wrong(lived: Lived) -> None:
    assert lived.day.witness.wrong == []


def test_it_was_a_test(lived: Lived) -> None:
    """There were faults, and enough was written in spite of them."""
    episodes = lived.day.happened
    assert episodes.total() >= 0.9 * EPISODES_PER_HOUR * lived.hours
    assert len(lived.day.witness.writes) >= 2 * lived.hours
    if lived.hours >= 24:
        assert set(lived.day.kinds) - {"config_map_lost"} <= set(episodes)


def test_what_the_loop_holds_on_to_does_not_grow(lived: Lived) -> None:
    half = len(lived.held) // 2
    assert max(lived.held[half:]) <= ROOM_TO_BREATHE * max(lived.held[:half])


def test_once_the_faults_are_over_the_services_come_back(
    lived: Lived, untroubled: Mapping[WorkloadKey, float]
) -> None:
    day, ratio = lived.day, POLICY.law.step_ratio
    day.rest()

    def away() -> Mapping[WorkloadKey, float]:
        found = {key: in_effect(day.cluster, key) for key in untroubled}
        return {
            key: gogc
            for key, gogc in found.items()
            if gogc > ratio * untroubled[key]
            or (gogc < untroubled[key] / ratio and not killed_for_memory(day, key))
        }

    for _ in range(RECOVERY_HOURS * TICKS_PER_HOUR):
        day.tick()
        if not away():
            break
    assert not away(), untroubled
    day.run_quiet(TICKS_PER_HOUR)
    assert not away(), untroubled
    assert day.witness.wrong == []
