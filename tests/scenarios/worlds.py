"""Services to tune, and a world with everything that happened in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeVar

from tuner.model.decision import Decision, Hold
from tuner.model.happening import ChangeWritten, Happening, TickEnded, TickFailed, TrialEnded
from tuner.model.policy import Policy
from tuner.model.reading import Quantity, Readings
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.trial import Outcome, Phase, Verdict
from tuner.model.workload import GOGC, Rollout, Workload, WorkloadKey
from tuner.overrides.book import Book
from tuner.overrides.document import read_document
from tuner.ports import Actuator, Inventory, MetricsSource, Observer
from tuner.settings import Settings
from tuner.simulation import ControllerDied, Pod, Service, SimulatedCluster, World
from tuner.simulation.streams import constant, noise, total

MIB = 1024 * 1024
POLICY = Settings().policy(dry_run=False)
UNSTEADY = replace(POLICY, trial=replace(POLICY.trial, restart_spread_ratio=0.12))
"""Pods differ so much from start to start that a trial says little."""
LOAD = total(constant(600), noise(30, hold=60, seed=1))
BUSY = Service(
    name="busy",
    requests_per_second=LOAD,
    garbage_bytes_per_request=300e3,
    work_seconds_per_request=0.26e-3,
    live_bytes=constant(231e6),
)
"""GC takes nearly half of its CPU; it gains from two larger steps, then memory is full."""
IDLE = replace(
    BUSY,
    name="idle",
    garbage_bytes_per_request=40e3,
    work_seconds_per_request=1e-3,
    live_bytes=constant(30e6),
    cost_seconds_per_byte=0.05e-9,
)
"""GC costs next to nothing."""
SHORT = replace(
    BUSY,
    name="short",
    requests_per_second=total(constant(300), noise(15, hold=60, seed=3)),
    live_bytes=constant(445e6),
    memory_request_bytes=900 * MIB,
    memory_limit_bytes=900 * MIB,
)
"""The live heap nearly fills the container."""

_Kind = TypeVar("_Kind", bound=Happening)


def key_of(service: Service) -> WorkloadKey:
    return WorkloadKey(service.namespace, service.kind, service.name)


@dataclass
class Story:
    """Everything that the loop told, in order."""

    told: list[Happening] = field(default_factory=list)

    def notify(self, happening: Happening) -> None:
        self.told.append(happening)

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        return [each for each in self.told if isinstance(each, kind)]


class Stage:
    """A world, its story, and what happens on it while it runs."""

    def __init__(
        self,
        *services: Service,
        policy: Policy = POLICY,
        seed: int = 1,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.story = Story()
        self.world = World(services, policy, observers=(self.story, *observers), seed=seed)
        self.cluster = self.world.cluster
        self.key = key_of(services[0])
        self.rollouts_at_once = 0
        """Most workloads that were seen rolling out at the same time."""
        self.flawed = False
        """Whether mistakes of gc-tuner's own are a part of the story."""
        self._last: TickEnded | None = None

    def run(self, ticks: int) -> None:
        """Tick so many times; a controller that dies is started anew."""
        for _ in range(ticks):
            try:
                ended = self.world.tick()
            except ControllerDied:
                self.world.restart()
                continue
            if isinstance(ended, TickFailed):
                assert self.cluster.outage is not None, ended.detail
                continue
            self._last = ended
            decisions = [each.decision for each in ended.assessments.values()]
            broken = [each for each in decisions if each.reason is Reason.INTERNAL_ERROR]
            assert self.flawed or not broken, broken
            rolling = [
                each
                for each in self.cluster.workloads().values()
                if each.rollout is not Rollout.COMPLETE
            ]
            self.rollouts_at_once = max(self.rollouts_at_once, len(rolling))

    def until(self, reached: Callable[["Stage"], bool], ticks: int = 400) -> None:
        """Tick until something is so; it has to be within so many ticks."""
        for _ in range(ticks):
            if reached(self):
                return
            self.run(1)
        raise AssertionError(f"not reached in {ticks} ticks; last: {self.decision()}")

    def until_verdict(self, count: int = 1) -> None:
        """Tick until so many trials have ended."""
        self.until(lambda stage: len(stage.outcomes()) >= count)

    def until_phase(self, phase: Phase) -> None:
        """Tick until the first service's trial is in a phase."""
        self.until(lambda stage: stage.phase() is phase)

    def meddle(
        self,
        inventory: Inventory | None = None,
        source: MetricsSource | None = None,
        actuator: Actuator | None = None,
    ) -> None:
        """Let the loop see the world through somebody else's eyes, or act by their hands."""
        self.world.connect(inventory, source, actuator)

    def phase(self) -> Phase | None:
        """Phase of the first service's trial."""
        record = self.record()
        return record.trial.phase if record is not None and record.trial is not None else None

    def lay_down(self, text: str) -> None:
        """Let people put a text into the overrides in place of what is there."""
        self.world.book = Book().after(read_document(text))

    def order(self, rest: str) -> None:
        """Let people lay down one override, for every workload, that says this."""
        entry = f"{{name: calm, match: {{namespace: '*', name: '*'}}, reason: sale, {rest}}}"
        self.lay_down(f"overrides: [{entry}]")

    def record(self) -> Record | None:
        """Record of the first service."""
        return self.cluster.all().get(self.key)

    def decision(self, key: WorkloadKey | None = None) -> Decision | None:
        """Newest decision on a service, the first by default."""
        if self._last is None:
            return None
        each = self._last.assessments.get(key or self.key)
        return None if each is None else each.decision

    def gogc(self) -> str | None:
        """GOGC in the manifest of the first service; None: not set."""
        (container,) = self.cluster.workloads()[self.key].containers
        return container.literal(GOGC)

    def writes(self, what: str = "workload", *, since: float = 0.0) -> int:
        """How many writes of a kind the cluster accepted after a moment."""
        return sum(each.what == what and each.at > since for each in self.cluster.written)

    def changes(self) -> list[ChangeWritten]:
        return self.story.of(ChangeWritten)

    def outcomes(self) -> list[Outcome]:
        return [each.outcome for each in self.story.of(TrialEnded)]

    def verdicts(self) -> list[Verdict]:
        return [each.verdict for each in self.outcomes()]

    def cpu_per_request(self, ticks: int = 20) -> float:
        """What a request really costs the first service, seconds, over some ticks from now."""
        before = _spent(self.cluster.pods(self.key))
        self.run(ticks)
        after = _spent(self.cluster.pods(self.key))
        return (after[0] - before[0]) / (after[1] - before[1])


class Mistaken(dict[Quantity, float]):
    """Figures that stand for a mistake in gc-tuner: looking at them fails as code fails."""

    def get(self, *_: object) -> NoReturn:
        raise ZeroDivisionError("float division by zero")

    __getitem__ = __contains__ = __iter__ = get


@dataclass
class Mistaking:
    """A source whose figures of one service meet a mistake."""

    source: MetricsSource
    of: WorkloadKey

    def read(self, at: float) -> Readings:
        readings = self.source.read(at)
        containers = {
            key: Mistaken() if key.workload == self.of else reading
            for key, reading in readings.containers.items()
        }
        return replace(readings, containers=containers)


@dataclass
class Meddler:
    """An inventory in which somebody else acts between our look at a workload and our write."""

    cluster: SimulatedCluster
    act: Callable[[WorkloadKey], object] | None = None
    times: int = 0
    """How often they still will."""

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        return self.cluster.workloads()

    def fetch(self, key: WorkloadKey) -> Workload:
        fetched = self.cluster.fetch(key)
        if self.act is not None and self.times > 0:
            self.times -= 1
            self.act(key)
        return fetched


def reason_of(stage: Stage) -> Reason | None:
    """Reason of the newest decision on the first service; None before the first one."""
    decision = stage.decision()
    return None if decision is None else decision.reason


def hold_of(stage: Stage) -> Reason:
    """Why the first service is left as it is."""
    decision = stage.decision()
    assert isinstance(decision, Hold), decision
    return decision.reason


def _spent(pods: list[Pod]) -> tuple[float, float]:
    return (
        sum(pod.counters.cpu_seconds for pod in pods),
        sum(pod.counters.requests for pod in pods),
    )
