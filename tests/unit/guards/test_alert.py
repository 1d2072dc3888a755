from tests.unit.guards.situations import situation
from tuner.guards.alert import alert
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def test_firing_alerts_refuse_and_are_named_in_order() -> None:
    answer = alert(situation(alerts=frozenset({"NodeDown", "ErrorBudgetBurn"})))
    assert answer == Hold(Reason.ALERT_FIRING, "firing: ErrorBudgetBurn, NodeDown")


def test_without_a_firing_alert_changes_go_on() -> None:
    assert alert(situation()) is None
