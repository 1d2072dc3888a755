import pytest

from tests.examples import workload
from tests.unit.guards.situations import situation
from tuner.guards.live_channel import live_channel
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.workload import LiveChannel


@pytest.mark.parametrize("live", [None, LiveChannel("cart")])
def test_a_channel_that_can_be_written_or_none_at_all_passes(live: LiveChannel | None) -> None:
    assert live_channel(situation(workload=workload(live=live))) is None


def test_a_channel_in_trouble_refuses_with_its_trouble() -> None:
    live = LiveChannel("cart", trouble="ConfigMap 'cart' is missing")
    answer = live_channel(situation(workload=workload(live=live)))
    assert answer == Hold(Reason.LIVE_CHANNEL_INVALID, "ConfigMap 'cart' is missing")
