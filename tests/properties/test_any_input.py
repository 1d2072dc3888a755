"""What holds whatever the metrics, the record and the clock say."""

import msgspec
from hypothesis import given

from tests.properties.worlds import World, wild_readings, worlds
from tuner.guards.fleet import admit
from tuner.model.record import Record

ANYTHING = worlds(wild_readings())


@given(ANYTHING)
def test_every_workload_gets_a_decision_with_words(world: World) -> None:
    decision = world.assess().assessment.decision
    assert decision.detail


@given(ANYTHING)
def test_the_same_inputs_give_the_same_decision(world: World) -> None:
    assert world.assess() == world.assess()


@given(ANYTHING)
def test_what_is_recorded_can_be_read_again(world: World) -> None:
    record = world.assess().assessment.record
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


@given(ANYTHING)
def test_a_workload_alone_in_its_namespace_waits_for_nobody(world: World) -> None:
    assessment = world.assess().assessment
    assert not admit({world.workload.key: assessment}, world.policy.guards)
