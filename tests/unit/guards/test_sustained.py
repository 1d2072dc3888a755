"""When a rise, a passed memory ceiling, and another GOMEMLIMIT are believed."""

from dataclasses import replace

import pytest

from tests.examples import MIB, signals
from tests.unit.guards.situations import POLICY, ceiling, move, situation
from tuner.control.ceiling import Memory
from tuner.control.latency import LatencyAnswer, SetPoint
from tuner.guards.situation import Situation
from tuner.guards.sustained import sustained, sustained_limit
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove, MemoryLimitMove
from tuner.model.reason import Reason
from tuner.model.signals import Signals
from tuner.model.tuning import Limit

# 300 MiB at .90 allow 137 % over 100 MiB of live heap, and 18 % over 200 MiB.
SMALL = Memory(300 * MIB, 300 * MIB)
ROOMY, TIGHT = signals(), signals(live_bytes=200.0 * MIB)
FALL = move(50, limited_by=Limit.CEILING, ceiling=ceiling(lowers=True))


def watched(*windows: Signals) -> Situation:
    return situation(memory=SMALL, windows=windows)


@pytest.mark.parametrize("tight", [3, 4, 5])
def test_a_ceiling_that_most_windows_show_lowers(tight: int) -> None:
    seen = (ROOMY,) * (5 - tight) + (TIGHT,) * tight
    assert sustained(FALL, watched(*seen)) is FALL


@pytest.mark.parametrize("tight", [0, 1, 2])
def test_a_ceiling_that_fewer_windows_show_waits(tight: int) -> None:
    seen = (ROOMY,) * (5 - tight) + (TIGHT,) * tight
    answer = sustained(FALL, watched(*seen))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.MEMORY_BOUND
    assert f"in {tight} of the last 5 rate windows" in answer.detail


def test_windows_before_the_last_ones_do_not_count() -> None:
    seen = (TIGHT,) * 5 + (ROOMY,) * 3 + (TIGHT,) * 2
    assert isinstance(sustained(FALL, watched(*seen)), Hold)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(move(50, limited_by=Limit.DANGER), id="danger does not wait"),
        pytest.param(move(50, limited_by=Limit.OVERRIDE), id="people's word"),
    ],
)
def test_danger_and_peoples_word_do_not_wait(asked: GogcMove) -> None:
    assert sustained(asked, situation(windows=())) is asked


COSTLY, CHEAP = signals(), signals(gc_share=0.02)


@pytest.mark.parametrize("costly", [3, 4, 5])
def test_a_rise_that_most_windows_ask_for_is_made(costly: int) -> None:
    seen = (CHEAP,) * (5 - costly) + (COSTLY,) * costly
    rise = move(200)
    assert sustained(rise, situation(windows=seen)) is rise


def test_windows_before_the_baseline_do_not_ask() -> None:
    seen = (COSTLY,) * 10 + (CHEAP,) * 3 + (COSTLY,) * 2
    assert isinstance(sustained(move(200), situation(windows=seen)), Hold)


def test_a_rise_for_latencys_sake_need_not_save_much() -> None:
    profile = replace(POLICY.profiles["normal"], gc_share_target=0.018)
    asked = situation(windows=(CHEAP,) * 5, profile=profile)
    slow = replace(asked, latency=LatencyAnswer(SetPoint(), 0.018, missed=True))
    rise = move(110)
    assert isinstance(sustained(rise, asked), Hold)
    assert sustained(rise, slow) is rise


@pytest.mark.parametrize("costly", [0, 1, 2])
def test_a_rise_that_fewer_windows_ask_for_waits(costly: int) -> None:
    seen = (CHEAP,) * (5 - costly) + (COSTLY,) * costly
    answer = sustained(move(200), situation(windows=seen))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.NOT_WORTH
    assert f"by {costly} of the last 5 rate windows" in answer.detail


def test_windows_do_not_ask_for_what_only_a_gomemlimit_of_ours_allows() -> None:
    # Its ceiling is 298: .95 of it are too little more than 260, and ours lets GOGC pass it.
    limited = signals(gogc=260.0, gogc_effective=260.0, gomemlimit_bytes=430.0 * MIB)
    ours = situation(memory=Memory(490 * MIB, 490 * MIB), windows=(limited,) * 5)
    rise = move(520, current_gogc=260.0)
    assert sustained(rise, ours) is rise
    assert isinstance(sustained(rise, replace(ours, limit_free=False)), Hold)


# .9 of 1024 MiB less 1.1 times what Go does not know: 910 MiB, and 800 MiB where that is 110 MiB.
CALM, BUSY = signals(unknown_bytes=10.0 * MIB), signals(unknown_bytes=110.0 * MIB)


def limit(current_mib: int | None, mib: int, *, ordered: bool = False) -> MemoryLimitMove:
    current = None if current_mib is None else float(current_mib * MIB)
    return MemoryLimitMove(current, mib, ordered=ordered)


@pytest.mark.parametrize(
    ("asked", "windows"),
    [
        pytest.param(limit(910, 800), (CALM,) * 2 + (BUSY,) * 3, id="three of five want less"),
        pytest.param(limit(800, 910), (BUSY,) * 2 + (CALM,) * 3, id="three of five want more"),
        pytest.param(limit(None, 910), (), id="none at all is worse"),
        pytest.param(limit(910, 800, ordered=True), (CALM,) * 5, id="people's word"),
    ],
)
def test_a_gomemlimit_that_lasts_moves(
    asked: MemoryLimitMove, windows: tuple[Signals, ...]
) -> None:
    assert sustained_limit(asked, situation(windows=windows)) is asked


@pytest.mark.parametrize(
    ("asked", "windows"),
    [
        pytest.param(limit(910, 800), (CALM,) * 3 + (BUSY,) * 2, id="two of five"),
        pytest.param(limit(910, 800), (BUSY,) * 5 + (CALM,) * 5, id="older windows"),
        pytest.param(limit(900, 800), (CALM,) * 5, id="only noise away from the one in force"),
        pytest.param(limit(850, 800), (CALM,) * 5, id="they want it the other way"),
        pytest.param(limit(910, 800), (), id="nothing observed"),
    ],
)
def test_a_gomemlimit_that_is_but_a_dip_is_dropped(
    asked: MemoryLimitMove, windows: tuple[Signals, ...]
) -> None:
    assert sustained_limit(asked, situation(windows=windows)) is None


def test_the_memory_loops_correction_counts_in_every_window() -> None:
    # .85 * .9 * 1024 MiB - 11 MiB = 772 MiB.
    asked = limit(910, 772)
    assert sustained_limit(asked, situation(windows=(CALM,) * 5, correction=0.85)) is asked
    assert sustained_limit(asked, situation(windows=(CALM,) * 5)) is None
