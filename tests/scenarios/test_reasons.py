"""Every reason there is, reached through the whole loop, and counted under its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry

from tests.scenarios.worlds import (
    BUSY,
    IDLE,
    MIB,
    POLICY,
    SHORT,
    UNSTEADY,
    Mistaking,
    Stage,
    key_of,
)
from tuner.errors import RefusedError
from tuner.instrumentation.metrics import MetricsObserver
from tuner.model.policy import GuardRules, Policy
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.trial import Change, Phase
from tuner.model.workload import GOGC, GOMEMLIMIT, EnvEntry, Workload, WorkloadKey
from tuner.simulation import Fault, Service, SimulatedCluster
from tuner.simulation.streams import constant, ramp, step, total
from tuner.simulation.world import BEGINNING

ROOMY = replace(BUSY, memory_request_bytes=4096 * MIB, memory_limit_bytes=4096 * MIB)
TICKS = 1000


def nothing(_stage: Stage) -> None:
    """Comes about by itself."""


@dataclass(frozen=True, slots=True)
class Case:
    """What brings a reason about."""

    service: Service
    act: Callable[[Stage], None] = nothing
    policy: Policy = POLICY
    others: tuple[Service, ...] = ()


def reading(**changes: float) -> Callable[[Stage], None]:
    """The figures say something else."""
    edits = {Quantity(name): value for name, value in changes.items()}
    return lambda stage: setattr(stage.world.source, "edits", edits)


@dataclass
class Template:
    """The cluster, with another env of the first service than it has."""

    cluster: SimulatedCluster
    env: Mapping[str, EnvEntry] = field(default_factory=dict)

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        return {key: self._edited(each) for key, each in self.cluster.workloads().items()}

    def fetch(self, key: WorkloadKey) -> Workload:
        return self._edited(self.cluster.fetch(key))

    def _edited(self, workload: Workload) -> Workload:
        containers = tuple(replace(each, env=self.env) for each in workload.containers)
        return replace(workload, containers=containers)


def template(entry: EnvEntry) -> Callable[[Stage], None]:
    """GOGC stands in the template in another way."""
    return lambda stage: stage.meddle(inventory=Template(stage.cluster, {GOGC: entry}))


class Refusing:
    """An API server that refuses every write to a workload."""

    def write(self, workload: Workload, change: Change, cause: str | None) -> NoReturn:
        del change, cause
        raise RefusedError(f"{workload.key}: admission webhook denied the request")

    def withdraw(self, workload: Workload) -> NoReturn:
        raise RefusedError(f"{workload.key}: denied by policy")

    def clear_cause(self, workload: Workload) -> None:
        del workload


@dataclass
class Restless:
    """A cluster in which somebody else changes the workload just before each write."""

    cluster: SimulatedCluster

    def workloads(self) -> Mapping[WorkloadKey, Workload]:
        return self.cluster.workloads()

    def fetch(self, key: WorkloadKey) -> Workload:
        fetched = self.cluster.fetch(key)
        self.cluster.annotate(key, touched=f"{self.cluster.now}")
        return fetched


def taken_away(stage: Stage) -> None:
    stage.until_phase(Phase.MEASURING)
    stage.cluster.undo(stage.key)


def unreadable_profile(service: Service) -> Service:
    return replace(service, annotations={"profile": "gold"})


def rules(**changes: object) -> Policy:
    guards: GuardRules = replace(POLICY.guards, **changes)  # type: ignore[arg-type]
    return replace(POLICY, guards=guards)


def lose(stage: Stage) -> None:
    stage.run(20)
    stage.world.source.outage = "connection refused"


def find_again(stage: Stage) -> None:
    lose(stage)
    stage.run(1)
    stage.world.source.outage = None


def lose_writes(stage: Stage) -> None:
    stage.cluster.faults.extend([Fault.LOST] * 5)


def scale_to_zero(stage: Stage) -> None:
    stage.cluster.scale(stage.key, 0)


def pause(stage: Stage) -> None:
    stage.cluster.pause(stage.key, paused=True)


def deploy(stage: Stage) -> None:
    stage.run(20)
    stage.cluster.change_template(stage.key, "second")


def deploy_what_does_not_start(stage: Stage) -> None:
    stage.run(20)
    stage.cluster.set_env(stage.key, GOMEMLIMIT, "900Mi")


def resize(stage: Stage) -> None:
    stage.run(4)
    stage.cluster.resize(stage.key, 900 * MIB, pending_seconds=3600)


def alarm(stage: Stage) -> None:
    stage.world.source.alerts = {"default": frozenset({"Burning"})}


def mistake(stage: Stage) -> None:
    stage.flawed = True
    stage.meddle(source=Mistaking(stage.world.source, stage.key))


def remove_config_map(stage: Stage) -> None:
    stage.cluster.remove_config_map(stage.key)


def beside(service: Service, **changes: object) -> Service:
    return replace(service, **changes)  # type: ignore[arg-type]


CASES: Mapping[Reason, Case] = {
    Reason.GC_COST: Case(BUSY),
    Reason.MEMORY_CEILING: Case(
        # An off of the owner's: no backstop can be set, and the ceiling is passed.
        beside(SHORT, gomemlimit="off", live_bytes=constant(410e6))
    ),
    Reason.MEMORY_LIMIT: Case(beside(IDLE, live_bytes=constant(400e6))),
    Reason.DANGER: Case(SHORT),
    Reason.BARRIER: Case(
        beside(
            BUSY,
            live=True,
            barrier="40",
            requests_per_second=total(constant(600), step(0, 9000, at=BEGINNING + 600)),
            annotations={"latency-target": "4ms"},
        )
    ),
    Reason.PINNED: Case(BUSY, lambda stage: stage.order("pin: {gogc: 400}")),
    Reason.ROLLBACK: Case(beside(ROOMY, harm=lambda gogc: 0.3e-3 if gogc > 100 else 0.0)),
    Reason.MODE_OFF: Case(beside(BUSY, mode="recommend"), lambda stage: _labelled(stage, "off")),
    Reason.MODE_RECOMMEND: Case(beside(BUSY, mode="recommend")),
    Reason.MODE_INVALID: Case(beside(BUSY, mode="Auto")),
    Reason.DRY_RUN: Case(BUSY, policy=replace(POLICY, dry_run=True)),
    Reason.STANDBY: Case(BUSY, policy=replace(POLICY, standby=True)),
    Reason.OWNED_BY_OTHER: Case(beside(BUSY, gogc="100")),
    Reason.VALUE_FROM: Case(BUSY, template(EnvEntry(None))),
    Reason.DUPLICATE_ENV: Case(BUSY, template(EnvEntry("100", count=2))),
    Reason.REVERTED_BY_OTHER: Case(BUSY, taken_away),
    Reason.CONTAINER_UNCLEAR: Case(beside(BUSY, annotations={"container": "web"})),
    Reason.ANNOTATION_INVALID: Case(unreadable_profile(BUSY)),
    Reason.LIVE_CHANNEL_INVALID: Case(beside(BUSY, live=True), remove_config_map),
    Reason.IN_PROCESS_TUNER: Case(beside(BUSY, in_process_gogc=150.0)),
    Reason.VERTICAL_AUTOSCALER: Case(beside(BUSY, vpa="busy-vpa")),
    Reason.PAUSED: Case(BUSY, lambda stage: stage.lay_down("paused: true")),
    Reason.FROZEN: Case(BUSY, lambda stage: stage.order("freeze: true")),
    Reason.AT_PIN: Case(BUSY, lambda stage: stage.order("pin: {gogc: 100}")),
    Reason.OVERRIDE_INVALID: Case(BUSY, lambda stage: stage.order("pin: {gogc: many}")),
    Reason.CHANGE_WINDOW: Case(BUSY, policy=rules(closed=lambda _at: "closed on Saturdays")),
    Reason.ALERT_FIRING: Case(BUSY, alarm),
    Reason.SOURCE_UNAVAILABLE: Case(BUSY, lose),
    Reason.SOURCE_WARMING: Case(BUSY, find_again),
    Reason.WARMING_UP: Case(BUSY),
    Reason.NO_DATA: Case(beside(BUSY, requests_per_second=constant(0))),
    Reason.STALE: Case(BUSY, reading(sample_age_seconds=600.0)),
    Reason.NOT_FINITE: Case(BUSY, reading(resident_bytes=float("nan"))),
    Reason.WINDOW_TOO_SHORT: Case(BUSY, reading(samples_in_window=2.0)),
    Reason.FEW_CYCLES: Case(BUSY, reading(gc_cycles_per_second=0.08)),
    Reason.GOGC_DIFFERS: Case(BUSY, reading(gogc_lowest=50.0)),
    Reason.COLLECTING_BASELINE: Case(BUSY),
    Reason.COST_UNKNOWN: Case(
        beside(
            ROOMY,
            runtime_metrics=False,
            cost_seconds_per_byte=0.01e-9,
            requests_per_second=step(600, 300, at=BEGINNING + 7200),
        ),
        policy=UNSTEADY,
    ),
    Reason.GC_IDLE: Case(beside(BUSY, requests_per_second=constant(2))),
    Reason.GOGC_OFF: Case(beside(BUSY, gogc="off", gomemlimit="600MiB")),
    Reason.AT_TARGET: Case(IDLE),
    Reason.AT_BOUND: Case(
        beside(
            BUSY,
            live_bytes=constant(30e6),
            garbage_bytes_per_request=3e6,
            work_seconds_per_request=0.1e-3,
            memory_request_bytes=4096 * MIB,
            memory_limit_bytes=4096 * MIB,
        )
    ),
    Reason.NOT_WORTH: Case(
        beside(IDLE, cost_seconds_per_byte=1.2e-9, requests_per_second=constant(300))
    ),
    Reason.MEMORY_BOUND: Case(BUSY),
    Reason.MEMORY_SHORT: Case(SHORT),
    Reason.MEMORY_BUDGET_UNKNOWN: Case(
        beside(BUSY, memory_request_bytes=None, memory_limit_bytes=None)
    ),
    Reason.DIRECTION_CLOSED: Case(
        # Of four pods, as two may by luck restart so that it looks like a small effect.
        beside(ROOMY, runtime_metrics=False, cost_seconds_per_byte=0.01e-9, replicas=4)
    ),
    Reason.QUARANTINED: Case(beside(ROOMY, harm=lambda gogc: 0.3e-3 if gogc > 100 else 0.0)),
    Reason.LEAK_SUSPECTED: Case(
        beside(
            ROOMY,
            live_bytes=ramp(560e6, 2400e6, start=BEGINNING, end=BEGINNING + 1800),
        )
    ),
    Reason.LATENCY_NOT_GC: Case(beside(IDLE, annotations={"latency-target": "1ms"})),
    Reason.CONTAINER_SMALL: Case(
        beside(
            BUSY,
            live_bytes=constant(4e6),
            memory_request_bytes=48 * MIB,
            memory_limit_bytes=48 * MIB,
        )
    ),
    Reason.NOT_RUNNING: Case(BUSY, scale_to_zero),
    Reason.ROLLOUT_IN_PROGRESS: Case(BUSY, deploy),
    Reason.ROLLOUT_PAUSED: Case(BUSY, pause),
    Reason.ROLLOUT_FAILING: Case(BUSY, deploy_what_does_not_start),
    Reason.FEW_REPLICAS: Case(beside(BUSY, replicas=1, surges=False)),
    Reason.RESIZE_PENDING: Case(BUSY, resize),
    Reason.TRIAL_RUNNING: Case(BUSY),
    Reason.COOLDOWN: Case(BUSY),
    Reason.OTHER_ROLLOUT: Case(BUSY, others=(beside(BUSY, name="another"),)),
    Reason.CHANGE_BUDGET: Case(
        beside(BUSY, namespace="one"),
        policy=rules(rollouts_in_cluster=1),
        others=(beside(BUSY, namespace="two", harm=lambda _: 0.1e-3),),
    ),
    Reason.WORKLOAD_CHANGED: Case(
        BUSY, lambda stage: stage.meddle(inventory=Restless(stage.cluster))
    ),
    Reason.CLUSTER_UNAVAILABLE: Case(BUSY, lose_writes),
    Reason.WRITE_REFUSED: Case(BUSY, lambda stage: stage.meddle(actuator=Refusing())),
    Reason.INTERNAL_ERROR: Case(BUSY, mistake),
}


def _labelled(stage: Stage, mode: str) -> None:
    stage.run(4)
    stage.cluster.label(stage.key, mode)


def test_no_reason_is_left_out() -> None:
    assert set(CASES) == set(Reason)


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_a_reason_is_reached_and_counted(reason: Reason) -> None:
    case, registry = CASES[reason], CollectorRegistry()
    metrics = MetricsObserver(registry, "0", lambda: 0)
    stage = Stage(case.service, *case.others, policy=case.policy, observers=(metrics,))
    case.act(stage)
    stage.until(lambda stage: _reached(stage, reason), TICKS)
    labels = ({"decision": verb, "reason": reason.value} for verb in ("apply", "hold"))
    counts = [registry.get_sample_value("gc_tuner_decisions_total", each) for each in labels]
    assert any(counts)


def _reached(stage: Stage, reason: Reason) -> bool:
    keys = [key_of(each) for each in stage.cluster.services().values()]
    decisions = [stage.decision(key) for key in keys]
    return any(each is not None and each.reason is reason for each in decisions)
