import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import MIB, signals
from tuner.control.memory_limit import (
    Correction,
    advance,
    binds,
    limit_for,
    parse,
    start,
    text,
    worth_writing,
)
from tuner.model.signals import Signals

GIB = 1024 * MIB
TICK = 15.0
SET_POINT = 0.9
STARTED = Correction(at=0.0)


def bound(limit_mib: float = 920, resident_mib: float = 950) -> Signals:
    """A heap as large as its GOMEMLIMIT allows."""
    return signals(
        gomemlimit_bytes=limit_mib * MIB,
        heap_goal_bytes=0.97 * (limit_mib - 20) * MIB,
        resident_bytes=resident_mib * MIB,
    )


def run(correction: Correction, subject: Signals, seconds: float) -> Correction:
    """The correction after some time of seeing the same."""
    since = 0.0 if correction.at is None else correction.at
    for tick in range(1, round(seconds / TICK) + 1):
        correction = advance(correction, subject, GIB, SET_POINT, at=since + tick * TICK)
    return correction


def test_the_limit_is_the_container_s_less_what_go_does_not_know() -> None:
    # .9 * 1024 - 1.1 * 10 = 910.6.
    assert limit_for(signals(), GIB, SET_POINT, 1.0) == 910


def test_the_correction_takes_its_part_of_the_container_s_limit() -> None:
    # .85 * .9 * 1024 - 11 = 772.36.
    assert limit_for(signals(), GIB, SET_POINT, 0.85) == 772


@pytest.mark.parametrize(
    ("container_mib", "mib"),
    [
        # 1.1 * (100 + 20) = 132 MiB must be left, which takes (132 + 11) / .9 = 158.9 MiB.
        (160, 133),
        (158, 132),  # .9 * 158 - 10: without margin, but better than a kill
        (70, 53),
    ],
)
def test_memory_too_small_for_what_go_keeps_is_short_and_given_all_there_is(
    container_mib: int, mib: int
) -> None:
    assert limit_for(signals(), container_mib * MIB, SET_POINT, 1.0) == mib


def test_a_short_container_is_not_made_shorter_by_the_correction() -> None:
    full = limit_for(signals(), 158 * MIB, SET_POINT, 1.0)
    assert limit_for(signals(), 158 * MIB, SET_POINT, 0.85) == full


def test_a_container_full_of_what_go_does_not_know_gets_no_limit() -> None:
    crowded = signals(unknown_bytes=950.0 * MIB)
    assert limit_for(crowded, GIB, SET_POINT, 1.0) is None


@pytest.mark.parametrize("size", [63 * MIB, 0, -1, math.nan, math.inf])
def test_a_container_too_small_or_without_a_size_gets_no_limit(size: float) -> None:
    assert limit_for(signals(), size, SET_POINT, 1.0) is None


def test_a_container_of_64_mib_gets_a_limit() -> None:
    tiny = signals(live_bytes=8.0 * MIB, non_heap_bytes=8.0 * MIB, unknown_bytes=0.0)
    assert limit_for(tiny, 64 * MIB, SET_POINT, 1.0) == 57


@pytest.mark.parametrize(
    ("mib", "in_force_mib", "worth"),
    [
        (910, None, True),
        (910, 910, False),
        (910, 900, False),
        (945, 900, True),
        (944, 900, False),
        (855, 900, True),
        (856, 900, False),
    ],
)
def test_a_limit_is_written_where_none_is_set_or_for_a_twentieth(
    mib: int, in_force_mib: int | None, *, worth: bool
) -> None:
    in_force = None if in_force_mib is None else in_force_mib * MIB
    assert worth_writing(mib, in_force) is worth


def test_memory_over_the_set_point_brings_the_limit_down() -> None:
    low = run(STARTED, bound(resident_mib=980), 600)
    assert 0.85 <= low.k < 1


def test_memory_under_the_set_point_leaves_the_limit_alone() -> None:
    assert run(STARTED, bound(resident_mib=800), 3600).k == 1


def test_the_correction_settles_where_memory_is_at_the_set_point() -> None:
    # 80 MiB more than GOMEMLIMIT says; memory follows the limit with a lag of a minute.
    correction, resident = STARTED, 1000.0
    for tick in range(1, 8 * 240 + 1):
        limit = limit_for(bound(resident_mib=resident), GIB, SET_POINT, correction.k)
        assert limit is not None
        resident += (limit + 80 - resident) * TICK / 60
        correction = advance(correction, bound(limit, resident), GIB, SET_POINT, at=tick * TICK)
    assert resident == pytest.approx(0.9 * 1024, rel=0.005)
    # .9 * k * 1024 - 11 + 80 = .9 * 1024.
    assert correction.k == pytest.approx(1 - 69 / 921.6, abs=0.005)


def test_a_day_over_the_set_point_does_not_wind_up() -> None:
    hours, day = (run(STARTED, bound(resident_mib=1010), each) for each in (4 * 3600, 86400))
    assert day.k == hours.k == 0.85
    assert run(day, bound(resident_mib=880), 60).k > 0.85


def test_the_correction_decays_while_gogc_decides() -> None:
    low = Correction(0.85, -0.15, at=0.0)
    idle = signals(gomemlimit_bytes=910.0 * MIB, resident_bytes=1000.0 * MIB)
    assert run(low, idle, 300).k == pytest.approx(1 - 0.15 / math.e)
    assert run(low, idle, 7200).k == pytest.approx(1)


def test_the_limit_that_begins_to_bind_again_makes_no_jump() -> None:
    decayed = run(Correction(0.85, -0.15, at=0.0), replace(bound(), heap_goal_bytes=1.0), 150)
    assert advance(decayed, bound(), GIB, SET_POINT, at=165.0).k == pytest.approx(
        decayed.k, abs=0.001
    )


def test_a_heap_that_has_grown_up_to_the_limit_leaves_it_alone() -> None:
    small = signals(gomemlimit_bytes=910.0 * MIB, resident_bytes=400.0 * MIB)
    grown = advance(run(STARTED, small, 3600), bound(910, 880), GIB, SET_POINT, at=3615.0)
    assert grown.k == 1


@pytest.mark.parametrize("resident_mib", [700, 900, 1000])
def test_the_loop_starts_at_the_limit_in_force(resident_mib: float) -> None:
    # The limit and the margin for what Go does not know, by .9 of a GiB.
    first = advance(Correction(), bound(800, resident_mib), GIB, SET_POINT, at=0.0)
    assert first.k == pytest.approx(811 / 921.6)
    assert limit_for(bound(800), GIB, SET_POINT, first.k) in (799, 800)
    second = advance(first, bound(800, resident_mib), GIB, SET_POINT, at=TICK)
    assert second.k == pytest.approx(first.k, abs=0.004)


@pytest.mark.parametrize(("limit_mib", "k"), [(None, 1.0), (100, 0.85), (1000, 1.0)])
def test_a_limit_that_no_correction_makes_starts_the_loop_at_its_clamp(
    limit_mib: int | None, k: float
) -> None:
    limit = None if limit_mib is None else float(limit_mib * MIB)
    assert start(signals(gomemlimit_bytes=limit), GIB, SET_POINT, at=0.0).k == k


@pytest.mark.parametrize(
    ("goal_mib", "limit_mib", "expected"),
    [(200, None, False), (200, 226, True), (200, 250, False), (193, 222, True)],
)
def test_a_heap_goal_at_what_the_limit_allows_is_the_limit_s(
    goal_mib: int, limit_mib: int | None, *, expected: bool
) -> None:
    # .98 * .97 * (226 - 20) = 195.8, .98 * .97 * (250 - 20) = 218.6.
    limit = None if limit_mib is None else float(limit_mib * MIB)
    subject = signals(heap_goal_bytes=goal_mib * MIB, gomemlimit_bytes=limit)
    assert binds(subject) is expected


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_figures_that_are_not_finite_move_nothing(figure: float) -> None:
    held = Correction(0.9, -0.1, at=0.0)
    usual = bound()
    assert advance(held, usual, figure, SET_POINT, at=TICK) is held
    assert advance(held, usual, GIB, figure, at=TICK) is held
    assert advance(held, usual, GIB, SET_POINT, at=figure) is held
    assert advance(held, replace(usual, resident_bytes=figure), GIB, SET_POINT, at=TICK) is held


def test_the_same_tick_twice_is_one_step() -> None:
    held = Correction(0.9, -0.1, at=TICK)
    assert advance(held, bound(), GIB, SET_POINT, at=TICK) is held


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=1e15),
            st.floats(min_value=0, max_value=1e15),
            st.floats(min_value=0, max_value=1e15),
            st.floats(),
        ),
        max_size=20,
    )
)
def test_the_correction_stays_inside_its_clamp(
    ticks: list[tuple[float, float, float, float]],
) -> None:
    correction = Correction()
    for resident, limit, container_limit, at in ticks:
        subject = signals(resident_bytes=resident, gomemlimit_bytes=limit)
        correction = advance(correction, subject, container_limit, SET_POINT, at=at)
        assert 0.85 <= correction.k <= 1
        assert correction.integral is None or math.isfinite(correction.integral)


@given(
    st.floats(min_value=0, max_value=1e15),
    st.floats(min_value=0, max_value=1e15),
    st.integers(min_value=0, max_value=10**15),
    st.floats(min_value=0.85, max_value=1),
)
def test_every_limit_is_one_that_go_accepts_and_below_the_container_s(
    live: float, unknown: float, container_limit: int, k: float
) -> None:
    subject = signals(live_bytes=live, unknown_bytes=unknown)
    mib = limit_for(subject, container_limit, SET_POINT, k)
    if mib is not None:
        assert re.fullmatch(r"[1-9][0-9]*MiB", text(mib))
        assert parse(text(mib)) == mib * MIB <= SET_POINT * container_limit


@pytest.mark.parametrize("mib", [0, -1])
def test_a_limit_that_go_could_not_live_with_is_not_written(mib: int) -> None:
    with pytest.raises(ValueError, match="whole number from 1 up"):
        text(mib)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, None),
        ("", None),
        ("off", None),
        ("9223372036854775807", None),
        ("0", 0),
        ("1048576", MIB),
        ("1048576B", MIB),
        ("1024KiB", MIB),
        ("715MiB", 715 * MIB),
        ("2GiB", 2 * GIB),
        ("1TiB", 1024 * GIB),
    ],
)
def test_limits_are_read_as_go_reads_them(value: str | None, size: int | None) -> None:
    assert parse(value) == size


@pytest.mark.parametrize(
    "value",
    ["715Mi", "715.5MiB", "715 MiB", "715MB", "-1", "OFF", "MiB", "9223372036854775808", "٣"],
)
def test_a_limit_that_go_would_not_start_with_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is not a GOMEMLIMIT"):
        parse(value)
