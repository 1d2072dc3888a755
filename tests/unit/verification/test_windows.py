from dataclasses import replace
from typing import Any

import pytest

from tests.examples import MIB, NOW, policy, signals
from tuner.model.signals import Signals, Source
from tuner.model.trial import Spread
from tuner.verification import Windows, level, observe, pooled

SETTING = ("uid", "digest", "app", 100.0)


def seen(
    *each: Signals, keep: int = 15, setting: tuple[object, ...] = SETTING, ready: int = 2
) -> Windows:
    windows = Windows()
    for one in each:
        windows = observe(
            windows, one, setting, ready_pods=ready, rate_window_seconds=60, keep=keep
        )
    return windows


def test_windows_do_not_overlap() -> None:
    ticks = [signals(at=NOW + 15 * tick) for tick in range(9)]
    assert [each.at - NOW for each in seen(*ticks).signals] == [0, 60, 120]


def test_a_tick_that_comes_a_little_early_closes_its_window() -> None:
    assert len(seen(signals(at=NOW), signals(at=NOW + 59.5))) == 2
    assert len(seen(signals(at=NOW), signals(at=NOW + 59.3))) == 1


def test_a_gap_in_the_figures_keeps_what_was_seen() -> None:
    assert len(seen(signals(at=NOW), signals(at=NOW + 3600))) == 2


def test_it_is_known_since_when_there_have_been_figures_without_a_break() -> None:
    windows = seen(signals(at=NOW), signals(at=NOW + 60))
    assert windows.since == NOW
    rest = {"ready_pods": 2, "rate_window_seconds": 60, "keep": 15}
    other = observe(windows, signals(at=NOW + 75), ("another setting",), **rest)
    assert other.since == NOW
    lost = windows.broken_off(NOW + 80)
    assert (lost.since, lost.lost_at) == (None, NOW + 80)
    assert lost.broken_off(NOW + 85) is lost
    again = observe(lost, signals(at=NOW + 90), SETTING, **rest)
    assert (again.since, again.lost_at) == (NOW + 90, None)
    assert again.signals == windows.signals


def test_a_clock_that_was_set_back_starts_from_nothing() -> None:
    back = [signals(at=NOW), signals(at=NOW + 60), signals(at=NOW - 3600), signals(at=NOW - 3540)]
    assert [each.at - NOW for each in seen(*back).signals] == [-3600, -3540]


def test_a_clock_that_was_set_back_while_pods_were_young_does_not_hold_until_it_caught_up() -> None:
    windows = seen(signals(at=NOW, pods_young=1), signals(at=NOW - 3600), signals(at=NOW - 3540))
    assert windows.seen_seconds(NOW - 3540) == 60


def test_only_the_newest_are_kept() -> None:
    ticks = [signals(at=NOW + 60 * tick) for tick in range(5)]
    assert [each.at - NOW for each in seen(*ticks, keep=3).signals] == [120, 180, 240]


def test_another_setting_starts_from_nothing() -> None:
    before = seen(signals(at=NOW), signals(at=NOW + 60))
    other = ("uid", "digest", "app", 200.0)
    after = observe(
        before, signals(at=NOW + 120), other, ready_pods=2, rate_window_seconds=60, keep=15
    )
    assert [each.at for each in after.signals] == [NOW + 120]


def test_another_number_of_pods_starts_from_nothing() -> None:
    assert len(seen(signals(at=NOW), signals(at=NOW + 60, pods=3))) == 1


def test_figures_that_lack_a_ready_pod_are_passed_over() -> None:
    lacking = signals(at=NOW + 120, pods=1)
    windows = seen(signals(at=NOW), lacking, signals(at=NOW + 135))
    assert [(each.at - NOW, each.pods) for each in windows.signals] == [(0, 2), (135, 2)]


@pytest.mark.parametrize(
    ("passed", "ready"),
    [
        pytest.param(121, 2, id="missing for two windows"),
        pytest.param(60, 1, id="not ready"),
    ],
)
def test_a_pod_that_is_gone_is_no_scrape_that_failed(passed: float, ready: int) -> None:
    windows = seen(signals(at=NOW), signals(at=NOW + passed, pods=1), ready=ready)
    assert [(each.at - NOW, each.pods) for each in windows.signals] == [(passed, 1)]


def test_young_pods_clear_the_windows_until_they_take_part() -> None:
    assert len(seen(signals(at=NOW), signals(at=NOW + 15, pods_young=1))) == 0
    later = seen(signals(at=NOW), signals(at=NOW + 15, pods_young=1), signals(at=NOW + 30))
    assert [each.at for each in later.signals] == [NOW + 30]


def test_a_level_is_the_median_and_the_spread_of_its_windows() -> None:
    kappa = level(seen(*(signals(at=NOW + 60 * at, cpu_cores=at + 1.0) for at in range(5))))
    assert kappa.cpu_seconds_per_request == Spread(median=0.003, deviation=0.001, windows=5)
    assert kappa.cpu_cores == 3.0
    assert kappa.at == NOW + 240


def test_a_level_shrugs_off_a_single_outlier() -> None:
    cores = [1.0, 1.0, 50.0, 1.0, 1.0]
    one = level(seen(*(signals(at=NOW + 60 * at, cpu_cores=u) for at, u in enumerate(cores))))
    assert one.cpu_seconds_per_request == Spread(median=0.001, deviation=0.0, windows=5)


def test_the_memory_of_a_level_is_the_most_that_was_seen() -> None:
    usage = [220.0 * MIB, 300.0 * MIB, 240.0 * MIB]
    one = level(seen(*(signals(at=NOW + 60 * at, resident_bytes=w) for at, w in enumerate(usage))))
    assert one.resident_bytes == 300 * MIB


def test_without_a_request_counter_a_level_has_the_weaker_yardstick_only() -> None:
    one = level(seen(signals(requests_per_second=None, errors_ratio=None)))
    assert one.cpu_seconds_per_request is None
    assert one.requests_per_second is None
    assert one.errors_ratio is None
    assert one.cpu_seconds_per_allocated_byte.median == pytest.approx(1.0 / (400 * MIB))


def test_a_window_without_requests_does_not_vote_on_their_cost() -> None:
    idle = signals(at=NOW + 60, requests_per_second=0.0)
    one = level(seen(signals(at=NOW), idle, signals(at=NOW + 120)))
    assert one.cpu_seconds_per_request == Spread(median=0.001, deviation=0.0, windows=2)


@pytest.mark.parametrize(
    ("source", "known"),
    [(Source.MEASURED, True), (Source.DERIVED, True), (Source.ESTIMATED, False)],
)
def test_what_is_marked_is_a_guess_where_the_live_heap_was_one_in_any_window(
    source: Source, *, known: bool
) -> None:
    windows = seen(signals(at=NOW), signals(at=NOW + 60, live_source=source))
    assert level(windows).marked_known is known


def test_no_window_makes_no_level() -> None:
    with pytest.raises(ValueError, match="at least one window"):
        level(Windows())


POLICY = policy()
TIMING = replace(POLICY.timing, interval_seconds=15.0, rate_window_seconds=60.0)


def sparse(at: float, cycles: float, **changes: Any) -> Signals:  # noqa: ANN401  # of signals
    return signals(at=NOW + at, cycles_seen=cycles, cycles_per_second=cycles / 60, **changes)


def averaged(*each: Signals) -> Signals:
    return pooled(each, each[-1], TIMING, POLICY.trial)


def test_a_window_with_cycles_enough_stands_for_itself() -> None:
    newest = sparse(60, 3, gc_share=0.3)
    assert averaged(sparse(0, 1, gc_share=0.1), newest) is newest


def test_with_too_few_cycles_what_gc_costs_is_averaged() -> None:
    answer = averaged(
        sparse(0, 2, gc_share=0.1, cpu_cores=3.0, marked_bytes_per_second=10.0 * MIB),
        sparse(60, 1, gc_share=0.3, cpu_cores=1.0, marked_bytes_per_second=30.0 * MIB),
    )
    assert answer.cycles_seen == 3
    assert answer.gc_share == pytest.approx(0.15)
    assert answer.cycles_per_second == pytest.approx(1.5 / 60)
    assert answer.marked_bytes_per_second == 20 * MIB
    assert (answer.at, answer.cpu_cores) == (NOW + 60, 1.0)


def test_windows_that_share_time_are_not_counted_twice() -> None:
    before = (sparse(0, 1), sparse(60, 1))
    assert pooled(before, sparse(60, 1), TIMING, POLICY.trial).cycles_seen == 2
    assert pooled(before, sparse(105, 1), TIMING, POLICY.trial).cycles_seen == 2


@pytest.mark.parametrize(("first", "cycles"), [(60.0, 1.0), (59.0, 0.8)])
def test_no_more_windows_than_a_trial_has_are_averaged(first: float, cycles: float) -> None:
    later = [sparse(60 * each, 0.2) for each in range(2, 6)]
    assert averaged(sparse(first, 0.2), *later).cycles_seen == pytest.approx(cycles)


@pytest.mark.parametrize(("at", "cycles"), [(75, 2.0), (76, 1.0)])
def test_nothing_is_averaged_over_a_gap(at: float, cycles: float) -> None:
    assert averaged(sparse(0, 1), sparse(at, 1)).cycles_seen == cycles


def test_nothing_is_averaged_over_another_load() -> None:
    allocated = signals().allocated_bytes_per_second
    busy = sparse(60, 100, allocated_bytes_per_second=20 * allocated)
    assert averaged(busy, sparse(120, 0.5)).cycles_seen == 0.5
    assert averaged(sparse(0, 1), busy, sparse(120, 0.5), sparse(180, 0.5)).cycles_seen == 2


def test_a_share_that_is_estimated_in_one_window_is_estimated() -> None:
    seen = (sparse(0, 1, gc_share_source=Source.ESTIMATED), sparse(60, 1))
    assert averaged(*seen).gc_share_source is Source.ESTIMATED
    assert averaged(sparse(0, 1), sparse(60, 1)).gc_share_source is Source.MEASURED


def test_a_service_that_used_no_cpu_is_averaged_too() -> None:
    idle = (sparse(0, 0, gc_share=0.2, cpu_cores=0.0), sparse(60, 0, gc_share=0.4, cpu_cores=0.0))
    assert averaged(*idle).gc_share == pytest.approx(0.3)


def test_a_level_of_windows_with_few_cycles_takes_the_mean_of_what_gc_costs() -> None:
    shares = (0.0, 0.1, 0.0)
    few = [sparse(60 * at, 20 * share, gc_share=share) for at, share in enumerate(shares)]
    many = [sparse(60 * at, 3, gc_share=share) for at, share in enumerate(shares)]
    assert level(seen(*few)).gc_share == pytest.approx(0.1 / 3)
    assert level(seen(*many)).gc_share == 0.0
