import pytest

from tests.examples import NOW
from tests.unit.guards.situations import situation
from tuner.guards.frozen import frozen
from tuner.model.decision import Hold
from tuner.model.override import Override
from tuner.model.reason import Reason

SALE = Override(entries=("sale", "payments"), reason="Weekend of the sale", frozen=True)


@pytest.mark.parametrize("override", [Override(), Override(entries=("pin",), pin_gogc=200)])
def test_what_is_not_frozen_passes(override: Override) -> None:
    assert frozen(situation(override=override)) is None


@pytest.mark.parametrize(
    ("expires_at", "words"),
    [
        (None, "frozen by override sale, payments: Weekend of the sale"),
        (NOW + 90, "frozen by override sale, payments: Weekend of the sale; ends in 90 s"),
    ],
)
def test_a_freeze_is_told_with_its_names_its_reason_and_its_end(
    expires_at: float | None, words: str
) -> None:
    override = Override(
        entries=SALE.entries, reason=SALE.reason, frozen=True, expires_at=expires_at
    )
    assert frozen(situation(override=override)) == Hold(Reason.FROZEN, words)
