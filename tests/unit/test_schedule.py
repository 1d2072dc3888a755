from dataclasses import dataclass, field

import pytest

from tuner.schedule import Clocks, next_due, tick_until


@dataclass
class World:
    """A clock that only waiting and ticking moves."""

    durations: list[float]
    """How long each tick takes; it is stopped after the last."""
    elapsed: float = 100.0
    began: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def stopped(self, seconds: float) -> bool:
        self.waits.append(seconds)
        if not self.durations:
            return True
        self.elapsed += seconds
        return False

    def tick(self, now: float) -> None:
        self.began.append(now - 1_000_000)
        self.elapsed += self.durations.pop(0)

    def run(self, interval: float) -> list[float]:
        clocks = Clocks(now=lambda: self.elapsed + 1_000_000, elapsed=lambda: self.elapsed)
        tick_until(self.stopped, self.tick, interval, clocks)
        return self.began


def test_ticks_keep_to_the_grid_however_long_they_take() -> None:
    assert World([1.0, 7.5, 0.25, 3.0]).run(15.0) == [100.0, 115.0, 130.0, 145.0]


def test_a_tick_that_overruns_skips_what_it_missed_and_returns_to_the_grid() -> None:
    assert World([40.0, 1.0, 1.0]).run(15.0) == [100.0, 145.0, 160.0]


def test_no_tick_begins_after_the_stop() -> None:
    world = World([])
    assert world.run(15.0) == []
    assert world.waits == [0.0]


@pytest.mark.parametrize(
    ("now", "due"), [(100.0, 115.0), (114.9, 115.0), (115.0, 130.0), (129.0, 130.0), (99.0, 115.0)]
)
def test_the_next_point_always_lies_ahead(now: float, due: float) -> None:
    assert next_due(100.0, now, 15.0) == due
