"""What a tick does for a fleet as a whole; single workloads are the scenarios' matter."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.examples import policy, reading, workload
from tuner.loop import RECORDS_PER_TICK, Loop
from tuner.model.override import NONE, Resolved
from tuner.model.policy import Policy
from tuner.model.reading import ContainerKey, Readings
from tuner.model.record import Record
from tuner.model.trial import Change
from tuner.model.workload import Kind, Mode, Workload, WorkloadKey

NOW, TICK = 1_000_000.0, 15.0


@dataclass
class Cluster:
    """Services that are all alike, and what was done to them, in its order."""

    size: int
    busy: int | None = None
    """The one that has something to gain, in mode auto; the others look on."""
    saved: list[WorkloadKey] = field(default_factory=list)
    written: list[WorkloadKey] = field(default_factory=list)
    known: dict[WorkloadKey, Record] = field(default_factory=dict)
    queries_sent = 0

    def key(self, number: int) -> WorkloadKey:
        return WorkloadKey("shop", Kind.DEPLOYMENT, f"cart-{number}")

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        return {self.key(each): self._workload(each) for each in range(self.size)}

    def _workload(self, number: int) -> Workload:
        mode = Mode.AUTO if number == self.busy else Mode.RECOMMEND
        return replace(workload(), key=self.key(number), label_mode=mode)

    def fetch(self, key: WorkloadKey) -> Workload:
        return self.workloads()[key]

    def read(self, at: float) -> Readings:
        figures = {ContainerKey(self.key(each), "app"): reading() for each in range(self.size)}
        return Readings(at, figures, {})

    def all(self) -> Mapping[WorkloadKey, Record]:
        return dict(self.known)

    def save(self, workload: Workload, record: Record) -> None:
        self.saved.append(workload.key)
        self.known[workload.key] = record

    def write(self, workload: Workload, change: Change, cause: str) -> Workload:
        del change, cause
        assert len(self.saved) - len(self.written) == 1, "written ahead, and nothing before that"
        self.written.append(workload.key)
        return workload

    def clear_cause(self, workload: Workload) -> None:
        raise AssertionError(workload)

    def of(self, key: WorkloadKey, now: float, first_seen: Mapping[str, float]) -> Resolved:
        del key, now, first_seen
        return Resolved(NONE, {})


def loop(cluster: Cluster, rules: Policy | None = None) -> Loop:
    return Loop(
        source=cluster,
        inventory=cluster,
        records=cluster,
        actuator=cluster,
        observers=[],
        policy=rules or policy(),
        overrides=cluster,
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
