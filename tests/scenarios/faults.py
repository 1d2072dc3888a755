"""Everything that can go wrong around a controller, as episodes of a seeded day.

A kind of fault is a function that lets it happen to a service, and answers how it ends. What people
do to a service is among them: a deploy in the middle of a trial is no fault, and is to be borne all
the same.
"""

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tests.examples import STRANGE
from tests.scenarios.witness import Witness
from tests.scenarios.worlds import BUSY, IDLE, MIB, SHORT, Meddler, Stage, key_of
from tuner.errors import GoneError
from tuner.model.reading import Quantity
from tuner.model.workload import (
    BARRIER,
    FIELD_MANAGER,
    GOGC,
    GOMEMLIMIT,
    Kind,
    WorkloadKey,
)
from tuner.overrides.book import Book
from tuner.overrides.document import read_document
from tuner.simulation import Fault, Service, SimulatedCluster
from tuner.simulation.cluster import MANIFEST_OWNER
from tuner.simulation.streams import constant, product, total

HOUR = 3600.0
EPISODES_PER_HOUR = 15
LENGTHS = (15.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Of an episode, seconds."""


@dataclass
class Dial:
    """Something of a service that is turned while it runs."""

    value: float

    def __call__(self, _now: float) -> float:
        return self.value


@dataclass(frozen=True)
class Subject:
    """A service, and what may be turned of it."""

    service: Service
    load: Dial
    """By how much its load is multiplied."""
    heap: Dial
    """Bytes more of live heap in each pod."""

    @property
    def key(self) -> WorkloadKey:
        return key_of(self.service)


def subject(service: Service) -> Subject:
    load, heap = Dial(1.0), Dial(0.0)
    turned = replace(
        service,
        requests_per_second=product(service.requests_per_second, load),
        live_bytes=total(service.live_bytes, heap),
    )
    return Subject(turned, load, heap)


ROOMY = replace(BUSY, memory_request_bytes=4096 * MIB, memory_limit_bytes=4096 * MIB)
SERVICES = (
    replace(BUSY, namespace="shop"),
    replace(IDLE, namespace="shop"),
    replace(SHORT, namespace="shop"),
    replace(BUSY, name="killed", namespace="shop"),
    replace(ROOMY, name="live", namespace="data", live=True, barrier="64"),
    replace(ROOMY, name="scaled", namespace="data", cpu_hpa=0.3),
    replace(ROOMY, name="stateful", namespace="data", kind=Kind.STATEFUL_SET, replicas=3),
    replace(BUSY, name="theirs", namespace="data", gogc="100"),
)
"""One of each kind. To the one called killed the kernel comes; the last is not ours."""

Undo = Callable[[], object]
"""How an episode ends."""


class Day:
    """Services through hours of faults, with a witness to every write."""

    def __init__(self, seed: int, *, deadly: bool = True) -> None:
        """Begin a day.

        Args:
            seed: Of everything that is left to chance.
            deadly: Whether the controller dies now and then.
        """
        self.chance = random.Random(seed)  # noqa: S311 - not for secrets
        self.subjects = {each.key: each for each in map(subject, SERVICES)}
        self.stage = Stage(*(each.service for each in self.subjects.values()), seed=seed)
        self.cluster, self.world = self.stage.cluster, self.stage.world
        self.meddler = Meddler(self.cluster)
        self.witness = Witness(self.stage)
        self.stage.meddle(inventory=self.meddler, actuator=self.witness)
        self.happened: Counter[str] = Counter()
        """How many episodes there were of each kind."""
        self.kinds = {**KINDS, **(DEADLY if deadly else {})}
        self._deadly = deadly
        self._ends: list[tuple[float, Undo]] = []

    def run(self, hours: float) -> None:
        """Let faults happen for so long."""
        end = self.cluster.now + hours * HOUR
        begins = sorted(
            self.chance.uniform(self.cluster.now, end)
            for _ in range(round(hours * EPISODES_PER_HOUR))
        )
        while self.cluster.now < end:
            while begins and begins[0] <= self.cluster.now:
                begins.pop(0)
                self._begin(self.chance.choice([*sorted(self.kinds), *MORE_OF]))
            self._finish(self.cluster.now)
            self.tick()

    def rest(self) -> None:
        """Let everything that went wrong be put right."""
        self._finish(float("inf"))
        self.cluster.faults.clear()
        self.cluster.record_faults.clear()
        self.cluster.cause_faults.clear()
        self.cluster.withdrawal_faults.clear()
        self.meddler.times = 0
        for each in self.subjects.values():
            put_right(self.cluster, each)

    def run_quiet(self, ticks: int) -> None:
        """Let time pass without another fault."""
        for _ in range(ticks):
            self.tick()

    def tick(self) -> None:
        self.stage.run(1)
        self.stage.story.told.clear()  # it would hold on to every assessment of the day

    def fault(self) -> Fault:
        """Some way in which a request fails."""
        deadly = {Fault.DEATH_BEFORE, Fault.DEATH_AFTER}
        return self.chance.choice([each for each in Fault if self._deadly or each not in deadly])

    def until(self, seconds: float, undo: Undo) -> None:
        """Let an episode end after so long."""
        self._ends.append((self.cluster.now + seconds, undo))

    def _begin(self, kind: str) -> None:
        subject = self.chance.choice(list(self.subjects.values()))
        with contextlib.suppress(GoneError):  # it is deleted at the moment
            self.until(self.chance.choice(LENGTHS), self.kinds[kind](self, subject))
            self.happened[kind] += 1

    def _finish(self, now: float) -> None:
        over = [each for each in self._ends if each[0] <= now]
        self._ends = [each for each in self._ends if each[0] > now]
        for _, undo in over:
            with contextlib.suppress(GoneError):
                undo()


Happen = Callable[[Day, Subject], Undo]


def nothing() -> None:
    """Ends by itself."""


# Prometheus.


def silent(day: Day, _: Subject) -> Undo:
    day.world.source.outage = "connection refused"
    return lambda: setattr(day.world.source, "outage", None)


def unscraped(day: Day, _: Subject) -> Undo:
    """Samples grow old, and then there are none."""
    day.world.source.scraping = False
    return lambda: setattr(day.world.source, "scraping", True)


def scrapes_lost(day: Day, _: Subject) -> Undo:
    day.world.source.gaps = constant(day.chance.uniform(0.2, 0.9))
    return lambda: setattr(day.world.source, "gaps", constant(0.0))


def _edits(day: Day, *values: float | None) -> Undo:
    odd = day.chance.sample(sorted(Quantity), day.chance.randint(1, 3))
    day.world.source.edits = {each: day.chance.choice(values) for each in odd}
    return lambda: setattr(day.world.source, "edits", {})


def quantities_missing(day: Day, _: Subject) -> Undo:
    return _edits(day, None)


def quantities_strange(day: Day, _: Subject) -> Undo:
    return _edits(day, *STRANGE)


def stale(day: Day, _: Subject) -> Undo:
    day.world.source.edits = {Quantity.SAMPLE_AGE_SECONDS: 600.0}
    return lambda: setattr(day.world.source, "edits", {})


def alert(day: Day, subject: Subject) -> Undo:
    day.world.source.alerts = {subject.service.namespace: frozenset({"Burning"})}
    return lambda: setattr(day.world.source, "alerts", {})


# The API server.


def view_too_old(day: Day, _: Subject) -> Undo:
    day.cluster.outage = "no word from the API server for 120 s"
    return lambda: setattr(day.cluster, "outage", None)


def unreachable(day: Day, _: Subject) -> Undo:
    day.cluster.unreachable = "connection refused"
    day.cluster.freeze_view()

    def end() -> None:
        day.cluster.unreachable = None
        day.cluster.thaw_view()

    return end


def view_frozen(day: Day, _: Subject) -> Undo:
    day.cluster.freeze_view()
    return day.cluster.thaw_view


def writes_fail(day: Day, _: Subject) -> Undo:
    day.cluster.faults.extend(day.fault() for _ in range(day.chance.randint(1, 4)))
    return day.witness.deliver


def records_fail(day: Day, _: Subject) -> Undo:
    day.cluster.record_faults.extend(day.fault() for _ in range(day.chance.randint(1, 12)))
    return nothing


def withdrawals_fail(day: Day, _: Subject) -> Undo:
    day.cluster.withdrawal_faults.extend(day.fault() for _ in range(day.chance.randint(1, 4)))
    return nothing


def causes_fail(day: Day, _: Subject) -> Undo:
    day.cluster.cause_faults.extend(day.fault() for _ in range(day.chance.randint(1, 4)))
    return nothing


def altered(day: Day, _: Subject) -> Undo:
    """An admission webhook has its own idea of a value."""
    name, value = day.chance.choice([(GOGC, "90"), (GOMEMLIMIT, "700MiB"), (BARRIER, "50")])
    day.cluster.webhook = {name: value}
    return lambda: setattr(day.cluster, "webhook", {})


# The controller.


def controller_killed(day: Day, _: Subject) -> Undo:
    day.world.restart()
    return nothing


def clock_jumps(day: Day, _: Subject) -> Undo:
    day.world.clock_ahead_seconds = day.chance.choice([-HOUR, HOUR])
    return lambda: setattr(day.world, "clock_ahead_seconds", 0.0)


# People.


def deploy(day: Day, subject: Subject) -> Undo:
    day.cluster.change_template(subject.key, f"release {day.cluster.now:.0f}")
    return nothing


def scale(day: Day, subject: Subject) -> Undo:
    day.cluster.scale(subject.key, day.chance.choice([0, 1, 2, 3, 5]))
    return lambda: day.cluster.scale(subject.key, subject.service.replicas)


def rollout_undo(day: Day, subject: Subject) -> Undo:
    day.cluster.undo(subject.key)
    return lambda: put_right(day.cluster, subject)


def set_env(day: Day, subject: Subject) -> Undo:
    """Theirs instead of ours, or nothing; one of the values no process starts with."""
    name = day.chance.choice([GOGC, GOGC, GOMEMLIMIT])
    values = ["150", "off", None] if name == GOGC else ["800MiB", "900Mi", None]
    day.cluster.set_env(subject.key, name, day.chance.choice(values))
    return lambda: put_right(day.cluster, subject)


def put_right(cluster: SimulatedCluster, subject: Subject) -> None:
    """Deploy the manifest again: what somebody else than gc-tuner set, and it lacks, goes.

    Pods that do not start go, too: nobody else replaces those of a StatefulSet.
    """
    service = subject.service
    manifest = {GOGC: service.gogc, GOMEMLIMIT: service.gomemlimit, BARRIER: service.barrier}
    (container,) = cluster.truth(subject.key).containers
    for name, value in manifest.items():
        entry = container.env.get(name)
        theirs = entry is not None and entry.owners != (FIELD_MANAGER,)
        if theirs or (value is not None and name != BARRIER):
            cluster.set_env(subject.key, name, value, owner=MANIFEST_OWNER)
    limit, request = service.memory_limit_bytes, service.memory_request_bytes
    if (container.memory_limit_bytes, container.memory_request_bytes) != (limit, request):
        cluster.set_memory(subject.key, limit, request)
    cluster.delete_broken_pods(subject.key)


def label(day: Day, subject: Subject) -> Undo:
    day.cluster.label(subject.key, day.chance.choice(["off", "recommend", "Auto", None]))
    return lambda: day.cluster.label(subject.key, "auto")


def pause(day: Day, subject: Subject) -> Undo:
    day.cluster.pause(subject.key, paused=True)
    return lambda: day.cluster.pause(subject.key, paused=False)


def annotate(day: Day, subject: Subject) -> Undo:
    day.cluster.annotate(subject.key, profile=day.chance.choice(["critical", "best-effort", "x"]))
    return lambda: day.cluster.annotate(subject.key, profile="normal")


def own_cause(day: Day, subject: Subject) -> Undo:
    day.cluster.set_cause(subject.key, "release 7")
    return nothing


ORDERS = (
    "freeze: true",
    "freeze: maybe",
    "pin: {gogc: 200}",
    "pin: {gogc: 60, immediate: true}",
    "pin: {memoryLimit: 500MiB}",
    "pin: {gogc: many}",
    "bounds: {gogc: {highest: 120}}",
    "bounds: {gogc: {lowest: 150}}",
    "bounds: {memoryLimit: {highest: 600MiB}}",
    "targets: {gcShare: 0.1}",
    "profile: critical",
    "freeze: true, expires: for 2m",
)


def override(day: Day, subject: Subject) -> Undo:
    match = f"{{namespace: {subject.service.namespace}, name: {subject.service.name}}}"
    entry = f"{{name: calm, match: {match}, reason: sale, {day.chance.choice(ORDERS)}}}"
    return _laid_down(day, f"overrides: [{entry}]")


def overrides_of_all(day: Day, _: Subject) -> Undo:
    return _laid_down(day, day.chance.choice(["paused: true", "overrides: ["]))


def _laid_down(day: Day, text: str) -> Undo:
    day.world.book = day.world.book.after(read_document(text))
    return lambda: setattr(day.world, "book", Book())


def between(day: Day, _: Subject) -> Undo:
    """Somebody acts between the last look at a workload and our write.

    They move the version that the write is tied to: a ConfigMap's has no part in a label of the
    workload, and overrides are in force from the next look on.
    """
    act = day.chance.choice([deploy, scale, set_env, label])

    def meddle(key: WorkloadKey) -> None:
        subject = day.subjects[key]
        with contextlib.suppress(GoneError):
            day.until(120, (set_env if subject.service.live else act)(day, subject))

    day.meddler.act, day.meddler.times = meddle, 1
    return nothing


def while_planned(day: Day, _: Subject) -> Undo:
    """The next write is lost or late, and before the next attempt at it something has changed."""
    day.cluster.faults.appendleft(day.chance.choice([Fault.LOST, Fault.LATE]))
    act = day.chance.choice(
        [override, override, resize, resize, other_memory, annotate, label, pause, set_env, alert]
    )

    def meddle(key: WorkloadKey) -> None:
        with contextlib.suppress(GoneError):
            day.until(600, act(day, day.subjects[key]))

    day.meddler.act, day.meddler.times = meddle, 1
    return day.witness.deliver


def made_anew(day: Day, subject: Subject) -> Undo:
    day.cluster.delete(subject.key)
    return lambda: make_anew(day.cluster, subject)


def config_map_lost(day: Day, subject: Subject) -> Undo:
    day.cluster.remove_config_map(subject.key)
    return lambda: make_anew(day.cluster, subject)


def make_anew(cluster: SimulatedCluster, subject: Subject) -> None:
    with contextlib.suppress(GoneError):
        cluster.delete(subject.key)
    cluster.deploy(subject.service)


# What happens to the pods.


def resize(day: Day, subject: Subject) -> Undo:
    limit = subject.service.memory_limit_bytes
    assert limit is not None
    factor = day.chance.choice([0.7, 0.9, 1.2, 1.5])
    day.cluster.resize(
        subject.key, round(factor * limit), pending_seconds=day.chance.choice([0, 120])
    )
    return lambda: day.cluster.resize(subject.key, limit)


def other_memory(day: Day, subject: Subject) -> Undo:
    limit, request = subject.service.memory_limit_bytes, subject.service.memory_request_bytes
    assert limit is not None
    assert request is not None
    factor = day.chance.choice([0.8, 1.25, 2.0])
    day.cluster.set_memory(subject.key, round(factor * limit), round(factor * request))
    return lambda: day.cluster.set_memory(subject.key, limit, request)


def processes_end(day: Day, subject: Subject) -> Undo:
    """And with them what they counted."""
    day.cluster.end_processes(subject.key)
    return nothing


def killed_for_memory(day: Day, _: Subject) -> Undo:
    (victim,) = (each for each in day.subjects.values() if each.service.name == "killed")
    victim.heap.value = 1.2e9
    return lambda: setattr(victim.heap, "value", 0.0)


def load_steps(day: Day, subject: Subject) -> Undo:
    subject.load.value = day.chance.choice([0.0, 0.3, 2.0, 4.0])
    return lambda: setattr(subject.load, "value", 1.0)


KINDS: Mapping[str, Happen] = {
    each.__name__: each
    for each in (
        silent,
        unscraped,
        scrapes_lost,
        quantities_missing,
        quantities_strange,
        stale,
        alert,
        view_too_old,
        unreachable,
        view_frozen,
        writes_fail,
        records_fail,
        withdrawals_fail,
        causes_fail,
        altered,
        clock_jumps,
        deploy,
        scale,
        rollout_undo,
        set_env,
        label,
        pause,
        annotate,
        own_cause,
        override,
        overrides_of_all,
        between,
        while_planned,
        made_anew,
        config_map_lost,
        resize,
        other_memory,
        processes_end,
        killed_for_memory,
        load_steps,
    )
}
MORE_OF = ("while_planned",) * 3
"""What meets a plan has to come at the right moment, which is rare."""
DEADLY: Mapping[str, Happen] = {controller_killed.__name__: controller_killed}
