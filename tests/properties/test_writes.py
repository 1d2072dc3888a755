"""What holds of every write, whatever led to it."""

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from tests.examples import MIB, NOW
from tests.properties.worlds import World, plausible_readings, wild_readings, worlds
from tests.writes import (
    Write,
    check_at_rest,
    check_bounds,
    check_memory_limit,
    check_ours,
    check_permitted,
    check_step,
    check_syntax,
    check_time,
)
from tuner.guards import objection_to
from tuner.model.decision import Apply
from tuner.model.proposal import GogcMove, Proposal
from tuner.model.reason import Reason
from tuner.model.signals import Signals
from tuner.model.workload import GOGC, GOMEMLIMIT, Mode, Rollout

ANYTHING = worlds(wild_readings())
SERVICES = worlds(plausible_readings(), at=st.just(NOW))
BOTH = st.one_of(ANYTHING, SERVICES)
SEARCH = settings(
    max_examples=5000,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True, kw_only=True)
class NewWrite(Write):
    """A change that is planned and would be written on the same tick."""

    proposal: Proposal
    signals: Signals

    @property
    def move(self) -> GogcMove:
        """What is asked for of GOGC."""
        assert isinstance(self.proposal.gogc, GogcMove)
        return self.proposal.gogc


def write_of(world: World) -> Write | None:
    """The change that would be written: decided on, and not objected to at the last look."""
    decision = world.assess().assessment.decision
    if not isinstance(decision, Apply):
        return None
    if objection_to(decision.trial, world.workload, world.workload) is not None:
        return None
    return Write(
        at=world.source.at,
        trial=decision.trial,
        workload=world.workload,
        policy=world.policy,
        override=world.override,
        alerts=world.source.alerts,
    )


def new_write_of(world: World) -> NewWrite | None:
    """The change that would be written, unless it was planned earlier or is the barrier's alone."""
    assessment, write = world.assess().assessment, write_of(world)
    if write is None or assessment.proposal is None or write.trial.reason is Reason.BARRIER:
        return None
    if write.trial.change.of(GOGC) is None and write.trial.change.of(GOMEMLIMIT) is None:
        return None
    assert assessment.signals is not None
    move = assessment.proposal.gogc
    return NewWrite(
        at=write.at,
        trial=write.trial,
        workload=write.workload,
        policy=write.policy,
        override=write.override,
        alerts=write.alerts,
        current_gogc=move.current_gogc if isinstance(move, GogcMove) else math.nan,
        proposal=assessment.proposal,
        signals=assessment.signals,
    )


@pytest.mark.parametrize(
    "reason",
    [
        Reason.GC_COST,
        Reason.MEMORY_CEILING,
        Reason.MEMORY_LIMIT,
        Reason.DANGER,
        Reason.PINNED,
    ],
)
def test_the_worlds_lead_to_each_kind_of_write(reason: Reason) -> None:
    """What follows would say nothing if it were never about anything."""

    def writes(world: World) -> bool:
        write = new_write_of(world)
        return write is not None and write.trial.reason is reason

    assert writes(find(SERVICES, writes, settings=SEARCH))


@given(BOTH)
def test_every_write_is_permitted(world: World) -> None:
    write = write_of(world)
    if write is not None:
        check_permitted(write)


@given(BOTH)
def test_every_write_is_of_entries_that_are_ours_or_nobodys(world: World) -> None:
    write = write_of(world)
    if write is not None:
        check_ours(write)


@given(BOTH)
def test_no_pod_is_restarted_while_a_rollout_is_in_progress_but_to_undo_harm(
    world: World,
) -> None:
    write = write_of(world)
    if write is not None:
        check_at_rest(write)


@given(BOTH)
def test_every_new_write_comes_at_its_time(world: World) -> None:
    write = new_write_of(world)
    if write is not None:
        now, record = world.source.at, world.assess().assessment.record
        pause = write.profile.cooldown_seconds
        patient = not write.proposal.danger
        assert world.source.steady_seconds >= world.policy.timing.rate_window_seconds
        assert world.workload.rollout is Rollout.COMPLETE
        check_time(write)
        assert record.trial is None
        assert record.reverted_at is None or (
            now >= record.reverted_at + world.policy.timing.revert_pause_seconds
        )
        if patient and world.workload.live is None and record.applied is not None:
            assert now >= record.applied.written_at + pause
        assert write.trial.baseline is not None or not patient


@given(BOTH)
def test_go_takes_every_value_as_it_is_written(world: World) -> None:
    write = new_write_of(world)
    if write is not None:
        check_syntax(write)


@given(BOTH)
def test_no_gomemlimit_is_over_the_containers_limit(world: World) -> None:
    write = new_write_of(world)
    if write is not None:
        check_memory_limit(write)


@given(BOTH)
def test_every_new_write_is_one_step_unless_memory_is_in_danger_or_people_say_at_once(
    world: World,
) -> None:
    write = new_write_of(world)
    if write is not None:
        check_step(write)


@given(SERVICES)
def test_every_new_write_changes_something(world: World) -> None:
    write = new_write_of(world)
    if write is not None:
        assert write.gogc is not None or write.gomemlimit_mib is not None
        assert write.gogc is None or write.gogc != write.signals.gogc
        in_force = write.signals.gomemlimit_bytes
        assert write.gomemlimit_mib is None or write.gomemlimit_mib * MIB != in_force


@given(BOTH)
def test_the_bounds_hold_but_for_a_ceiling_danger_a_step_on_the_way_and_a_pin(
    world: World,
) -> None:
    write = new_write_of(world)
    if write is not None:
        check_bounds(write)


@given(SERVICES)
def test_every_rise_of_the_loops_is_worth_it_and_fits(world: World) -> None:
    write = new_write_of(world)
    if write is not None and write.gogc is not None and write.trial.reason is Reason.GC_COST:
        latency = write.signals.latency(write.profile.latency_quantile)
        target = write.profile.latency_target_seconds
        slow = latency is not None and target is not None and latency > target
        # What is refused would have been slow.
        slow = (
            slow or world.kept.barrier.offset < 0 or bool(write.signals.barrier_refused_per_second)
        )
        container, profile = write.container, write.profile
        budget = container.memory_request_bytes or write.limit_bytes
        assert budget is not None
        assert slow or write.move.prediction.cpu_saving_ratio >= world.policy.law.worth_ratio
        allowed = profile.memory_set_point * budget + 1  # a prediction is in whole bytes
        assert write.move.prediction.memory_peak_bytes <= allowed


@given(SERVICES)
def test_the_loops_lower_gogc_for_the_memory_limit_alone(world: World) -> None:
    write = new_write_of(world)
    if write is not None and write.gogc is not None and not write.move.rises:
        if world.override.pin_gogc is not None or world.override.gogc_highest is not None:
            return
        assert write.trial.reason in {Reason.MEMORY_CEILING, Reason.DANGER}
        assert write.limit_bytes is not None
        if write.trial.reason is Reason.MEMORY_CEILING:
            assert write.signals.gomemlimit_bytes is None


@given(SERVICES)
def test_what_auto_would_do_is_what_recommend_tells(world: World) -> None:
    write = new_write_of(world)
    told = replace(world, workload=replace(world.workload, label_mode=Mode.RECOMMEND))
    decision = told.assess().assessment.decision
    assert not isinstance(decision, Apply)
    if write is not None:
        assert decision.reason is Reason.MODE_RECOMMEND
        if write.gogc is not None:
            assert f"GOGC {write.move.current_gogc:g} -> {write.gogc} " in decision.detail
        if write.gomemlimit_mib is not None:
            assert f"-> {write.gomemlimit_mib}MiB" in decision.detail
