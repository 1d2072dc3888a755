"""A small Go service at GOGC 100 that spends a fifth of its CPU on garbage collection.

Round figures, so that a test can be worked out by hand: 100 MiB live, no stacks, 20 MiB of Go
memory that is not heap, 10 MiB that Go does not know, two pods. Each builder takes what differs.
"""

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import msgspec

from tuner.model.policy import Policy
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.record import Applied, AppliedSetting, Record, Verb
from tuner.model.signals import Signals, Source
from tuner.model.trial import Change, Level, Outcome, Phase, Setting, Spread, Trial, Verdict
from tuner.model.tuning import Prediction
from tuner.model.workload import (
    GOGC,
    Container,
    EnvEntry,
    Kind,
    Mode,
    Rollout,
    Workload,
    WorkloadKey,
)
from tuner.settings import Settings

MIB = 1024 * 1024
NOW = 10_000.0

STRANGE = (
    0.0,
    1.0,
    1e18,
    1.8446744073709552e19,
    2.0**63,
    1e300,
    1.7e308,
    -1.0,
    math.nan,
    math.inf,
    -math.inf,
)
"""What metrics say when something is wrong with them."""

OURS = EnvEntry("200", owners=("gc-tuner",))


def policy(**changes: Any) -> Policy:  # noqa: ANN401  # handed to replace, which knows the fields
    """The default policy, free to write."""
    return replace(Settings().policy(dry_run=False), **changes)


def reading(*, without: Collection[Quantity] = (), **changes: float) -> dict[Quantity, float]:
    """What the metrics say of the container; keywords are names of quantities."""
    usual = {
        Quantity.PODS: 2.0,
        Quantity.PODS_ALL: 2.0,
        Quantity.SAMPLE_AGE_SECONDS: 5.0,
        Quantity.SAMPLES_IN_WINDOW: 12.0,
        Quantity.CPU_CORES: 1.0,
        Quantity.GC_CPU_CORES: 0.2,
        Quantity.GC_CYCLES_PER_SECOND: 4.0,
        Quantity.MARKED_BYTES_PER_SECOND: 400.0 * MIB,
        Quantity.ALLOCATED_BYTES_PER_SECOND: 400.0 * MIB,
        Quantity.REQUESTS_PER_SECOND: 1000.0,
        Quantity.ERRORS_PER_SECOND: 1.0,
        Quantity.LATENCY_P95_SECONDS: 0.01,
        Quantity.LATENCY_P99_SECONDS: 0.02,
        Quantity.LIVE_EXPORTED_BYTES: 100.0 * MIB,
        Quantity.LIVE_DERIVED_BYTES: 101.0 * MIB,
        Quantity.LIVE_FLOOR_BYTES: 103.0 * MIB,
        Quantity.HEAP_GOAL_BYTES: 200.0 * MIB,
        Quantity.STACK_BYTES: 0.0,
        Quantity.NON_HEAP_BYTES: 20.0 * MIB,
        Quantity.UNKNOWN_BYTES: 10.0 * MIB,
        Quantity.RESIDENT_BYTES: 220.0 * MIB,
        Quantity.GOGC_LOWEST: 100.0,
        Quantity.GOGC_HIGHEST: 100.0,
    }
    usual |= {Quantity(name): value for name, value in changes.items()}
    return {quantity: value for quantity, value in usual.items() if quantity not in without}


def signals(**changes: Any) -> Signals:  # noqa: ANN401  # as policy
    """What the usual reading means."""
    usual = Signals(
        at=NOW,
        container="app",
        pods=2,
        pods_young=0,
        cpu_cores=1.0,
        gc_share=0.2,
        gc_share_source=Source.MEASURED,
        marked_bytes_per_second=400.0 * MIB,
        cycles_per_second=2.0,
        cycles_seen=120.0,
        allocated_bytes_per_second=400.0 * MIB,
        live_bytes=100.0 * MIB,
        live_source=Source.MEASURED,
        stack_bytes=0.0,
        non_heap_bytes=20.0 * MIB,
        unknown_bytes=10.0 * MIB,
        resident_bytes=220.0 * MIB,
        heap_goal_bytes=200.0 * MIB,
        gogc=100.0,
        gogc_effective=100.0,
        gogc_uniform=True,
        gomemlimit_bytes=None,
        requests_per_second=1000.0,
        errors_ratio=0.001,
        latency_p95_seconds=0.01,
        latency_p99_seconds=0.02,
        pause_ratio=None,
    )
    return replace(usual, **changes)


def container(**changes: Any) -> Container:  # noqa: ANN401  # as policy
    """The Go container: 512 MiB requested, 1 GiB allowed."""
    usual = Container("app", memory_limit_bytes=1024 * MIB, memory_request_bytes=512 * MIB)
    return replace(usual, **changes)


def workload(**changes: Any) -> Workload:  # noqa: ANN401  # as policy
    """A Deployment at rest, in mode auto."""
    usual = Workload(
        key=WorkloadKey("shop", Kind.DEPLOYMENT, "cart"),
        uid="u",
        resource_version="1",
        generation=1,
        containers=(container(),),
        rollout=Rollout.COMPLETE,
        replicas=2,
        ready_replicas=2,
        template_digest="digest",
        label_mode="auto",
    )
    return replace(usual, **changes)


def workload_with(gogc: str | None, **changes: Any) -> Workload:  # noqa: ANN401  # as policy
    """The Deployment with that GOGC in its template, put there by gc-tuner; None: not set."""
    env = {} if gogc is None else {GOGC: replace(OURS, value=gogc)}
    return workload(containers=(container(env=env),), **changes)


def level(kappa: float | None = 0.001, **changes: Any) -> Level:  # noqa: ANN401  # as policy
    """One side of a trial, CPU seconds per request given and without any spread."""
    usual = Level(
        at=NOW,
        cpu_seconds_per_request=None if kappa is None else Spread(kappa, 0.0, 5),
        cpu_seconds_per_allocated_byte=Spread(1e-9, 0.0, 5),
        gc_share=0.2,
        cpu_cores=1.0,
        requests_per_second=None if kappa is None else 1000.0,
        allocated_bytes_per_second=400.0 * MIB,
        marked_bytes_per_second=400.0 * MIB,
        resident_bytes=220 * MIB,
        errors_ratio=0.001,
        latency_seconds=Spread(0.01, 0.0, 5),
        pods=2,
    )
    return msgspec.structs.replace(usual, **changes)


def moved(before: str | None, after: str | None, name: str = GOGC) -> Change:
    """A change of one setting of the container."""
    return Change("app", (Setting(name, before, after),))


def gogc_after(change: Change) -> str | None:
    """GOGC that a change writes; None where it removes it."""
    move = change.of(GOGC)
    assert move is not None
    return move.after


def applied_gogc(value: str, prior: str | None = None, at: float = NOW) -> Applied:
    """GOGC as gc-tuner has put it into the container."""
    return Applied("app", (AppliedSetting(GOGC, value, prior),), at)


def trial(**changes: Any) -> Trial:  # noqa: ANN401  # as policy
    """GOGC from not set to 200, planned now."""
    usual = Trial(
        change=moved(None, "200"),
        reason=Reason.GC_COST,
        prediction=Prediction(cpu_saving_ratio=0.1, memory_peak_bytes=330 * MIB),
        baseline=level(),
        template_digest="digest",
        phase=Phase.PLANNED,
        started_at=NOW,
        phase_at=NOW,
    )
    return msgspec.structs.replace(usual, **changes)


def outcome(verdict: Verdict = Verdict.CONFIRMED, **changes: Any) -> Outcome:  # noqa: ANN401  # as policy
    """How the trial of GOGC 200 ended."""
    usual = Outcome(
        at=NOW - 5000,
        change=moved(None, "200"),
        reason=Reason.GC_COST,
        verdict=verdict,
        detail="",
        predicted_saving_ratio=0.1,
        requests_per_second=1000.0,
    )
    return msgspec.structs.replace(usual, **changes)


def record(**changes: Any) -> Record:  # noqa: ANN401  # as policy
    """A record in mode auto, of a workload that nothing was done to."""
    usual = Record(mode=Mode.AUTO, decision=Verb.HOLD, reason=Reason.NO_DATA, message="")
    return msgspec.structs.replace(usual, **changes)
