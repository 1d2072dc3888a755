import io
import json
from typing import Any

import pytest

from tests.unit.instrumentation.fleet import HOLD, TRIAL, assessment, ended, outcome, workload
from tuner.instrumentation.log import LogObserver, build_log
from tuner.model.happening import (
    ChangeWritten,
    ConfigRefused,
    ConfigReloaded,
    Happening,
    HoldBegan,
    OverridesMoved,
    PhaseReached,
    SourceFound,
    SourceLost,
    TickFailed,
    TrialEnded,
    WorkloadFailed,
    WriteFailed,
)
from tuner.model.override import Override
from tuner.model.trial import Verdict


def written(*happenings: Happening, level: str = "info") -> list[dict[str, Any]]:
    """The log of these happenings, without timestamps."""
    stream = io.StringIO()
    observer = LogObserver(build_log(json=True, level=level, stream=stream))
    for happening in happenings:
        observer.notify(happening)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        assert line.pop("timestamp").endswith("Z")
    return lines


def test_a_change_names_workload_value_reason_and_tick() -> None:
    assert written(ended(), ChangeWritten(1_000.0, workload(), TRIAL)) == [
        {
            "event": "change written",
            "level": "info",
            "tick": 2,
            "workload": "shop/Deployment/cart",
            "container": "app",
            "change": "GOGC unset -> 200",
            "reason": "gc_cost",
            "predicted_saving_ratio": 0.127,
            "predicted_memory_bytes": 700 * 1024 * 1024,
        }
    ]


def test_a_hold_and_a_phase_name_their_workload_and_reason() -> None:
    hold, phase = written(
        HoldBegan(1_000.0, workload(), HOLD), PhaseReached(1_000.0, workload(), TRIAL)
    )
    assert hold["workload"] == phase["workload"] == "shop/Deployment/cart"
    assert (hold["reason"], hold["detail"]) == ("at_target", HOLD.detail)
    assert (phase["reason"], phase["phase"]) == ("gc_cost", "Planned")


def test_overrides_that_come_and_go_are_named_with_their_workload() -> None:
    (line,) = written(OverridesMoved(1_000.0, workload(), Override(), ("sale",), ("freeze",)))
    assert line["workload"] == "shop/Deployment/cart"
    assert (line["taken"], line["released"]) == (["sale"], ["freeze"])


def test_a_verdict_of_harm_is_a_warning_and_any_other_is_not() -> None:
    lines = written(
        TrialEnded(1_500.0, workload(), outcome(Verdict.REGRESSED, -0.06)),
        TrialEnded(1_500.0, workload(), outcome(Verdict.CONFIRMED, 0.11)),
    )
    assert [(line["level"], line["verdict"]) for line in lines] == [
        ("warning", "Regressed"),
        ("info", "Confirmed"),
    ]
    assert lines[1]["measured_saving_ratio"] == 0.11


def test_trouble_is_a_warning_with_its_cause() -> None:
    key = workload().key
    lines = written(
        SourceLost(1_000.0, "timeout", "no answer in 10 s"),
        SourceFound(1_060.0, 60.04),
        WriteFailed(1_060.0, key, "record", "409"),
    )
    assert [line["level"] for line in lines] == ["warning", "info", "warning"]
    assert lines[0]["cause"] == "timeout"
    assert lines[1]["outage_seconds"] == 60.0
    assert (lines[2]["workload"], lines[2]["what"]) == (str(key), "record")


def test_a_reload_names_what_changed_and_a_refusal_what_is_wrong() -> None:
    reloaded, refused = written(
        ConfigReloaded(1_000.0, ("mode", "law.worth")), ConfigRefused(1_015.0, "interval: no unit")
    )
    assert (reloaded["level"], reloaded["changed"]) == ("info", ["mode", "law.worth"])
    assert (refused["level"], refused["detail"]) == ("warning", "interval: no unit")
    assert refused["event"] == "configuration refused: the last good one stays in force"


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
def test_a_mistake_of_our_own_is_an_error_with_its_traceback(*, as_json: bool) -> None:
    def divide(by: int) -> float:
        return 1 / by

    with pytest.raises(ZeroDivisionError) as caught:
        divide(0)
    stream = io.StringIO()
    observer = LogObserver(build_log(json=as_json, level="info", stream=stream))
    observer.notify(WorkloadFailed(1_000.0, workload().key, caught.value))
    told = stream.getvalue()
    for words in ("error", "shop/Deployment/cart", "Traceback", "in divide", "ZeroDivisionError"):
        assert words in told


def test_a_blind_cluster_is_told_once_and_so_is_its_return() -> None:
    lines = written(
        TickFailed(1_000.0, "refused"),
        TickFailed(1_015.0, "refused"),
        ended(at=1_030.0),
        ended(at=1_045.0),
    )
    assert [(line["tick"], line["event"]) for line in lines] == [
        (1, "cluster cannot be seen: nothing is written"),
        (3, "cluster seen again"),
    ]
    assert lines[1]["outage_seconds"] == 30.0


def test_ticks_without_news_are_silent_unless_debugging() -> None:
    tick = ended(assessment())
    assert written(tick, tick) == []
    assert [line["workloads"] for line in written(tick, tick, level="debug")] == [1, 1]


def test_text_for_people_has_no_colours_off_a_terminal() -> None:
    stream = io.StringIO()
    observer = LogObserver(build_log(json=False, level="info", stream=stream))
    observer.notify(HoldBegan(1_000.0, workload(), HOLD))
    assert "\x1b" not in stream.getvalue()
    assert "reason=at_target" in stream.getvalue()
