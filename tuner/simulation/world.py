"""Plant, cluster, source and loop on one simulated clock."""

from collections.abc import Iterator, Sequence

from tuner.loop import Loop
from tuner.model.happening import TickEnded, TickFailed
from tuner.model.policy import Policy
from tuner.overrides.book import Book
from tuner.overrides.source import BookOverrides
from tuner.ports import Actuator, Inventory, MetricsSource, Observer
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
        source: What is known of them.
        loop: The loop itself, the same as in a real cluster.
        book: What people have laid down; tests write new ones.
        policy: What the loop is told; tests revise it between ticks.
        clock_ahead_seconds: How far the controller's clock is ahead of all others.
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
        self.book = Book()
        self.clock_ahead_seconds = 0.0
        self._observers = observers
        self.connect()

    def connect(
        self,
        inventory: Inventory | None = None,
        source: MetricsSource | None = None,
        actuator: Actuator | None = None,
    ) -> None:
        """Start a controller that sees the world through others' eyes, or acts by their hands.

        Args:
            inventory: What it sees; by default the cluster as it is.
            source: What it reads; by default everything that is known.
            actuator: What it acts through; by default the cluster itself.
        """
        self._inventory = inventory or self.cluster
        self._read_from = source or self.source
        self._actuator = actuator or self.cluster
        self.restart()

    def restart(self) -> None:
        """Lose the controller and start a new one: only what the cluster holds remains."""
        self.loop = Loop(
            source=self._read_from,
            inventory=self._inventory,
            records=self.cluster,
            actuator=self._actuator,
            observers=self._observers,
            policy=self.policy,
            overrides=BookOverrides(lambda: self.book),
            revised=lambda _: self.policy,
        )

    @property
    def controller_time(self) -> float:
        """What the controller's clock shows."""
        return self.cluster.now + self.clock_ahead_seconds

    @property
    def seconds(self) -> float:
        """Simulated time since the beginning."""
        return self.cluster.now - BEGINNING

    def tick(self) -> TickEnded | TickFailed:
        """Let one interval pass, and tick."""
        for _ in range(SCRAPES_PER_INTERVAL):
            self.cluster.advance(self.policy.timing.interval_seconds / SCRAPES_PER_INTERVAL)
            self.source.scrape()
        return self.loop.tick(self.controller_time)

    def run(self, seconds: float) -> Iterator[TickEnded | TickFailed]:
        """Tick until so much simulated time has passed."""
        end = self.cluster.now + seconds
        while self.cluster.now < end:
            yield self.tick()
