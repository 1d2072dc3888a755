from tests.unit.guards.situations import situation
from tuner.guards.paused import paused
from tuner.model.decision import Hold
from tuner.model.override import Override
from tuner.model.reason import Reason


def test_nothing_is_written_while_people_pause_everything() -> None:
    answer = paused(situation(override=Override(paused=True)))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.PAUSED


def test_a_freeze_is_no_pause() -> None:
    assert paused(situation(override=Override(frozen=True))) is None
