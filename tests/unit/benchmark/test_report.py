"""The page of figures."""

from __future__ import annotations

import msgspec

from tests.benchmark.quality.lane import Prediction
from tests.benchmark.quality.run import FULL, QUICK, Result
from tests.benchmark.report import glance, page
from tests.unit.benchmark.lanes import COST, lane, with_gogc
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
    assert default[7] == "2"
    (critical,) = _rows(text, "Gc-tuner-critical")
    assert critical[8:10] == ["2", "never"]


def test_the_glance_has_every_scenario() -> None:
    quiet = msgspec.structs.replace(RESULT, scenario="quiet")
    text = glance([RESULT, quiet])
    steady = "[large pointer-rich heap](docs/benchmarks.md#steady), 32Mi of 320Mi"
    ((_, load, *ratios),) = _rows(text, steady)
    assert (load, ratios[:2], ratios[6]) == ("steady", ["1.500, 2 OOM", "1.500"], "1.010")
    assert _rows(text, "[low traffic](docs/benchmarks.md#quiet), 32Mi of 320Mi")


def test_what_a_figure_lacks_is_said() -> None:
    default = lane("default", [3.0, None, 3.0], repeats=REST, oom_kills=2)
    race = [default if each.name == "default" else each for each in RACE]
    text = page(HERE, FULL, [msgspec.structs.replace(RESULT, race=race)], [])
    (row,) = _rows(text, "Default")
    assert row[1:4] == ["3000.000 (1 of 2 repeats)", "1.500", "3,000"]
    assert "1 windows without figures" in text
    assert "-: in some window" not in text
    stalled = msgspec.structs.replace(RESULT, grid=[*RACE[:2], lane("static-50-90", [None])])
    assert "-: in some window" in page(HERE, FULL, [stalled], [])


def test_how_far_the_machine_moved_is_said_by_the_oracles_windows() -> None:
    oracle = lane("static-200-90", [2.0, 2.5, 2.2], repeats=REST)
    text = page(HERE, FULL, [msgspec.structs.replace(RESULT, race=[oracle, *RACE[2:]])], [])
    assert "took 2000.00 to 2500.00 ms" in text


def test_a_figure_of_one_repeat_has_no_spread() -> None:
    once = [each for each in RACE if each.name != "static-400-90"]
    race = [lane(each.name, [2.0], repeats=[0]) for each in once]
    text = page(HERE, FULL, [msgspec.structs.replace(RESULT, grid=[], race=race)], [])
    ((_, cost, *_),) = _rows(text, "Gctuner")
    assert cost == "2000.000"


def test_what_a_scenario_is_made_of_is_said() -> None:
    text = page(HERE, FULL, [RESULT], [])
    assert "32MiB live to begin with, in a container of 320 MiB; 1MiB of garbage a request" in text
    assert "requests a second `constant:40`" in text
    batch = page(HERE, FULL, [msgspec.structs.replace(RESULT, scenario="batch")], [])
    assert "40 units of work a second" in batch


def test_restarts_until_near_stand_beside_all_of_them() -> None:
    normal = lane("gc-tuner-normal", [3.0, 2.0, 2.0, 2.0, 2.0], restarts=2)
    normal = with_gogc(normal, [100, 200, 200, 200, 400])
    others = [lane(each.name, [2.0] * 5) for each in RACE if each.name != normal.name]
    text = page(HERE, FULL, [msgspec.structs.replace(RESULT, race=[*others, normal])], [])
    (row,) = _rows(text, "Gc-tuner-normal")
    assert row[8] == "2 (1 until near)"


def test_who_owes_a_figure_to_its_restarts_is_said() -> None:
    note = "A restart empties the leak"
    assert note in page(HERE, FULL, [msgspec.structs.replace(RESULT, scenario="leak")], [])
    assert note not in page(HERE, FULL, [RESULT], [])


def test_predictions_are_told_with_their_median_error() -> None:
    text = page(HERE, FULL, [RESULT], [])
    assert "measured: of 1 of 1." in text
    assert "median error 3.0 percentage points of CPU, 10 allowed: met" in text
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
