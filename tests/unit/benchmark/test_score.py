"""Costs at rest, the oracle, nearness and regret."""

from __future__ import annotations

import pytest

from tests.benchmark.quality.race import Timeline
from tests.benchmark.quality.score import Score, at_rest, best, scores
from tests.unit.benchmark.lanes import lane, with_gogc

ORACLE = lane("static", [2.0, 2.0, 2.0, 2.0, 2.0, 2.0], repeats=[None, None, None, 0, 1, 2])


def _score(costs: list[float | None], **options: object) -> Score:
    one = lane("one", costs, repeats=[None, None, None, 0, 1, 2], **options)  # type: ignore[arg-type]
    return scores([one], ORACLE, 30.0)[0]


def test_a_cost_at_rest_is_the_median_of_the_repeats_not_of_the_windows() -> None:
    costs = [9.0, 1.0, 1.2, 1.4, 5.0, 5.2, 3.0]
    assert at_rest(lane("one", costs, repeats=[None, 0, 0, 0, 1, 1, 2])) == pytest.approx(3.0)


def test_a_repeat_that_was_not_measured_whole_does_not_count() -> None:
    costs = [1.0, None, 3.0, 5.0]
    assert at_rest(lane("one", costs, repeats=[0, 0, 1, 2])) == pytest.approx(4.0)


def test_nothing_measured_is_no_cost() -> None:
    assert at_rest(lane("one", [1.0, None])) is None


def test_the_best_are_the_cheapest_that_lived() -> None:
    lanes = [
        lane("dear", [3.0]),
        lane("killed", [1.0], oom_kills=1),
        lane("unmeasured", [None]),
        lane("cheap", [2.0]),
    ]
    assert [each.name for each in best(lanes, 3)] == ["cheap", "dear"]


def test_the_ratio_pairs_each_repeat_with_the_oracles() -> None:
    score = _score([4.0, 4.0, 4.0, 2.2, 2.4, 8.0])
    assert score.ratio == pytest.approx(1.2)
    assert score.cost == pytest.approx(2.4)
    assert score.spread == pytest.approx((2.2, 8.0))


@pytest.mark.parametrize(
    ("costs", "seconds"),
    [
        pytest.param([4.0, 2.1, 4.0, 2.1, 2.1, 2.1], 30.0, id="one window apart is noise"),
        pytest.param([4.0, 4.0, 4.0, 2.1, 2.1, 4.0], 90.0, id="at the end as well"),
        pytest.param([4.0, 2.1, 2.1, 4.0, 4.0, 2.1, 2.1, 2.1], 150.0, id="not before it stays"),
        pytest.param([2.1, 2.1, 2.1, 2.1, 4.0, 4.0], None, id="left for good"),
        pytest.param([4.0, 4.0, 4.0, 4.0, 2.1, 2.1], None, id="two windows are too few"),
        pytest.param([4.0, None, None, 2.1, 2.1, 2.1], 90.0, id="unmeasured is not near"),
    ],
)
def test_near_is_from_where_medians_of_three_windows_stay_within_a_tenth(
    costs: list[float | None], seconds: float | None
) -> None:
    oracle = lane("static", [2.0] * len(costs))
    assert scores([lane("one", costs)], oracle, 30.0)[0].near_seconds == seconds


def test_windows_after_pods_were_replaced_are_neither_near_nor_far() -> None:
    repeats = [None, 0, 0, 0, None, None, 1]
    oracle = lane("static", [2.0] * 7, repeats=repeats)
    one = lane("one", [4.0, 2.1, 2.1, 2.1, 9.0, 9.0, 9.0], repeats=repeats)
    found = scores([one], oracle, 30.0)[0]
    assert found.near_seconds == 30.0
    assert found.regret == pytest.approx(10.3 / 8 - 1)


@pytest.mark.parametrize(
    ("costs", "gogc", "needed"),
    [
        ([4.0, 3.0, 2.1, 2.1, 2.1, 2.1], [100, 200, 400, 400, 800, 800], 2),
        ([4.0, 3.0, 2.1, 2.1, 2.1, 2.1], [100, 200, 400, 400, 400, 400], 3),
        pytest.param([2.1] * 6, [100, None, 200, 200, 200, 400], 1, id="shows in two windows"),
        pytest.param([4.0] * 6, [100, 200, 400, 400, 800, 800], 3, id="never near"),
    ],
)
def test_restarts_until_near_are_those_before_it(
    costs: list[float], gogc: list[float | None], needed: int
) -> None:
    oracle = lane("static", [2.0] * 6)
    one = with_gogc(lane("one", costs, restarts=3), gogc)
    assert scores([one], oracle, 30.0)[0].restarts_until_near == needed


def test_settings_that_change_without_a_restart_are_none() -> None:
    live = with_gogc(lane("live", [2.1] * 6), [100, 200, 200, 400, 400, 800])
    assert scores([live], ORACLE, 30.0)[0].restarts_until_near == 0


def test_regret_ends_before_pods_are_replaced() -> None:
    assert _score([4.0, 2.0, 2.0, 2.0, 99.0, 99.0]).regret == pytest.approx(0.25)


def test_an_unmeasured_window_is_neither_used_nor_needed() -> None:
    assert _score([4.0, None, 2.0, 2.0, 2.0, 2.0]).regret == pytest.approx(1 / 3)


def test_a_timeline_says_which_windows_are_repeats_and_when_pods_are_replaced() -> None:
    timeline = Timeline(windows=3, rest_from=2, rounds=2, settle=1, measure=2)
    assert timeline.repeats() == [None, None, 0, None, 1, 1, None, 2, 2]
    assert timeline.restarts() == {3, 6}
    assert timeline.seconds == 270
