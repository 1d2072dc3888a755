from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.contract.cluster.conftest import EVENTS
from tests.contract.cluster.server import FakeApiServer, Hang, json_reply, refused
from tests.unit.instrumentation.fleet import APPLY, TRIAL
from tests.unit.instrumentation.fleet import workload as unlabelled
from tuner.cluster import EventObserver, operator_pod
from tuner.model.decision import Decision, Hold
from tuner.model.happening import (
    ChangeWritten,
    ConfigRefused,
    ConfigReloaded,
    Happening,
    HoldBegan,
    PhaseReached,
    SourceFound,
    SourceLost,
    TickFailed,
    TrialEnded,
)
from tuner.model.reason import Reason
from tuner.model.trial import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuner.cluster import Api

AT = 1700000000.25
WEB = replace(unlabelled("web"), label_mode="auto")
OWNED = Hold(Reason.OWNED_BY_OTHER, "GOGC=110 belongs to helm")
POD_EVENTS = "/apis/events.k8s.io/v1/namespaces/tuner/events"
CREATED = json_reply({"metadata": {"name": "one"}}, 201)


class Observed:
    """An observer, and what it reported."""

    def __init__(self, api: Api) -> None:
        self.reports: list[str] = []
        self.waits: list[float] = []
        self.observer = EventObserver(
            api,
            operator=operator_pod("tuner", "gc-tuner-0", "uid-pod"),
            instance="gc-tuner-0",
            report=self.reports.append,
            wait=self.waits.append,
        )
        self.observer.start()

    def tell(self, *happenings: Happening) -> None:
        for happening in happenings:
            self.observer.notify(happening)
        assert self.observer.flush(10.0)


@pytest.fixture
def observed(api: Api) -> Observed:
    return Observed(api)


def held(decision: Decision, *, at: float = AT, mode: str | None = "auto") -> HoldBegan:
    return HoldBegan(at, replace(WEB, label_mode=mode), decision)


def test_a_change_is_an_event_on_the_workload(server: FakeApiServer, observed: Observed) -> None:
    server.on("POST", EVENTS, CREATED)
    observed.tell(ChangeWritten(AT, WEB, TRIAL))
    (asked,) = server.asked("POST")
    assert asked.query == {"fieldManager": "gc-tuner"}
    assert asked.json == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": "web-", "namespace": "shop"},
        "eventTime": "2023-11-14T22:13:20.250000Z",
        "regarding": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "namespace": "shop",
            "name": "web",
            "uid": "u",
        },
        "type": "Normal",
        "reason": "ChangeWritten",
        "action": "Tune",
        "note": "container app: GOGC unset -> 200, predicted CPU -12.7%",
        "reportingController": "gc-tuner.io/gc-tuner",
        "reportingInstance": "gc-tuner-0",
    }


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_is_an_event_and_harm_a_warning(
    server: FakeApiServer, observed: Observed, verdict: Verdict
) -> None:
    server.on("POST", EVENTS, CREATED)
    outcome = Outcome(AT, TRIAL.change, Reason.GC_COST, verdict, "CPU fell", 0.127)
    observed.tell(TrialEnded(AT, WEB, outcome))
    event = server.asked("POST")[0].json
    assert event["reason"] == f"Trial{verdict.value}"
    assert event["type"] == ("Warning" if verdict is Verdict.REGRESSED else "Normal")
    assert event["note"] == "container app: GOGC unset -> 200: CPU fell"


def test_a_hold_is_told_once_an_hour_for_a_workload_and_reason(
    server: FakeApiServer, observed: Observed
) -> None:
    server.on("POST", EVENTS, CREATED)
    other = Hold(Reason.REVERTED_BY_OTHER, "gone")
    observed.tell(held(OWNED), held(other), held(OWNED, at=AT + 3599.0))
    assert [each.json["reason"] for each in server.asked("POST")] == [
        "OwnedByOther",
        "RevertedByOther",
    ]
    observed.tell(held(OWNED, at=AT + 3600.0))
    assert len(server.asked("POST")) == 3


@pytest.mark.parametrize(
    "happening",
    [
        held(OWNED, mode=None),
        held(OWNED, mode="off"),
        held(Hold(Reason.AT_TARGET, "fine")),
        held(APPLY),
        PhaseReached(AT, WEB, TRIAL),
        TickFailed(AT, "no cluster"),
    ],
)
def test_what_nobody_asked_for_is_no_event(
    server: FakeApiServer, observed: Observed, happening: Happening
) -> None:
    observed.tell(happening)
    assert server.asked("POST") == []


def test_a_lost_source_is_an_event_on_the_operator_and_a_series_when_it_flaps(
    server: FakeApiServer, observed: Observed
) -> None:
    server.on("POST", POD_EVENTS, CREATED)
    server.on("PATCH", f"{POD_EVENTS}/one", json_reply({}))
    observed.tell(SourceLost(AT, "timeout", "no answer"), SourceLost(AT + 60, "timeout", "again"))
    observed.tell(SourceFound(AT + 90, 30.0))
    lost, found = (each.json for each in server.asked("POST"))
    assert (lost["reason"], lost["type"]) == ("SourceLost", "Warning")
    assert (found["reason"], found["type"]) == ("SourceFound", "Normal")
    assert lost["regarding"]["uid"] == "uid-pod"
    (counted,) = server.asked("PATCH")
    assert counted.json == {
        "series": {"count": 2, "lastObservedTime": "2023-11-14T22:14:20.250000Z"}
    }


def test_a_configuration_that_is_refused_or_taken_over_is_told_on_the_operators_pod(
    server: FakeApiServer, observed: Observed
) -> None:
    server.on("POST", POD_EVENTS, CREATED)
    observed.tell(ConfigRefused(AT, "interval: 15 has no unit"), ConfigReloaded(AT + 60, ()))
    observed.tell(ConfigReloaded(AT + 120, ("mode", "law.worth")))
    refused, righted, reloaded = (each.json for each in server.asked("POST"))
    assert refused["regarding"]["uid"] == righted["regarding"]["uid"] == "uid-pod"
    assert (refused["reason"], refused["type"]) == ("ConfigRefused", "Warning")
    assert refused["note"].endswith("stays in force: interval: 15 has no unit")
    assert (righted["reason"], righted["type"]) == ("ConfigReloaded", "Normal")
    assert righted["note"].endswith("what was refused was put right, nothing else")
    assert reloaded["note"].endswith("mode, law.worth")


def test_a_series_whose_event_has_expired_begins_anew(
    server: FakeApiServer, observed: Observed
) -> None:
    server.on("POST", POD_EVENTS, CREATED)
    server.on("PATCH", f"{POD_EVENTS}/one", refused(404, "NotFound", "not found"))
    lost = SourceLost(AT, "timeout", "no answer")
    observed.tell(lost, replace(lost, at=AT + 60))
    assert len(server.asked("POST")) == 2
    observed.tell(replace(lost, at=AT + 60 + 1801))
    assert len(server.asked("PATCH")) == 1


def test_a_long_note_is_cut_to_what_the_server_takes(
    server: FakeApiServer, observed: Observed
) -> None:
    server.on("POST", POD_EVENTS, CREATED)
    observed.tell(SourceLost(AT, "timeout", "ü" * 1000))
    assert len(server.asked("POST")[0].json["note"].encode()) <= 1024


def test_an_api_server_that_is_away_is_tried_again_and_the_loss_is_told_once(
    server: FakeApiServer, observed: Observed
) -> None:
    away = refused(503, "ServiceUnavailable", "starting")
    server.on("POST", EVENTS, away, away, CREATED, away)
    observed.tell(ChangeWritten(AT, WEB, TRIAL))
    assert len(server.asked("POST")) == 3
    assert observed.reports == []
    observed.tell(held(OWNED), held(Hold(Reason.NO_DATA, "no series")))
    assert len(observed.reports) == 1
    assert observed.reports[0].startswith("events are lost: create event OwnedByOther in shop: 503")
    assert observed.waits == [2.0] * 6


def test_an_api_server_that_does_not_answer_holds_nobody_up(
    server: FakeApiServer, open_api: Callable[[float], Api]
) -> None:
    server.on("POST", EVENTS, Hang())
    observed = Observed(open_api(5.0))
    for number in range(3000):
        observed.observer.notify(ChangeWritten(AT + number, WEB, TRIAL))
    assert not observed.observer.flush(0.0)
    assert len(server.asked("POST")) <= 1
