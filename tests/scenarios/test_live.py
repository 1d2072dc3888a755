"""The live channel: the same loops without a restart, through a ConfigMap that pods see late."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

import pytest

from tests.examples import gogc_after
from tests.scenarios.worlds import BUSY, POLICY, Stage
from tuner.control import barrier
from tuner.errors import RefusedError
from tuner.model.decision import Hold
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.trial import Change, Phase, Verdict
from tuner.model.workload import (
    BARRIER,
    FIELD_MANAGER,
    GOGC,
    GOMEMLIMIT,
    Workload,
    WorkloadKey,
)
from tuner.simulation import Fault, PlantSource, Service, SimulatedCluster
from tuner.simulation.streams import constant, step
from tuner.simulation.world import BEGINNING

LIVE = replace(BUSY, name="live", live=True)
FLOODED = replace(LIVE, requests_per_second=constant(20_000), barrier="32")
"""Twice as much as its pods can do; at this threshold each request waits too long."""
TARGET_SECONDS = 0.02
TICKS_PER_HOUR = 240


def processes(stage: Stage) -> set[tuple[str, float]]:
    return {(pod.name, pod.started_at) for pod in stage.cluster.pods(stage.key)}


def written(stage: Stage, *, since: float = 0.0) -> int:
    return stage.writes("live", since=since)


def hold_of(stage: Stage) -> Reason:
    decision = stage.decision()
    assert isinstance(decision, Hold), decision
    return decision.reason


def in_force(stage: Stage) -> set[float]:
    return {pod.settings.gogc for pod in stage.cluster.pods(stage.key)}


class LateConfigMaps:
    """An inventory whose view of the ConfigMaps stands still once it is held."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._held: Mapping[WorkloadKey, Workload] | None = None

    def hold(self) -> None:
        """Show the ConfigMaps as they are now from here on."""
        self._held = self._cluster.workloads()

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        seen = self._cluster.workloads()
        if self._held is None:
            return seen
        return {key: _with_config_map_of(self._held[key], each) for key, each in seen.items()}

    def fetch(self, key: WorkloadKey) -> Workload:
        return self._cluster.fetch(key)


@dataclass
class Refusing:
    """An API server that takes no write to a ConfigMap."""

    asked: list[Change] = field(default_factory=list)

    def write(self, workload: Workload, change: Change, cause: str | None) -> NoReturn:
        del cause
        self.asked.append(change)
        raise RefusedError(f"{workload.key}: configmaps is forbidden")

    def withdraw(self, workload: Workload) -> NoReturn:
        raise RefusedError(f"{workload.key}: configmaps is forbidden")

    def clear_cause(self, workload: Workload) -> None:
        del workload


def _with_config_map_of(earlier: Workload, workload: Workload) -> Workload:
    containers = tuple(
        replace(each, env=before.env)
        for each, before in zip(workload.containers, earlier.containers, strict=True)
    )
    return replace(workload, live=earlier.live, containers=containers)


def test_a_live_service_is_tuned_to_the_same_end_and_no_pod_is_restarted() -> None:
    live, restarted = Stage(LIVE), Stage(BUSY)
    before = processes(live)
    for stage in (live, restarted):
        stage.run(2 * TICKS_PER_HOUR)
    assert processes(live) == before
    assert live.writes() == live.writes("change-cause") == 0
    assert live.gogc() == restarted.gogc()
    assert in_force(live) == {float(live.gogc() or 0)}
    assert set(live.verdicts()) == {Verdict.CONFIRMED}
    for outcome in live.outcomes():
        assert outcome.measured_saving_ratio == pytest.approx(
            outcome.predicted_saving_ratio, abs=0.06
        )
    assert live.cluster.fetch(live.key).change_cause is None


def test_without_restarts_the_end_is_reached_sooner() -> None:
    def seconds(service: Service) -> float:
        stage = Stage(service)
        stage.until(lambda stage: len(stage.outcomes()) == 2)
        return stage.world.seconds

    assert seconds(LIVE) < 0.8 * seconds(BUSY)


@pytest.mark.parametrize("delay", [0, 60, 150])
def test_the_next_step_waits_until_the_last_one_was_seen_and_judged(delay: float) -> None:
    stage = Stage(replace(LIVE, mount_delay_seconds=delay))
    values = []
    for _ in range(2 * TICKS_PER_HOUR):
        before = written(stage)
        shown = in_force(stage)
        last = stage.gogc()
        stage.run(1)
        if written(stage) > before:
            assert shown == {float(last or 100)}, "a write before the last one is in force"
            values.append(stage.gogc())
    assert values == ["200", "400"]
    assert stage.verdicts() == [Verdict.CONFIRMED] * 2


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING])
def test_a_controller_that_is_started_anew_writes_nothing_twice(phase: Phase) -> None:
    stage = Stage(LIVE)
    stage.until_phase(phase)
    stage.world.restart()
    stage.run(TICKS_PER_HOUR)
    assert [gogc_after(each.trial.change) for each in stage.changes()] == ["200", "400"]
    assert written(stage) == 2
    assert stage.verdicts() == [Verdict.CONFIRMED] * 2


def test_what_does_harm_is_taken_back_without_a_restart() -> None:
    stage = Stage(replace(LIVE, harm=lambda gogc: 0.3e-3 if gogc > 100 else 0.0))
    before = processes(stage)
    stage.until(lambda stage: Verdict.REGRESSED in stage.verdicts())
    stage.run(20)
    assert stage.gogc() is None
    assert in_force(stage) == {100}
    assert processes(stage) == before


@pytest.mark.parametrize("value", ["150", None])
def test_what_others_did_to_a_value_in_the_config_map_is_left_alone_for_a_while(
    value: str | None,
) -> None:
    stage = Stage(LIVE)
    stage.until_verdict()
    taken = stage.cluster.now
    stage.cluster.set_env(stage.key, GOGC, value, owner="kubectl-edit")
    stage.run(30)
    assert hold_of(stage) is Reason.REVERTED_BY_OTHER
    assert written(stage, since=taken) == 0
    assert stage.gogc() == value


def test_without_its_config_map_nothing_is_written_and_the_reason_names_it() -> None:
    stage = Stage(LIVE)
    stage.run(4)
    stage.cluster.remove_config_map(stage.key)
    stage.run(TICKS_PER_HOUR)
    decision = stage.decision()
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.LIVE_CHANNEL_INVALID
    assert "live-gc" in decision.detail
    assert written(stage) == stage.writes() == 0


def test_a_config_map_that_vanishes_after_our_write_is_missed_at_once() -> None:
    stage = Stage(LIVE)
    stage.until_phase(Phase.ROLLING_OUT)
    stage.cluster.remove_config_map(stage.key)
    stage.run(1)
    assert stage.verdicts() == [Verdict.VOID]
    gone = stage.cluster.now
    stage.run(int(POLICY.timing.revert_pause_seconds / 15) + 40)
    assert hold_of(stage) is Reason.LIVE_CHANNEL_INVALID
    assert stage.verdicts() == [Verdict.VOID], "no plan is made that cannot be written"
    assert stage.writes("record", since=gone) <= 2
    stage.cluster.label(stage.key, "off")
    stage.run(1)
    assert hold_of(stage) is Reason.MODE_OFF


def test_while_the_view_of_the_config_map_is_late_the_workload_is_seen_as_it_is() -> None:
    stage = Stage(LIVE)
    late = LateConfigMaps(stage.cluster)
    stage.meddle(inventory=late)
    late.hold()
    stage.until_phase(Phase.ROLLING_OUT)
    stage.cluster.label(stage.key, "off")
    stage.run(1)
    assert hold_of(stage) is Reason.MODE_OFF
    stage.cluster.label(stage.key, "auto")
    stage.cluster.change_template(stage.key, "next release")
    stage.run(1)
    assert stage.verdicts() == [Verdict.VOID]
    assert stage.outcomes()[0].detail == "the pod template changed"


def test_what_is_refused_is_asked_for_ever_more_seldom_and_pushes_no_harm_out_of_the_record() -> (
    None
):
    stage = Stage(replace(LIVE, harm=lambda gogc: 0.3e-3 if gogc > 250 else 0.0))
    stage.until(lambda stage: Verdict.REGRESSED in stage.verdicts())
    stage.run(20)
    refusing = Refusing()
    stage.meddle(actuator=refusing)
    stage.until(lambda _: bool(refusing.asked), ticks=TICKS_PER_HOUR + 40)
    first, written = stage.cluster.now, stage.writes("record")
    stage.run(2 * TICKS_PER_HOUR)
    # After 60, 120, 240 and 480 s, then every 900 s.
    assert 9 <= len(refusing.asked) <= 12
    assert stage.writes("record") - written <= 4 * len(refusing.asked)
    record = stage.record()
    assert record is not None
    assert sum(each.verdict is Verdict.VOID for each in record.history) == 1
    assert sum(each.verdict is Verdict.REGRESSED for each in record.history) == 1

    stage.meddle()
    stage.until(lambda stage: stage.writes("live", since=first) > 0, ticks=61)


def test_a_deploy_in_the_middle_of_a_live_trial_ends_it() -> None:
    stage = Stage(LIVE)
    stage.until_phase(Phase.MEASURING)
    stage.cluster.change_template(stage.key, "next release")
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.VOID]
    assert stage.gogc() == "200", "nobody said that it did harm"


def test_a_live_heap_that_doubles_meets_the_limit_instead_of_the_kernel() -> None:
    doubling = replace(LIVE, live_bytes=step(200e6, 400e6, at=BEGINNING + 3600))
    stage = Stage(doubling)
    stage.run(3 * TICKS_PER_HOUR)
    assert stage.cluster.oom_kills == 0
    (container,) = stage.cluster.fetch(stage.key).containers
    assert container.literal(GOMEMLIMIT) == "919MiB"
    assert hold_of(stage) is Reason.MEMORY_SHORT


def test_steps_on_the_live_channel_are_clamped_as_any_other() -> None:
    roomy = replace(
        LIVE,
        live_bytes=constant(50e6),
        memory_limit_bytes=4 * 2**30,
        memory_request_bytes=4 * 2**30,
    )
    stage = Stage(roomy)
    stage.run(3 * TICKS_PER_HOUR)
    values = [100, *(int(gogc_after(each.trial.change) or 0) for each in stage.changes())]
    assert len(values) > 3
    assert all(before < after <= 2 * before for before, after in itertools.pairwise(values))


@pytest.mark.parametrize("delay", [30, 60, 90])
def test_in_an_overload_the_barrier_loop_brings_latency_to_its_target_and_holds_it_there(
    delay: float,
) -> None:
    ticks = list(barred(replace(FLOODED, mount_delay_seconds=delay), seconds=3600))
    assert ticks[0].latency_seconds > 1.3 * TARGET_SECONDS
    settled = [tick for tick in ticks if tick.at > 1500]
    assert all(0.9 < tick.latency_seconds / TARGET_SECONDS < 1.1 for tick in settled)
    thresholds = {tick.threshold for tick in settled}
    assert max(thresholds) - min(thresholds) <= 2

    writes = [tick.at for tick in ticks if tick.wrote]
    assert all(later - earlier >= delay for earlier, later in itertools.pairwise(writes))


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.UNANSWERED])
def test_what_stood_there_before_the_first_threshold_outlives_a_lost_answer(fault: Fault) -> None:
    stage = Stage(replace(FLOODED, annotations={"latency-target": "20ms"}))
    stage.cluster.faults.append(fault)
    stage.until(lambda stage: not stage.cluster.faults)
    for ticks in (0, 40):
        stage.run(ticks)
        record = stage.record()
        assert record is not None
        assert record.barrier is not None
        assert record.barrier.threshold != 32
        assert record.barrier.prior == "32"


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    latency_seconds: float
    threshold: float
    """In force."""
    wrote: bool


def barred(service: Service, *, seconds: float) -> Iterator[Tick]:
    """The barrier's law by itself on a flooded live service."""
    timing = POLICY.timing
    cluster = SimulatedCluster([service], now=0.0, seed=1)
    source = PlantSource(
        cluster,
        rate_window_seconds=timing.rate_window_seconds,
        warm_up_seconds=timing.warm_up_seconds,
    )
    (key,) = cluster.services()
    state, law, base = barrier.BarrierState(), barrier.BarrierLaw(), float(service.barrier or 0)
    while cluster.now < seconds:
        for _ in range(3):
            cluster.advance(timing.interval_seconds / 3)
            source.scrape()
        (reading,) = source.read(cluster.now).containers.values()
        if Quantity.LATENCY_P95_SECONDS not in reading:
            continue
        seen = barrier.Seen(
            observed_threshold=reading[Quantity.BARRIER_THRESHOLD_HIGHEST],
            in_flight=reading[Quantity.BARRIER_IN_FLIGHT],
            latency_seconds=reading[Quantity.LATENCY_P95_SECONDS],
            errors_ratio=reading[Quantity.ERRORS_PER_SECOND]
            / reading[Quantity.REQUESTS_PER_SECOND],
            errors_baseline=0.0,
        )
        state, asked = barrier.advance(
            state, seen, law, at=cluster.now, base=base, target_seconds=TARGET_SECONDS
        )
        if asked is not None:
            cluster.set_env(key, BARRIER, str(asked), owner=FIELD_MANAGER)
        yield Tick(
            cluster.now,
            reading[Quantity.LATENCY_P95_SECONDS],
            reading[Quantity.BARRIER_THRESHOLD_HIGHEST],
            asked is not None,
        )
