"""When a passed memory ceiling is believed."""

import pytest

from tests.examples import MIB, container, signals
from tests.unit.guards.situations import ceiling, proposal, situation
from tuner.guards.sustained import sustained
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.tuning import Limit

# 300 MiB at .90 allow 137 % over 100 MiB of live heap, and 18 % over 200 MiB.
SMALL = container(memory_limit_bytes=300 * MIB, memory_request_bytes=300 * MIB)
ROOMY, TIGHT = signals(), signals(live_bytes=200.0 * MIB)
FALL = proposal(50, limited_by=Limit.CEILING, ceiling=ceiling(lowers=True))


@pytest.mark.parametrize("tight", [3, 4, 5])
def test_a_ceiling_that_most_windows_show_lowers(tight: int) -> None:
    seen = (ROOMY,) * (5 - tight) + (TIGHT,) * tight
    assert sustained(FALL, situation(container=SMALL, windows=seen)) is FALL


@pytest.mark.parametrize("tight", [0, 1, 2])
def test_a_ceiling_that_fewer_windows_show_waits(tight: int) -> None:
    seen = (ROOMY,) * (5 - tight) + (TIGHT,) * tight
    answer = sustained(FALL, situation(container=SMALL, windows=seen))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.MEMORY_BOUND
    assert f"in {tight} of the last 5 rate windows" in answer.detail


def test_windows_before_the_last_ones_do_not_count() -> None:
    seen = (TIGHT,) * 5 + (ROOMY,) * 3 + (TIGHT,) * 2
    assert isinstance(sustained(FALL, situation(container=SMALL, windows=seen)), Hold)


def test_a_rise_is_none_of_its_business() -> None:
    rise = proposal(200)
    assert sustained(rise, situation(windows=())) is rise
