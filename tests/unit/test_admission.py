"""The barrier on one tick."""

from dataclasses import replace
from typing import Any

import pytest

from tests.examples import NOW, applied_gogc, container, policy, record, signals, workload
from tests.unit.guards.situations import POLICY, situation
from tuner.admission import Admission, admission
from tuner.control.barrier import BarrierState
from tuner.guards.situation import Situation
from tuner.model.override import Override
from tuner.model.reason import Reason
from tuner.model.record import Applied, AppliedSetting, Barrier
from tuner.model.trial import Setting
from tuner.model.workload import BARRIER, EnvEntry, LiveChannel, Mode, Workload

LIVE = LiveChannel("cart-gc", "7")
SLOW = signals(
    latency_p95_seconds=0.3,
    barrier_threshold=40.0,
    barrier_in_flight=39.0,
    barrier_refused_per_second=0.0,
)
"""Three times the objective of 100 ms, with the barrier nearly full."""
RUNNING = BarrierState(asked_threshold=40, measurement=2.0, integral=-0.2, at=NOW - 15)


def overloaded(**changes: Any) -> Situation:  # noqa: ANN401  # handed to replace
    usual: dict[str, Any] = {
        "workload": workload(live=LIVE),
        "container": container(env={BARRIER: EnvEntry("40", owners=("helm",))}),
        "signals": SLOW,
    }
    return situation(**(usual | changes))


def moved(answer: Admission) -> tuple[Setting, ...]:
    return answer.settings


def test_a_missed_objective_lowers_the_threshold() -> None:
    answer = admission(overloaded(), RUNNING)
    (move,) = moved(answer)
    assert (move.name, move.before) == (BARRIER, "40")
    assert move.after is not None
    assert 28 <= int(move.after) < 40
    assert answer.apply is not None
    assert answer.apply.reason is Reason.BARRIER
    assert "300 ms" in answer.apply.detail


def test_failures_that_are_usual_are_no_overload() -> None:
    met = replace(SLOW, latency_p95_seconds=0.1, errors_ratio=0.05)
    healthy, uncounted = replace(met, errors_ratio=0.01), replace(met, errors_ratio=None)
    failing = admission(overloaded(signals=met, windows=(met, healthy, met)), RUNNING)
    usual = admission(overloaded(signals=met, windows=(met, uncounted, met)), RUNNING)
    assert failing.written.measurement > usual.written.measurement


def test_what_is_not_written_leaves_the_loop_where_it_was() -> None:
    answer = admission(overloaded(), RUNNING)
    assert answer.unwritten == RUNNING
    assert answer.written.asked_threshold != 40


def test_the_first_tick_takes_over_what_is_in_force() -> None:
    answer = admission(overloaded(), BarrierState())
    assert answer.apply is None
    assert answer.written.asked_threshold == 40


@pytest.mark.parametrize(
    "about",
    [
        {"workload": workload()},
        {"workload": workload(live=replace(LIVE, trouble="not found"))},
        {"container": container()},
        {"mode": Mode.RECOMMEND},
        {"policy": policy(dry_run=True)},
        {"override": Override(paused=True)},
        {"override": Override(frozen=True)},
        {"override": Override(invalid="line 3: nonsense")},
        {"source_steady_seconds": 0.0},
        {"signals": replace(SLOW, barrier_threshold=None)},
        {"profile": replace(POLICY.profiles["normal"], latency_target_seconds=None)},
    ],
    ids=",".join,
)
def test_the_loop_stands_still_where_there_is_no_barrier_or_nobody_wants_it(
    about: dict[str, Any],
) -> None:
    answer = admission(overloaded(**about), RUNNING)
    assert answer.apply is None
    assert answer.unwritten == RUNNING


def test_a_pin_is_written_as_it_is_and_once() -> None:
    pinned = Override(pin_barrier=64, entries=("sale",))
    answer = admission(overloaded(override=pinned), RUNNING)
    assert moved(answer) == (Setting(BARRIER, "40", "64"),)
    assert answer.apply is not None
    assert answer.apply.reason is Reason.PINNED
    there = container(env={BARRIER: EnvEntry("64")})
    assert admission(overloaded(override=pinned, container=there), RUNNING).apply is None


@pytest.mark.parametrize(
    "subject",
    [workload(live=LIVE), workload(annotations={"barrier-env": "MAX_IN_FLIGHT"})],
    ids=["live", "env"],
)
def test_a_pin_needs_no_base(subject: Workload) -> None:
    pinned = Override(pin_barrier=64, entries=("sale",))
    empty = overloaded(override=pinned, workload=subject, container=container())
    assert moved(admission(empty, RUNNING)) == (Setting(BARRIER, None, "64"),)


@pytest.mark.parametrize(
    "about",
    [
        {"workload": workload()},
        {"workload": workload(live=replace(LIVE, trouble="not found"))},
        {"mode": Mode.RECOMMEND},
    ],
    ids=["no channel", "a broken channel", "not to be written"],
)
def test_a_pin_needs_a_channel_and_leave_to_write(about: dict[str, Any]) -> None:
    pinned = Override(pin_barrier=64, entries=("sale",))
    assert admission(overloaded(override=pinned, **about), RUNNING).apply is None


def test_the_base_is_the_annotations_else_what_stood_there_first() -> None:
    # Nothing is in flight: a threshold above its base decays towards it.
    idle = replace(SLOW, latency_p95_seconds=0.01, barrier_in_flight=1.0, barrier_threshold=60.0)
    high = BarrierState(offset=0.5, integral=0.5, asked_threshold=60, at=NOW - 15)
    here = container(env={BARRIER: EnvEntry("60")})
    known = record(barrier=Barrier(60, "40", NOW - 600))
    (move,) = moved(admission(overloaded(signals=idle, container=here, record=known), high))
    assert move.after is not None
    assert 40 < int(move.after) < 60
    asked = workload(live=LIVE, annotations={"barrier-base": "40"})
    assert moved(admission(overloaded(signals=idle, container=here, workload=asked), high)) == (
        move,
    )


def test_an_env_entry_is_a_barrier_where_an_annotation_names_it() -> None:
    named = workload(annotations={"barrier-env": "MAX_IN_FLIGHT", "barrier-base": "40"})
    ours = container(env={BARRIER: EnvEntry("40", owners=("gc-tuner",))})
    (move,) = moved(admission(overloaded(workload=named, container=ours), RUNNING))
    assert move.after is not None
    assert int(move.after) < 40
    theirs = overloaded(workload=named)
    assert admission(theirs, RUNNING).apply is None, "helm's entry is not ours to write"


@pytest.mark.parametrize("name", ["MAX INFLIGHT", "GOGC", ""])
def test_a_name_that_no_env_entry_can_have_is_no_barrier(name: str) -> None:
    named = workload(annotations={"barrier-env": name, "barrier-base": "40"})
    ours = container(env={BARRIER: EnvEntry("40", owners=("gc-tuner",))})
    assert admission(overloaded(workload=named, container=ours), RUNNING).settings == ()


def test_an_env_entrys_base_is_what_stood_there_before_the_first_change() -> None:
    named = workload(annotations={"barrier-env": "MAX_IN_FLIGHT"})
    ours = container(env={BARRIER: EnvEntry("30", owners=("gc-tuner",))})
    written = applied_gogc("200")
    written = Applied("app", (*written.settings, AppliedSetting(BARRIER, "30", "40")), NOW - 900)
    met = replace(SLOW, latency_p95_seconds=0.02, barrier_threshold=30.0, barrier_in_flight=29.0)
    low = BarrierState(offset=-0.25, integral=-0.25, asked_threshold=30, at=NOW - 15)
    about = overloaded(workload=named, container=ours, record=record(applied=written), signals=met)
    (move,) = moved(admission(about, low))
    assert move.after is not None
    assert 30 < int(move.after) <= 60, "it recovers towards the base of 40, or over it"
