from dataclasses import replace

from tests.examples import NOW
from tests.unit.guards.situations import POLICY, situation
from tuner.guards.change_window import change_window
from tuner.model.decision import Hold
from tuner.model.reason import Reason

OPENING = NOW + 60
POLICY_CLOSED = replace(
    POLICY,
    guards=replace(POLICY.guards, closed=lambda at: "opens later" if at < OPENING else ""),
)


def test_outside_of_the_change_windows_nothing_is_changed() -> None:
    answer = change_window(situation(policy=POLICY_CLOSED))
    assert answer == Hold(Reason.CHANGE_WINDOW, "opens later")


def test_a_window_that_has_opened_lets_pass() -> None:
    assert change_window(situation(policy=POLICY_CLOSED, now=OPENING)) is None


def test_without_change_windows_everything_passes() -> None:
    assert change_window(situation()) is None
