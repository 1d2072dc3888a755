"""What holds of every write, whatever led to it."""

import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from tests.examples import MIB, NOW
from tests.properties.worlds import World, plausible_readings, wild_readings, worlds
from tuner.control.propose import GOGC_LEAST
from tuner.control.tier import tier_of
from tuner.guards import objection_to
from tuner.guards.orders import stopped
from tuner.model.decision import Apply
from tuner.model.policy import Profile
from tuner.model.proposal import GogcMove, Proposal
from tuner.model.reason import Reason
from tuner.model.signals import Signals
from tuner.model.trial import Trial
from tuner.model.tuning import Limit
from tuner.model.workload import BARRIER, GOGC, GOMEMLIMIT, Container, Mode, Rollout

WHOLE = re.compile(r"[1-9][0-9]*")
MEBIBYTES = re.compile(r"([1-9][0-9]*)MiB")
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


@dataclass(frozen=True)
class NewWrite:
    """A change that is planned and would be written on the same tick."""

    trial: Trial
    proposal: Proposal
    signals: Signals
    container: Container
    profile: Profile
    limit_bytes: int | None
    """The smallest memory limit that a pod has, or will have."""

    @property
    def gogc(self) -> int | None:
        """The value to be written; None where it stays."""
        move = self.trial.change.of(GOGC)
        return None if move is None else int(move.after or "")

    @property
    def gomemlimit_mib(self) -> int | None:
        """The limit to be written; None where it stays."""
        move = self.trial.change.of(GOMEMLIMIT)
        text = None if move is None else MEBIBYTES.fullmatch(move.after or "")
        return None if text is None else int(text[1])

    @property
    def move(self) -> GogcMove:
        """What is asked for of GOGC."""
        assert isinstance(self.proposal.gogc, GogcMove)
        return self.proposal.gogc


def write_of(world: World) -> Trial | None:
    """The change that would be written: decided on, and not objected to at the last look."""
    decision = world.assess().assessment.decision
    if not isinstance(decision, Apply):
        return None
    objection = objection_to(decision.trial, world.workload, world.workload)
    return decision.trial if objection is None else None


def new_write_of(world: World) -> NewWrite | None:
    """The change that would be written, unless it was planned earlier or is the barrier's alone."""
    assessment, trial = world.assess().assessment, write_of(world)
    if trial is None or assessment.proposal is None or trial.reason is Reason.BARRIER:
        return None
    if trial.change.of(GOGC) is None and trial.change.of(GOMEMLIMIT) is None:
        return None
    container = world.workload.container(trial.change.container)
    profile = tier_of(world.workload, world.policy, world.override)
    assert assessment.signals is not None
    assert container is not None
    assert isinstance(profile, Profile)
    limits = [container.running.memory_limit_bytes]
    if world.workload.live is None or limits == [None]:
        limits.append(container.memory_limit_bytes)
    limit = min((each for each in limits if each is not None), default=None)
    return NewWrite(trial, assessment.proposal, assessment.signals, container, profile, limit)


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
    trial = write_of(world)
    if trial is not None:
        assert world.workload.label_mode == Mode.AUTO
        assert world.policy.read_only is None
        assert stopped(world.override, world.source.at) is None


@given(BOTH)
def test_every_write_is_of_entries_that_are_ours_or_nobodys(world: World) -> None:
    trial = write_of(world)
    # Whoever labels a ConfigMap for the live channel hands its keys over.
    if trial is not None and world.workload.live is None:
        container = world.workload.container(trial.change.container)
        assert container is not None
        for each in trial.change.settings:
            entry = container.env.get(each.name)
            assert entry is None or (entry.count == 1 and set(entry.owners) <= {"gc-tuner"})


@given(BOTH)
def test_no_pod_is_restarted_while_a_rollout_is_in_progress_but_to_undo_harm(
    world: World,
) -> None:
    trial = write_of(world)
    if trial is not None and world.workload.live is None:
        assert world.workload.rollout is Rollout.COMPLETE or trial.reason is Reason.ROLLBACK


@given(BOTH)
def test_every_new_write_comes_at_its_time(world: World) -> None:
    write = new_write_of(world)
    if write is not None:
        now, record = world.source.at, world.assess().assessment.record
        pause = write.profile.cooldown_seconds
        patient = not write.proposal.danger
        assert world.source.steady_seconds >= world.policy.timing.rate_window_seconds
        assert world.workload.rollout is Rollout.COMPLETE
        assert not world.source.alerts
        assert not world.policy.guards.closed(now)
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
        for move in write.trial.change.settings:
            assert move.name in {GOGC, GOMEMLIMIT, BARRIER}
            assert move.before == write.container.literal(move.name)
            syntax = MEBIBYTES if move.name == GOMEMLIMIT else WHOLE
            assert syntax.fullmatch(move.after or "")


@given(BOTH)
def test_no_gomemlimit_is_over_the_containers_limit(world: World) -> None:
    write = new_write_of(world)
    if write is not None and write.gomemlimit_mib is not None and write.limit_bytes is not None:
        assert write.gomemlimit_mib * MIB <= write.limit_bytes
        pinned = world.override.pin_memory_limit_bytes
        if pinned is not None:
            assert write.gomemlimit_mib * MIB <= pinned


@given(BOTH)
def test_every_new_write_is_one_step_unless_memory_is_in_danger_or_people_say_at_once(
    world: World,
) -> None:
    write = new_write_of(world)
    if write is not None and write.gogc is not None:
        at_once = write.trial.reason is Reason.DANGER or world.override.immediate
        now, ratio = max(write.move.current_gogc, 1.0), world.policy.law.step_ratio
        assert at_once or now / ratio <= write.gogc <= now * ratio


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
    if write is None or write.gogc is None:
        return
    move, profile = write.move, write.profile
    pin = world.override.pin_gogc
    if pin is not None:
        assert min(move.current_gogc, pin) <= write.gogc <= max(move.current_gogc, pin)
    elif move.rises:
        assert write.gogc <= profile.gogc_highest
    else:
        low = move.limited_by in {Limit.CEILING, Limit.DANGER}
        assert write.gogc >= (GOGC_LEAST if low else profile.gogc_lowest) or (
            write.gogc >= move.current_gogc
        )


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
