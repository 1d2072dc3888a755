"""The page of figures."""

from __future__ import annotations

import msgspec

from tests.benchmark.quality.lane import Prediction
from tests.benchmark.quality.run import FULL, QUICK, Result
from tests.benchmark.report import glance, page
from tests.unit.benchmark.lanes import COST, lane
from tests.unit.benchmark.test_store import HERE

REST = [None, 0, 1]
RACE = [
    lane("static-200-90", [2.0, 2.0, 2.0], repeats=REST),
    lane("static-400-90", [2.1, 2.1, 2.1], repeats=REST),
    lane("default", [3.0, 3.0, 3.0], repeats=REST, oom_kills=2),
    lane("automemlimit", [3.0, 3.0, 3.0], repeats=REST),
    lane("limit-only", [2.5, None, None], repeats=REST),
    lane("gctuner", [2.5, 2.5, 2.5], repeats=REST),
    lane("gc-tuner-critical", [3.0, 2.02, 2.02], repeats=REST, restarts=2),
    lane(
        "gc-tuner-normal",
        [3.0, 2.5, 2.5],
        repeats=REST,
        predictions=[
            Prediction(
                change="GOGC 100 -> 200",
                reason="gc_cost",
                verdict="Confirmed",
                predicted=0.2,
                measured=0.17,
            )
        ],
    ),
    lane("gc-tuner-live", [2.2, 2.02, 2.02], repeats=REST),
]
RESULT = Result(scenario="steady", seconds=900.0, window_seconds=30, grid=RACE[:2], race=RACE)


def _rows(text: str, first: str) -> list[list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [line for line in lines if line[0] == first]


def test_a_scenario_is_told_at_a_glance_and_in_full() -> None:
    text = page(HERE, FULL, [RESULT], [])
    (row,) = _rows(text, "[steady](#steady)")
    assert row[1:8] == [
        "1.500, 2 OOM",
        "1.500",
        "-",
        "1.250",
        "1.010",
        "1.250",
        "1.010",
    ]
    assert "normal: 1.250 of the oracle, 1.05 asked" in row[8]
    assert "critical" not in row[8]
    oracle, *_ = _rows(text, "Static-200-90 (oracle)")
    assert oracle[1:3] == ["2000.000 (2000.000-2000.000)", "1.000"]
    default, *_ = _rows(text, "Default")
    assert default[6] == "2"
    (critical,) = _rows(text, "Gc-tuner-critical")
    assert critical[7:9] == ["2", "never"]


def test_the_glance_has_the_scenarios_in_which_gc_matters() -> None:
    quiet = msgspec.structs.replace(RESULT, scenario="quiet")
    text = glance([RESULT, quiet])
    ((_, load, *ratios),) = _rows(text, "large pointer-rich heap")
    assert (load, ratios[:2], ratios[6]) == ("steady", ["1.500, 2 OOM", "1.500"], "1.010")
    assert not _rows(text, "low traffic")


def test_a_figure_of_one_repeat_has_no_spread() -> None:
    once = [each for each in RACE if each.name != "static-400-90"]
    race = [lane(each.name, [2.0], repeats=[0]) for each in once]
    text = page(HERE, FULL, [msgspec.structs.replace(RESULT, grid=[], race=race)], [])
    ((_, cost, *_),) = _rows(text, "Gctuner")
    assert cost == "2000.000"


def test_who_owes_a_figure_to_its_restarts_is_said() -> None:
    note = "A restart empties the leak"
    assert note in page(HERE, FULL, [msgspec.structs.replace(RESULT, scenario="leak")], [])
    assert note not in page(HERE, FULL, [RESULT], [])


def test_predictions_are_told_with_their_median_error() -> None:
    text = page(HERE, FULL, [RESULT], [])
    assert "Median error 3.0 percentage points" in text
    ((*_, foretold, measured, verdict),) = [
        row for row in _rows(text, "steady") if "GOGC 100 -> 200" in row
    ]
    assert (foretold, measured, verdict) == ("+20.0%", "+17.0%", "Confirmed")


def test_what_was_not_measured_is_left_out() -> None:
    text = page(HERE, FULL, [], [])
    assert "## Predictions" not in text
    assert "## What gc-tuner itself costs" not in text


def test_the_controllers_cost_is_told_by_size() -> None:
    ((_, *figures),) = _rows(page(HERE, FULL, [], [COST]), "1,000")
    assert figures == ["0.80", "1.10", "140", "150", "10.0", "2.0", "0.0", "2.0"]


def test_machine_and_commit_are_named() -> None:
    text = page(HERE, FULL, [], [])
    machine = "2 x a processor, 24 GiB, Linux 6, go1.26.8, Python 3.11.2, commit 0123456789ab"
    assert machine in text


def test_how_it_was_measured_is_told_as_it_was() -> None:
    text = page(HERE, FULL, [], [])
    assert "a grid of 12 static" in text
    assert "rateWindow 10s (default 1m)" in text
    assert "short run" not in text
    quick = page(HERE, QUICK, [], [])
    assert "a grid of 3 static" in quick
    assert "This is the short run" in quick
