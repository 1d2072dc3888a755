"""When a live heap grows like one that is never let go."""

from collections.abc import Sequence

import pytest

from tests.examples import MIB, signals
from tests.unit.guards.situations import situation
from tuner.guards.leak import leak
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def observed(
    live_mib: Sequence[float], goroutines: Sequence[float | None] | None = None
) -> Situation:
    """Windows with these live heaps, the last of them now."""
    counts = goroutines or (None,) * len(live_mib)
    windows = tuple(
        signals(live_bytes=live * MIB, goroutines=count)
        for live, count in zip(live_mib, counts, strict=True)
    )
    return situation(windows=windows, signals=windows[-1])


@pytest.mark.parametrize(
    "live_mib",
    [
        pytest.param([500, 520, 540, 570], id="three growths"),
        pytest.param([900, 500, 520, 540, 570], id="what was before does not count"),
    ],
)
def test_a_live_heap_that_grows_window_after_window_is_suspected(live_mib: list[float]) -> None:
    answer = leak(observed(live_mib))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.LEAK_SUSPECTED
    assert "each of the last 3 rate windows, to 570 MiB" in answer.detail


@pytest.mark.parametrize(
    "live_mib",
    [
        pytest.param([500], id="one window"),
        pytest.param([520, 540, 570], id="only two growths"),
        pytest.param([500, 520, 530, 570], id="one growth under 3 %"),
        pytest.param([500, 520, 500, 570], id="one fall"),
        pytest.param([300, 350, 400, 480], id="small: under 512 MB"),
        pytest.param([600, 600, 600, 600], id="large and steady"),
    ],
)
def test_a_live_heap_that_is_small_or_rests_is_not_suspected(live_mib: list[float]) -> None:
    assert leak(observed(live_mib)) is None


def test_goroutines_that_grow_with_the_live_heap_are_suspected() -> None:
    answer = leak(observed([100, 101, 103, 104, 106], [4000, 4400, 5000, 5300, 6000]))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.LEAK_SUSPECTED
    assert "6000" in answer.detail


@pytest.mark.parametrize(
    ("live_mib", "goroutines"),
    [
        pytest.param([100, 102, 104, 106], [4000, 5000, 6000, 7000], id="four windows"),
        pytest.param([100, 101, 103, 104, 106], [100, 200, 300, 400, 5000], id="not over 5,000"),
        pytest.param([100, 106, 100, 106, 106], [5000, 5100, 5800, 5900, 6000], id="uncorrelated"),
        pytest.param([106, 104, 103, 101, 100], [8000, 7600, 7000, 6600, 6000], id="both fall"),
        pytest.param([100, 101, 101, 102, 102.9], [4000, 4400, 4500, 5000, 6000], id="by 2.9 %"),
        pytest.param(
            [100, 101, 103, 104, 106], [6000, 6010, 6030, 6040, 6060], id="goroutines 1 %"
        ),
        pytest.param([100, 101, 103, 104, 106], [4000, None, 5000, 5300, 6000], id="not all known"),
        pytest.param([100, 100, 100, 100, 100], [6000, 6000, 6000, 6000, 6000], id="at rest"),
    ],
)
def test_goroutines_that_are_few_or_move_otherwise_are_not_suspected(
    live_mib: list[float], goroutines: list[float | None]
) -> None:
    assert leak(observed(live_mib, goroutines)) is None
