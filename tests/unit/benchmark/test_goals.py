"""Which goals are met."""

from __future__ import annotations

from dataclasses import replace

from tests.benchmark.quality.goals import goals, prediction_goal
from tests.benchmark.quality.scenarios import SCENARIOS
from tests.benchmark.quality.score import scores
from tests.unit.benchmark.lanes import lane

MATTERS = SCENARIOS[0]
REST = [0, 0, 0]


def _missed(gc_matters: bool = True, **figures: dict[str, object]) -> list[str]:
    given: dict[str, dict[str, object]] = {
        "static-200-90": {"costs": [2.0] * 3},
        "default": {"costs": [3.0] * 3},
        "gctuner": {"costs": [2.5] * 3},
        "gc-tuner-critical": {"costs": [2.0] * 3},
        "gc-tuner-normal": {"costs": [2.0] * 3},
        "gc-tuner-live": {"costs": [2.0] * 3},
    }
    for name, further in figures.items():
        given[name.replace("_", "-")] |= further
    lanes = [lane(name, repeats=REST, **each) for name, each in given.items()]  # type: ignore[arg-type]
    found = goals(replace(MATTERS, gc_matters=gc_matters), scores(lanes, lanes[0], 30.0))
    return [each.text for each in found if not each.met]


def test_all_can_be_met() -> None:
    assert _missed() == []


def test_each_profile_has_its_distance_from_the_oracle() -> None:
    assert len(_missed(gc_tuner_critical={"costs": [2.08] * 3})) == 1
    assert _missed(gc_tuner_normal={"costs": [2.08] * 3}) == []
    assert len(_missed(gc_tuner_normal={"costs": [2.12] * 3})) == 1


def test_none_may_be_behind_an_alternative() -> None:
    (missed,) = _missed(
        gctuner={"costs": [1.9] * 3},
        gc_tuner_normal={"costs": [1.9] * 3},
        gc_tuner_critical={"costs": [1.9] * 3},
    )
    assert missed.startswith("live: 1")


def test_an_alternative_that_is_killed_for_its_memory_is_none() -> None:
    assert _missed(default={"costs": [1.0] * 3, "oom_kills": 1}) == []
    assert len(_missed(default={"costs": [1.0] * 3})) == len(["critical", "normal", "live"])


def test_no_more_may_be_killed_than_by_default() -> None:
    (missed,) = _missed(default={"oom_kills": 1}, gc_tuner_normal={"oom_kills": 2})
    assert missed == "normal: 2 OOM kills, the default 1"


def test_three_restarts_until_near_are_allowed_and_none_on_the_live_channel() -> None:
    assert _missed(gc_tuner_normal={"restarts": 3}) == []
    assert _missed(gc_tuner_normal={"restarts": 4}) == ["normal: 4 restarts until near, 3 allowed"]
    assert _missed(gc_tuner_live={"restarts": 1}) == ["live: 1 restarts"]


def test_where_nothing_is_to_be_won_no_restart_is_allowed_and_no_cost_asked() -> None:
    missed = _missed(
        gc_matters=False, gc_tuner_normal={"restarts": 1}, gc_tuner_critical={"costs": [9.0] * 3}
    )
    assert missed == ["normal: 1 restarts for nothing"]


def test_what_was_not_measured_is_not_met() -> None:
    assert any("never measured" in each for each in _missed(gc_tuner_normal={"costs": [None] * 3}))


def test_predictions_may_be_off_by_a_tenth_of_the_cpu_in_the_median() -> None:
    assert prediction_goal([-0.5, 0.1, 0.02]).met
    assert not prediction_goal([-0.5, 0.11, 0.02]).met
