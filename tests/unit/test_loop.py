"""What a tick does for a fleet as a whole; single workloads are the scenarios' matter."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from tests.examples import policy, reading, workload
from tuner.errors import NotLeadingError, RefusedError
from tuner.loop import RECORDS_PER_TICK, Loop
from tuner.model.happening import Happening, OverridesMoved, TickEnded, WriteFailed
from tuner.model.override import NONE, Override, Resolved
from tuner.model.policy import Policy
from tuner.model.proposal import GogcMove
from tuner.model.reading import ContainerKey, Readings
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.trial import Change
from tuner.model.workload import Kind, Mode, Workload, WorkloadKey
from tuner.ports import Leadership

NOW, TICK = 1_000_000.0, 15.0


@dataclass
class Cluster:
    """Services that are all alike, and what was done to them, in its order."""

    size: int
    busy: int | None = None
    """The one that has something to gain, in mode auto; the others look on."""
    saved: list[WorkloadKey] = field(default_factory=list)
    written: list[WorkloadKey] = field(default_factory=list)
    saved_before: tuple[WorkloadKey, ...] = ()
    """What had been saved when it was last written to a workload."""
    known: dict[WorkloadKey, Record] = field(default_factory=dict)
    refused: Collection[WorkloadKey] = ()
    """Whose records the API server takes from nobody."""
    hidden: WorkloadKey | None = None
    """What is out of sight at the moment."""
    queries_sent = 0
    told: list[Happening] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    """What is read, where it is not the usual."""
    on_save: Callable[[], None] = lambda: None
    override: Override = NONE

    def key(self, number: int) -> WorkloadKey:
        return WorkloadKey("shop", Kind.DEPLOYMENT, f"cart-{number}")

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        every = {self.key(each): self._workload(each) for each in range(self.size)}
        return {key: each for key, each in every.items() if key != self.hidden}

    def _workload(self, number: int) -> Workload:
        mode = Mode.AUTO if number == self.busy else Mode.RECOMMEND
        return replace(workload(), key=self.key(number), label_mode=mode)

    def fetch(self, key: WorkloadKey) -> Workload:
        return self.workloads()[key]

    def read(self, at: float) -> Readings:
        said = reading(without=(), **self.figures)
        figures = {ContainerKey(self.key(each), "app"): said for each in range(self.size)}
        return Readings(at, figures, {})

    def all(self) -> Mapping[WorkloadKey, Record]:
        return dict(self.known)

    def save(self, workload: Workload, record: Record) -> None:
        if workload.key in self.refused:
            raise RefusedError("exceeded quota")
        self.on_save()
        self.saved.append(workload.key)
        self.known[workload.key] = record

    def write(self, workload: Workload, change: Change, cause: str | None) -> Workload:
        del change, cause
        self.written.append(workload.key)
        self.saved_before = tuple(self.saved)
        return workload

    def withdraw(self, workload: Workload) -> Workload:
        raise AssertionError(workload)

    def clear_cause(self, workload: Workload) -> None:
        raise AssertionError(workload)

    def notify(self, happening: Happening) -> None:
        self.told.append(happening)

    def of(self, key: WorkloadKey, now: float, first_seen: Mapping[str, float]) -> Resolved:
        del key, now, first_seen
        return Resolved(self.override, {})


@dataclass
class Terms:
    """Leadership, as the test says; a namespace that is not named is led by another replica."""

    of: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Ticks begin at any time."""

    def term(self, namespace: str) -> int | None:
        return self.of.get(namespace)


def loop(
    cluster: Cluster, rules: Policy | None = None, leadership: Leadership | None = None
) -> Loop:
    return Loop(
        source=cluster,
        inventory=cluster,
        records=cluster,
        actuator=cluster,
        observers=[cluster],
        policy=rules or policy(),
        overrides=cluster,
        leadership=leadership,
    )


def test_a_fleet_that_is_seen_for_the_first_time_is_put_on_record_in_turns() -> None:
    cluster = Cluster(2 * RECORDS_PER_TICK + 50)
    running = loop(cluster)
    counts = []
    for tick in range(4):
        before = len(cluster.saved)
        running.tick(NOW + TICK * tick)
        counts.append(len(cluster.saved) - before)
    assert counts == [RECORDS_PER_TICK, RECORDS_PER_TICK, 50, 0]
    assert len(set(cluster.saved)) == cluster.size


def test_records_that_cannot_be_saved_keep_nobody_elses_waiting() -> None:
    cluster = Cluster(RECORDS_PER_TICK + 10)
    cluster.refused = {cluster.key(each) for each in range(RECORDS_PER_TICK)}
    loop(cluster).tick(NOW)
    assert len(cluster.saved) == 10


def ticks_until_written(hidden_at: int | None) -> int:
    """How long it takes to the first change, with the workload out of sight on one tick."""
    cluster = Cluster(2, busy=1)
    running = loop(cluster)
    for tick in range(60):
        cluster.hidden = cluster.key(1) if tick == hidden_at else None
        running.tick(NOW + TICK * tick)
        if cluster.written:
            return tick
    raise AssertionError("never written")


def test_a_workload_that_is_not_seen_for_a_moment_keeps_its_windows() -> None:
    # One tick of four in a rate window: the windows before it still count.
    assert ticks_until_written(hidden_at=10) <= ticks_until_written(None) + 4


def test_a_change_waits_for_no_records_of_others() -> None:
    cluster = Cluster(5, busy=4)
    running = loop(cluster)
    tick = 0
    while not cluster.written and tick < 60:
        cluster.saved.clear()
        cluster.known = {
            key: record for key, record in cluster.known.items() if key == cluster.key(4)
        }
        running.tick(NOW + TICK * tick)
        tick += 1
    assert cluster.written == [cluster.key(4)]
    assert cluster.saved_before == (cluster.key(4),), "written ahead, and nothing before that"


def test_a_standby_decides_on_all_and_writes_and_tells_nothing() -> None:
    cluster = Cluster(2, busy=1)
    running = loop(cluster, leadership=Terms())
    for tick in range(40):
        running.tick(NOW + TICK * tick)
    ended = cluster.told[-1]
    assert isinstance(ended, TickEnded)
    decision = ended.assessments[cluster.key(1)].decision
    assert decision.reason is Reason.STANDBY
    assert "would set GOGC" in decision.detail
    assert ended.assessments[cluster.key(0)].proposal is not None
    assert (cluster.saved, cluster.written) == ([], [])
    assert {type(each) for each in cluster.told} == {TickEnded}


def test_what_a_standby_thought_is_in_no_record_and_what_it_observed_counts() -> None:
    cluster, terms = Cluster(2, busy=1), Terms()
    running = loop(cluster, leadership=terms)
    for tick in range(40):
        running.tick(NOW + TICK * tick)
    terms.of = {"shop": 1}
    running.tick(NOW + TICK * 40)
    # It has its windows: nobody has to wait for the baseline once more.
    assert cluster.written == [cluster.key(1)]
    assert Reason.STANDBY not in {each.reason for each in cluster.known.values()}


def test_orders_that_are_in_force_are_told_of_once_there_is_a_leader() -> None:
    cluster, terms = Cluster(1), Terms()
    cluster.override = Override(entries=("freeze",), frozen=True)
    running = loop(cluster, leadership=terms)
    running.tick(NOW)
    assert not [each for each in cluster.told if isinstance(each, OverridesMoved)]
    terms.of = {"shop": 1}
    for tick in range(1, 3):
        running.tick(NOW + TICK * tick)
    (told,) = (each for each in cluster.told if isinstance(each, OverridesMoved))
    assert told.taken == ("freeze",)


def aimed_at(cluster: Cluster) -> float:
    """GOGC that the last tick would have in the end."""
    ended = cluster.told[-1]
    assert isinstance(ended, TickEnded)
    proposal = ended.assessments[cluster.key(0)].proposal
    assert proposal is not None
    assert isinstance(proposal.gogc, GogcMove)
    return proposal.gogc.target_gogc


def test_a_loop_that_ran_on_a_standby_without_effect_begins_anew_when_it_leads() -> None:
    figures = {"latency_p95_seconds": 0.5, "gc_cpu_cores": 0.05}
    cluster, terms = Cluster(1, figures=figures), Terms()
    running = loop(cluster, leadership=terms)
    running.tick(NOW)
    first = aimed_at(cluster)
    for tick in range(1, 40):
        running.tick(NOW + TICK * tick)
    assert aimed_at(cluster) > first, "latency is missed, and goes on to be"
    terms.of = {"shop": 1}
    running.tick(NOW + TICK * 40)
    assert aimed_at(cluster) == first


def test_taking_over_alone_is_no_reason_to_write() -> None:
    cluster, first, second = Cluster(3), Terms({"shop": 1}), Terms()
    leading, standing_by = loop(cluster, leadership=first), loop(cluster, leadership=second)
    for tick in range(40):
        leading.tick(NOW + TICK * tick)
        standing_by.tick(NOW + TICK * tick)
    cluster.saved.clear()
    first.of, second.of = {}, {"shop": 2}
    for tick in range(40, 80):
        leading.tick(NOW + TICK * tick)
        standing_by.tick(NOW + TICK * tick)
    assert (cluster.saved, cluster.written) == ([], [])


def test_leadership_that_is_lost_in_the_middle_of_a_tick_ends_its_writes() -> None:
    cluster, terms = Cluster(5), Terms({"shop": 1})
    cluster.on_save = terms.of.clear
    loop(cluster, leadership=terms).tick(NOW)
    assert len(cluster.saved) == 1


def test_what_the_fence_held_back_is_no_failure() -> None:
    cluster, terms = Cluster(2), Terms({"shop": 1})

    def fenced() -> None:
        raise NotLeadingError("another replica leads")

    cluster.on_save = fenced
    loop(cluster, leadership=terms).tick(NOW)
    assert cluster.saved == []
    assert not [each for each in cluster.told if isinstance(each, WriteFailed)]


def test_only_namespaces_that_are_led_are_written_to() -> None:
    cluster = Cluster(2)
    loop(cluster, leadership=Terms({"bank": 1})).tick(NOW)
    assert cluster.saved == []
