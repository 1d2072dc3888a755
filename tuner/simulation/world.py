"""Plant, cluster, source and loop on one simulated clock."""

from collections.abc import Iterator, Sequence

from tuner.loop import Loop
from tuner.model.happening import TickEnded, TickFailed
from tuner.model.policy import Policy
from tuner.overrides.book import Book
from tuner.overrides.source import BookOverrides
from tuner.ports import Observer
from tuner.simulation.cluster import SimulatedCluster
from tuner.simulation.service import Service
from tuner.simulation.source import PlantSource

BEGINNING = 1_000_000_000.0
"""Simulated time at the start, seconds since the Unix epoch."""
SCRAPES_PER_INTERVAL = 3


class World:
    """A loop that tunes simulated services.

    Attributes:
        cluster: Where they run; tests and demos act on it between ticks.
        source: What the loop reads.
        loop: The loop itself, the same as in a real cluster.
        book: What people have laid down; tests write new ones.
        policy: What the loop is told; tests revise it between ticks.
    """

    def __init__(
        self,
        services: Sequence[Service],
        policy: Policy,
        *,
        observers: Sequence[Observer] = (),
        seed: int = 1,
    ) -> None:
        """Deploy the services at the beginning of simulated time."""
        timing = policy.timing
        self.cluster = SimulatedCluster(list(services), BEGINNING, seed)
        self.source = PlantSource(
            self.cluster,
            rate_window_seconds=timing.rate_window_seconds,
            warm_up_seconds=timing.warm_up_seconds,
        )
        self.policy = policy
        self._observers = observers
        self.book = Book()
        self.loop = self._new_loop()

    def restart(self) -> None:
        """Lose the controller and start a new one: only what the cluster holds remains."""
        self.loop = self._new_loop()

    @property
    def seconds(self) -> float:
        """Simulated time since the beginning."""
        return self.cluster.now - BEGINNING

    def tick(self) -> TickEnded | TickFailed:
        """Let one interval pass, and tick."""
        for _ in range(SCRAPES_PER_INTERVAL):
            self.cluster.advance(self.policy.timing.interval_seconds / SCRAPES_PER_INTERVAL)
            self.source.scrape()
        return self.loop.tick(self.cluster.now)

    def run(self, seconds: float) -> Iterator[TickEnded | TickFailed]:
        """Tick until so much simulated time has passed."""
        end = self.cluster.now + seconds
        while self.cluster.now < end:
            yield self.tick()

    def _new_loop(self) -> Loop:
        return Loop(
            source=self.source,
            inventory=self.cluster,
            records=self.cluster,
            actuator=self.cluster,
            observers=self._observers,
            policy=self.policy,
            overrides=BookOverrides(lambda: self.book),
            revised=lambda _: self.policy,
        )
