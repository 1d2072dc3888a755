from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.testbed.proxy import Altered, Request
from tests.faults.__main__ import inflict, kill_all
from tests.faults.catalogue import FAULTS, Fault, Place, an_hour_ahead, not_a_number, partial
from tests.faults.judge import Change
from tests.faults.run import Result, too_early, too_late
from tests.faults.scene import Scene

if TYPE_CHECKING:
    from tests.faults.lane import Lane

AT = 1_800_000_000.0
QUERY = Request("GET", f"/api/v1/query?query=up&time={AT}", b"")


def answer_of(fate: object) -> dict[str, object]:
    assert isinstance(fate, Altered)
    series = [{"metric": {}, "value": [AT, str(number)]} for number in range(4)]
    good = {"status": "success", "data": {"resultType": "vector", "result": series}}
    made: dict[str, object] = json.loads(fate.answer(json.dumps(good).encode()))
    return made


def test_an_answer_in_part_says_so() -> None:
    answer = answer_of(partial(QUERY))
    assert answer["warnings"]
    assert answer["data"] == {
        "resultType": "vector",
        "result": [{"metric": {}, "value": [AT, "0"]}, {"metric": {}, "value": [AT, "2"]}],
    }


def test_every_value_is_not_a_number() -> None:
    answer = answer_of(not_a_number(QUERY))
    assert json.dumps(answer).count('"NaN"') == 4


@pytest.mark.parametrize(
    "asked", [QUERY, Request("POST", "/api/v1/query", f"query=up&time={AT}".encode())]
)
def test_a_clock_ahead_is_asked_for_an_hour_ago(asked: Request) -> None:
    fate = an_hour_ahead(asked)
    assert isinstance(fate, Altered)
    query = parse_qs(urlsplit(fate.path).query) | parse_qs(fate.body.decode())
    assert query == {"query": ["up"], "time": [f"{AT - 3600:.3f}"]}


def test_names_are_told_apart() -> None:
    assert len({each.name for each in FAULTS}) == len(FAULTS)


def change(seconds: float, reason: str = "pinned") -> Change:
    at = datetime.fromtimestamp(AT, tz=UTC) + timedelta(seconds=seconds)
    return Change(at, "operator", "shop", "web", {}, reason)


@pytest.mark.parametrize(
    ("written", "early"),
    [
        (change(1.0), False),  # decided on before
        (change(10.0), True),
        (change(35.0), True),
        (change(35.0, "rollback"), False),
        (change(39.0), False),
    ],
)
def test_nothing_is_written_without_a_window_of_good_data(written: Change, *, early: bool) -> None:
    assert bool(too_early([written], AT, AT + 30.0)) is early


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_broke_off_is_missed() -> None:
    on_pods = [each for each in FAULTS if each.place is Place.POD]
    nothing = cast("Lane", SimpleNamespace(name="a lane that cannot be judged"))
    scene = Scene({Place.POD: nothing}, [nothing])
    results, killed = inflict(scene, on_pods), kill_all(scene, 1)
    assert [each.name for each in results] == [each.name for each in on_pods]
    assert all(each.lines for each in (*results, *killed))
    assert len(killed) == 1


def test_what_took_too_long_is_told() -> None:
    (killed,) = (each for each in FAULTS if each.name == "leader killed")
    assert isinstance(killed, Fault)
    fine = Result(name="leader killed", taken_over=17.9, decided=19.0)
    assert too_late(killed, fine) == []
    slow = Result(name="leader killed", taken_over=18.1, decided=30.0)
    assert len(too_late(killed, slow)) == 2
    assert too_late(killed, Result(name="leader killed")) == ["taken over never, 18 s allowed"]
