from tests.unit.guards.situations import situation
from tuner.guards.override_validity import override_validity
from tuner.model.decision import Hold
from tuner.model.override import Override
from tuner.model.reason import Reason


def test_an_override_that_cannot_be_read_refuses_in_the_words_of_its_mistake() -> None:
    mistake = "sale: line 9: pin.gogc: 'many' is not a whole number"
    answer = override_validity(situation(override=Override(invalid=mistake)))
    assert answer == Hold(Reason.OVERRIDE_INVALID, mistake)


def test_an_override_that_can_be_read_passes() -> None:
    assert override_validity(situation(override=Override(pin_gogc=200))) is None
