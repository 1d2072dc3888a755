import pytest

from tests.examples import NOW
from tests.unit.guards.situations import situation
from tuner.guards.orders import orders
from tuner.model.decision import Hold
from tuner.model.override import Override
from tuner.model.reason import Reason

MISTAKE = "sale: line 9: pin.gogc: 'many' is not a whole number"
FREEZE = "frozen by override sale, payments: Weekend of the sale"


def freeze(expires_at: float | None = None) -> Override:
    return Override(
        entries=("tier", "sale", "payments"),
        reason="Agreed; Weekend of the sale",
        frozen=True,
        frozen_by="sale, payments: Weekend of the sale",
        expires_at=expires_at,
    )


@pytest.mark.parametrize("override", [Override(), Override(entries=("pin",), pin_gogc=200)])
def test_what_nobody_has_stopped_passes(override: Override) -> None:
    assert orders(situation(override=override)) is None


@pytest.mark.parametrize(
    ("override", "reason", "words"),
    [
        (Override(paused=True), Reason.PAUSED, "the overrides say paused: true"),
        (freeze(), Reason.FROZEN, FREEZE),
        (freeze(expires_at=NOW + 90), Reason.FROZEN, f"{FREEZE}; ends in 90 s"),
        (Override(invalid=MISTAKE), Reason.OVERRIDE_INVALID, MISTAKE),
    ],
)
def test_what_people_have_stopped_is_refused_in_their_words(
    override: Override, reason: Reason, words: str
) -> None:
    answer = orders(situation(override=override))
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert answer.detail.startswith(words)
    assert ("ends in" in answer.detail) is (override.expires_at is not None)
