"""What holds of every write, whatever led to it."""

import re
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import NOW, gogc_after
from tests.properties.worlds import World, plausible_readings, wild_readings, worlds
from tuner.guards import objection_to
from tuner.model.decision import Apply
from tuner.model.policy import Profile
from tuner.model.reason import Reason
from tuner.model.signals import Signals
from tuner.model.trial import Trial
from tuner.model.tuning import Limit, Proposal
from tuner.model.workload import GOGC, Container, Mode, Rollout

WHOLE = re.compile(r"[1-9][0-9]*")
ANYTHING = worlds(wild_readings())
SERVICES = worlds(plausible_readings(), at=st.just(NOW))


@dataclass(frozen=True)
class NewWrite:
    """A change that is planned and would be written on the same tick."""

    trial: Trial
    proposal: Proposal
    signals: Signals
    container: Container
    profile: Profile

    @property
    def gogc(self) -> int:
        """The value to be written."""
        return int(gogc_after(self.trial.change) or "")


def write_of(world: World) -> Trial | None:
    """The change that would be written: decided on, and not objected to at the last look."""
    decision = world.assess().assessment.decision
    if not isinstance(decision, Apply):
        return None
    objection = objection_to(decision.trial, world.workload, world.workload)
    return decision.trial if objection is None else None


def new_write_of(world: World) -> NewWrite | None:
    """The change that would be written, unless it was planned on an earlier tick."""
    assessment, trial = world.assess().assessment, write_of(world)
    if trial is None or assessment.proposal is None:
        return None
    assert assessment.signals is not None
    container = world.workload.container(trial.change.container)
    assert container is not None
    name = world.workload.annotations.get("profile", world.policy.default_profile)
    profile = world.policy.profiles[name]
    return NewWrite(trial, assessment.proposal, assessment.signals, container, profile)


@given(ANYTHING)
def test_every_write_is_permitted(world: World) -> None:
    trial = write_of(world)
    if trial is not None:
        container = world.workload.container(trial.change.container)
        assert container is not None
        entries = [container.env.get(each.name) for each in trial.change.settings]
        assert world.workload.label_mode == Mode.AUTO
        assert not world.policy.dry_run
        assert world.workload.rollout is Rollout.COMPLETE or trial.reason is Reason.ROLLBACK
        for entry in entries:
            assert entry is None or (entry.count == 1 and set(entry.owners) <= {"gc-tuner"})


@given(ANYTHING)
def test_every_new_write_comes_at_its_time(world: World) -> None:
    write = new_write_of(world)
    if write is not None:
        record = world.assess().assessment.record
        pause = write.profile.cooldown_seconds
        assert world.source.steady_seconds >= world.policy.timing.rate_window_seconds
        assert record.trial is None
        assert record.applied is None or world.source.at >= record.applied.written_at + pause
        assert record.reverted_at is None or (
            world.source.at >= record.reverted_at + world.policy.timing.revert_pause_seconds
        )


@given(ANYTHING)
def test_every_new_write_is_a_whole_positive_gogc_with_something_to_compare(world: World) -> None:
    write = new_write_of(world)
    if write is not None:
        (move,) = write.trial.change.settings
        assert move.name == GOGC
        assert WHOLE.fullmatch(move.after or "")
        assert move.before == write.container.literal(GOGC)
        assert write.trial.baseline is not None


@given(SERVICES)
def test_every_new_write_is_one_step_and_changes_something(world: World) -> None:
    write = new_write_of(world)
    if write is not None:
        now, ratio = write.signals.gogc, world.policy.law.step_ratio
        assert now / ratio <= write.gogc <= now * ratio
        assert write.gogc != now


@given(SERVICES)
def test_every_rise_is_worth_it_and_fits(world: World) -> None:
    write = new_write_of(world)
    if write is not None and write.proposal.rises:
        container, profile = write.container, write.profile
        budget = container.memory_request_bytes or container.memory_limit_bytes
        assert budget is not None
        allowed = profile.memory_set_point * budget
        assert write.gogc <= profile.gogc_highest
        assert write.trial.prediction.cpu_saving_ratio >= world.policy.law.worth_ratio
        assert write.trial.prediction.memory_peak_bytes <= allowed


@given(SERVICES)
def test_gogc_falls_for_the_memory_limit_alone(world: World) -> None:
    write = new_write_of(world)
    if write is not None and not write.proposal.rises:
        assert write.trial.reason is Reason.MEMORY_CEILING
        assert write.proposal.limited_by is Limit.CEILING
        assert write.container.memory_limit_bytes is not None
        assert write.signals.gomemlimit_bytes is None


@given(SERVICES)
def test_what_auto_would_do_is_what_recommend_recommends(world: World) -> None:
    auto, only = (
        replace(world, workload=replace(world.workload, label_mode=mode)).assess().assessment
        for mode in (Mode.AUTO, Mode.RECOMMEND)
    )
    assert auto.record.recommended == only.record.recommended
    assert not isinstance(only.decision, Apply)
