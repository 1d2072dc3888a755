import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.control.barrier import BarrierLaw, BarrierState, Seen, advance

TICK = 15.0
BASE = 100.0
TARGET = 0.1
LAW = BarrierLaw()


def seen(latency_seconds: float | None = 0.1, **changes: Any) -> Seen:  # noqa: ANN401  # handed to replace
    """A full barrier at its base, without failures."""
    usual = Seen(
        observed_threshold=100.0,
        in_flight=100.0,
        latency_seconds=latency_seconds,
        errors_ratio=0.0,
        errors_baseline=0.0,
    )
    return replace(usual, **changes)


def step(
    state: BarrierState, of: Seen, at: float, law: BarrierLaw = LAW
) -> tuple[BarrierState, int | None]:
    return advance(state, of, law, at=at, base=BASE, target_seconds=TARGET)


def started(of: Seen | None = None) -> BarrierState:
    return step(BarrierState(), of or seen(), 0.0)[0]


@dataclass
class Service:
    """A saturated pod: as many in flight as are admitted, and latency that grows with them.

    Latency is at its target with 80 in flight, rises with their power and is seen through a rate
    window. What is written is in force after the channel's dead time.
    """

    dead_time_seconds: float
    power: float = 4.0
    window_seconds: float = 30.0
    threshold: int = 100
    latency_seconds: float = TARGET
    demand: float = math.inf
    elsewhere_seconds: float | None = None
    """Latency that something else makes, whatever is admitted."""
    pending: tuple[float, int] | None = None

    def tick(self, at: float) -> Seen:
        if self.pending is not None and at >= self.pending[0] + self.dead_time_seconds:
            self.threshold, self.pending = self.pending[1], None
        in_flight = min(self.demand, self.threshold)
        reached = self.elsewhere_seconds or TARGET * (in_flight / 80) ** self.power
        weight = 1 - math.exp(-TICK / self.window_seconds)
        self.latency_seconds += weight * (reached - self.latency_seconds)
        return seen(
            self.latency_seconds, observed_threshold=float(self.threshold), in_flight=in_flight
        )

    def run(
        self, state: BarrierState, seconds: float, law: BarrierLaw = LAW, since: float = 0.0
    ) -> Iterator[tuple[float, BarrierState, int | None]]:
        """Time, state and what was written, tick by tick."""
        for tick in range(round(seconds / TICK)):
            at = since + tick * TICK
            state, written = step(state, self.tick(at), at, law)
            if written is not None:
                assert self.pending is None, "a write before the last one is in force"
                self.pending = (at, written)
            yield at, state, written


def fixed(factor: float) -> BarrierLaw:
    return BarrierLaw(gain_lowest=factor, gain_highest=factor)


def range_at_rest(service: Service, law: BarrierLaw) -> tuple[int, int]:
    """Least and greatest threshold in the second of two hours."""
    thresholds = [service.threshold for _ in service.run(BarrierState(), 7200, law)]
    return min(thresholds[240:]), max(thresholds[240:])


@pytest.mark.parametrize(
    ("factor", "dead_time_seconds"),
    [(1 / 4, 30), (1 / 4, 60), (1 / 8, 60), (1 / 8, 90)],
)
@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_with_lowered_gains_the_threshold_settles_where_the_target_is_met(
    factor: float, dead_time_seconds: float, power: float
) -> None:
    lowest, highest = range_at_rest(Service(dead_time_seconds, power), fixed(factor))
    assert 78 <= lowest <= highest <= 82


@pytest.mark.parametrize("dead_time_seconds", [60, 90])
def test_at_the_nominal_gains_the_same_service_would_swing_without_end(
    dead_time_seconds: float,
) -> None:
    lowest, highest = range_at_rest(Service(dead_time_seconds), fixed(1.0))
    assert highest - lowest > 25


def test_a_loop_that_does_not_converge_halves_its_gains_until_it_does() -> None:
    state = BarrierState(gain_factor=1.0)
    wide = BarrierLaw(gain_highest=1.0, recovery_seconds=1e9)
    service = Service(dead_time_seconds=90)
    states = [each for _, each, _ in service.run(state, 3 * 3600, wide)]
    assert states[-1].gain_factor < 1.0
    assert 78 <= service.threshold <= 82


@pytest.mark.parametrize("dead_time_seconds", [30, 60, 90])
def test_one_write_per_dead_time(dead_time_seconds: float) -> None:
    service = Service(dead_time_seconds)
    writes = [at for at, _, written in service.run(BarrierState(), 3600) if written is not None]
    assert len(writes) > 2
    assert all(b - a >= dead_time_seconds for a, b in itertools.pairwise(writes))


def test_a_missed_target_admits_fewer() -> None:
    state, written = step(started(), seen(0.2), TICK)
    assert state.offset < 0
    assert written is not None
    assert written < 100


def test_a_met_target_at_a_full_barrier_admits_more() -> None:
    state, written = step(started(), seen(0.02), TICK)
    assert state.offset > 0
    assert written is not None
    assert written > 100


def test_failures_beyond_the_usual_admit_fewer_even_where_latency_is_met() -> None:
    _, written = step(started(), seen(0.05, errors_ratio=0.2), TICK)
    assert written is not None
    assert written < 100


@pytest.mark.parametrize(
    ("ratio", "baseline"), [(0.01, None), (0.01, 0.0), (0.01, 0.001), (0.2, 0.2)]
)
def test_usual_failures_change_nothing(ratio: float, baseline: float | None) -> None:
    failing = seen(0.08, errors_ratio=ratio, errors_baseline=baseline)
    assert step(started(), failing, TICK) == step(started(), seen(0.08), TICK)


def test_half_used_thresholds_are_not_raised() -> None:
    state = started()
    for tick in range(1, 100):
        state, written = step(state, seen(0.01, in_flight=70.0), tick * TICK)
        assert written is None
    assert state.offset == 0


@pytest.mark.parametrize("threshold", [75.0, 140.0])
def test_a_threshold_without_use_goes_back_to_its_base(threshold: float) -> None:
    idle = seen(0.01, in_flight=10.0, observed_threshold=threshold)
    state = started(idle)
    for tick in range(1, 100):
        state, written = step(state, idle, tick * TICK)
        if written is not None:
            idle = replace(idle, observed_threshold=float(written))
    assert idle.observed_threshold == pytest.approx(100, abs=2)


def test_an_unused_barrier_is_still_lowered_for_a_missed_target() -> None:
    _, written = step(started(), seen(0.2, in_flight=10.0), TICK)
    assert written is not None
    assert written < 100


def test_hours_of_overload_do_not_wind_up() -> None:
    def after(overload_seconds: float) -> list[int]:
        """Thresholds from when latency, long made elsewhere, can be met with all of 75."""
        service = Service(dead_time_seconds=30, elsewhere_seconds=1.0)
        *_, (_, state, _) = service.run(BarrierState(), overload_seconds)
        service.elsewhere_seconds, service.demand = None, 75
        later = service.run(state, 600, since=overload_seconds)
        return [service.threshold for _ in later]

    hour, day = after(3600), after(86400)
    assert hour[0] == day[0] == 70
    assert day[-1] > 75
    assert day == hour


@pytest.mark.parametrize("latency", [0.01, 0.09, 0.3])
@pytest.mark.parametrize("threshold", [70.0, 90.0, 100.0, 150.0])
def test_taking_over_a_running_barrier_makes_no_jump(latency: float, threshold: float) -> None:
    running = seen(latency, observed_threshold=threshold, in_flight=threshold)
    first, written = step(BarrierState(), running, 0.0)
    assert written is None
    assert first.offset == pytest.approx(threshold / BASE - 1)
    second, _ = step(first, running, TICK)
    # At most what the integral adds in one tick: .25 * .8 * 15/120.
    assert second.offset == pytest.approx(first.offset, abs=0.0251)


def test_a_threshold_beyond_the_clamp_is_taken_into_it() -> None:
    far = seen(0.05, observed_threshold=400.0, in_flight=390.0)
    _, written = step(started(far), far, TICK)
    assert written == 150


def test_a_threshold_changed_by_someone_else_is_where_the_loop_goes_on() -> None:
    changed = seen(0.1, observed_threshold=120.0, in_flight=120.0)
    state, written = step(replace(started(), gain_factor=1 / 8), changed, TICK)
    assert state.offset == pytest.approx(0.2)
    assert (state.asked_threshold, written) == (120, None)
    assert state.gain_factor == 1 / 8


def test_a_write_that_never_shows_is_given_up_and_begun_anew_from_what_is_there() -> None:
    state, written = step(started(), seen(0.2), TICK)
    assert written is not None
    lost = [TICK + each * TICK for each in range(1, 22)]
    for at in lost[:-1]:
        state, written = step(state, seen(0.2), at)
        assert (state.asked_at, written) == (TICK, None)
    state, written = step(state, seen(0.2), lost[-1])
    assert (state.asked_at, state.offset, written) == (None, 0.0, None)


def test_another_base_moves_the_threshold_with_it() -> None:
    at_target = started()
    _, written = advance(at_target, seen(0.1), LAW, at=TICK, base=2 * BASE, target_seconds=TARGET)
    assert written == 200


def test_a_small_error_is_not_written_until_it_has_made_a_move_of_two_percent() -> None:
    state, written, tick = started(), None, 0
    while written is None and tick < 100:
        tick += 1
        state, written = step(state, seen(0.101), tick * TICK)
    assert tick > 10
    assert written == 98


def test_a_wish_halfway_between_two_thresholds_is_not_written_up_and_down() -> None:
    base, threshold, state = 12.0, 9, BarrierState()
    written = []
    for tick in range(200):
        latency = TARGET * (1.15 if tick % 2 else 0.85)
        of = seen(latency, observed_threshold=float(threshold), in_flight=float(threshold))
        state = replace(state, offset=9.5 / base - 1) if tick == 1 else state
        state, asked = advance(state, of, LAW, at=tick * TICK, base=base, target_seconds=TARGET)
        if asked is not None:
            threshold = asked
            written.append(asked)
    assert len(written) <= 2


def test_halving_the_gains_makes_no_jump() -> None:
    late = replace(started(), alerts=2, alert_error=-0.5)
    halved, _ = step(late, seen(0.16), TICK)
    assert (halved.gain_factor, halved.alerts) == (1 / 8, 0)
    kept, _ = step(started(), seen(0.16), TICK)
    assert halved.offset == kept.offset
    shown = seen(0.16, observed_threshold=halved.asked_threshold)
    assert step(halved, shown, 2 * TICK)[0].offset == pytest.approx(halved.offset, abs=0.03)


def test_a_converging_loop_keeps_its_gains() -> None:
    late = replace(started(), alerts=2, alert_error=-1.0)
    state, written = step(late, seen(0.16), TICK)
    assert written is not None
    assert (state.gain_factor, state.alerts) == (1 / 4, 1)


def test_the_gains_are_never_under_an_eighth() -> None:
    late = replace(started(), alerts=2, alert_error=-0.5, gain_factor=1 / 8)
    assert step(late, seen(0.16), TICK)[0].gain_factor == 1 / 8


def test_the_gains_recover_slowly_once_all_is_calm() -> None:
    state = replace(started(), gain_factor=1 / 8, alerts=2, alert_error=-0.5)
    factors = {}
    for tick in range(1, 241):
        state, _ = step(state, seen(0.1, in_flight=10.0), tick * TICK)
        factors[tick * TICK] = state.gain_factor
    assert factors[300.0] == 1 / 8
    assert 1 / 8 < factors[900.0] < 1 / 4
    assert factors[3600.0] == 1 / 4
    assert state.alerts == 0


@pytest.mark.parametrize("figure", [None, math.nan, math.inf, -math.inf, -1.0])
@pytest.mark.parametrize(
    "name", ["observed_threshold", "in_flight", "latency_seconds", "errors_ratio"]
)
def test_without_a_figure_the_loop_stands_still(name: str, figure: float | None) -> None:
    state = started()
    assert step(state, replace(seen(0.2), **{name: figure}), TICK) == (state, None)


@pytest.mark.parametrize("figure", [math.nan, math.inf, -0.1])
def test_with_a_baseline_that_is_no_ratio_the_loop_stands_still(figure: float) -> None:
    state = started()
    assert step(state, seen(0.2, errors_baseline=figure), TICK) == (state, None)


@pytest.mark.parametrize(
    ("at", "base", "target"),
    [
        (TICK, BASE, None),
        (TICK, BASE, math.nan),
        (TICK, BASE, 0.0),
        (TICK, 0.0, TARGET),
        (TICK, math.nan, TARGET),
        (TICK, math.inf, TARGET),
        (math.nan, BASE, TARGET),
        (0.0, BASE, TARGET),
        (-TICK, BASE, TARGET),
    ],
)
def test_without_a_target_a_base_or_a_later_time_the_loop_stands_still(
    at: float, base: float, target: float | None
) -> None:
    state = started()
    answer = advance(state, seen(0.2), LAW, at=at, base=base, target_seconds=target)
    assert answer == (state, None)


def test_a_service_without_a_barrier_in_force_gets_none() -> None:
    fresh = BarrierState()
    assert step(fresh, seen(0.2, observed_threshold=0.0), 0.0) == (fresh, None)


FIGURES = st.none() | st.floats() | st.floats(min_value=0, max_value=1000)


@given(
    st.lists(
        st.tuples(
            st.builds(Seen, FIGURES, FIGURES, FIGURES, FIGURES, FIGURES),
            st.floats(min_value=0, max_value=1e5),
        ),
        max_size=20,
    ),
    st.floats(min_value=1, max_value=1e6),
)
def test_the_threshold_stays_inside_its_clamp(ticks: list[tuple[Seen, float]], base: float) -> None:
    state = BarrierState()
    for of, at in ticks:
        state, written = advance(state, of, LAW, at=at, base=base, target_seconds=TARGET)
        assert -0.3 <= state.offset <= 0.5
        assert math.isfinite(state.integral)
        if written is not None:
            assert max(0.7 * base - 0.5, 1) <= written <= max(1.5 * base + 0.5, 1)
