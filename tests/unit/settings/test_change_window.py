"""Change windows: the clock on the wall decides, and a refusal says when it opens again."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from tuner.settings.change_window import ChangeWindow, ChangeWindows

BERLIN = "Europe/Berlin"
WORKDAYS = ["mon", "tue", "wed", "thu", "fri"]


def window(**changes: Any) -> ChangeWindow:  # noqa: ANN401 - any text of a user
    """Office hours in Berlin; opens and closes stand for from and to."""
    fields = {"days": WORKDAYS, "from": "09:00", "to": "17:00", "timeZone": BERLIN}
    names = {"opens": "from", "closes": "to", "zone": "timeZone"}
    changed = {names.get(name, name): value for name, value in changes.items()}
    return ChangeWindow.model_validate(fields | changed)


def wall(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    """Seconds since the epoch at which the clock in a zone shows a time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def test_without_any_window_changes_may_always_be_made() -> None:
    assert ChangeWindows(())(wall("2026-03-28T03:00")) == ""


NIGHT = {"days": ["fri"], "opens": "22:00", "closes": "02:00"}
WHOLE = {"days": ["sun"], "opens": "00:00", "closes": "24:00"}


@pytest.mark.parametrize(
    ("changes", "at", "is_open"),
    [
        # 2026-03-27 is a Friday, and clocks in Berlin are put forward on the Sunday after it.
        ({}, "2026-03-27T08:59:59.999", False),
        ({}, "2026-03-27T09:00", True),
        ({}, "2026-03-27T16:59:59.999", True),
        ({}, "2026-03-27T16:59:59.9999995", True),
        ({}, "2026-03-27T17:00", False),
        ({}, "2026-03-28T12:00", False),
        ({}, "2026-03-30T09:00", True),
        ({}, "2026-03-30T08:59:59", False),
        (NIGHT, "2026-03-27T21:59:59", False),
        (NIGHT, "2026-03-27T22:00", True),
        (NIGHT, "2026-03-28T01:59:59.999", True),
        (NIGHT, "2026-03-28T02:00", False),
        (NIGHT, "2026-03-27T01:00", False),
        (NIGHT, "2026-03-28T22:30", False),
        (WHOLE, "2026-03-28T23:59:59.999", False),
        (WHOLE, "2026-03-29T00:00", True),
        (WHOLE, "2026-03-29T23:59:59.999", True),
        (WHOLE, "2026-03-30T00:00", False),
    ],
)
def test_a_window_is_open_from_its_first_second_up_to_its_last(
    changes: dict[str, Any], at: str, is_open: bool
) -> None:
    whole, _, part = at.partition(".")
    seconds = wall(whole) + float(f"0.{part or 0}")
    assert (ChangeWindows((window(**changes),))(seconds) == "") is is_open


@pytest.mark.parametrize("fold", [0, 1])
def test_an_hour_that_the_clock_shows_twice_is_open_twice(fold: int) -> None:
    night = window(days=["sun"], opens="02:00", closes="03:00")
    assert ChangeWindows((night,))(wall("2026-10-25T02:30", fold=fold)) == ""


@pytest.mark.parametrize(
    ("windows", "at", "opening"),
    [
        ([{}], wall("2026-03-27T08:00"), "Fri 2026-03-27 09:00 Europe/Berlin"),
        # Over the weekend, and over the change to summer time.
        ([{}], wall("2026-03-27T17:00"), "Mon 2026-03-30 09:00 Europe/Berlin"),
        ([{"days": ["fri"]}], wall("2026-03-27T17:00"), "Fri 2026-04-03 09:00 Europe/Berlin"),
        ([NIGHT], wall("2026-03-28T02:00"), "Fri 2026-04-03 22:00 Europe/Berlin"),
        # The earliest of several, in its own zone.
        (
            [{}, {"days": ["sat"], "zone": "America/New_York"}],
            wall("2026-03-27T17:00"),
            "Sat 2026-03-28 09:00 America/New_York",
        ),
        # The clock jumps from 02:00 to 03:00.
        (
            [{"days": ["sun"], "opens": "02:30", "closes": "04:00"}],
            wall("2026-03-29T01:59"),
            "Sun 2026-03-29 03:00 Europe/Berlin",
        ),
        # It jumps over the whole window: the next is a week later.
        (
            [{"days": ["sun"], "opens": "02:00", "closes": "03:00"}],
            wall("2026-03-29T01:59"),
            "Sun 2026-04-05 02:00 Europe/Berlin",
        ),
        # It shows 02:00 twice, and the first window is over.
        (
            [{"days": ["sun"], "opens": "02:00", "closes": "02:15"}],
            wall("2026-10-25T02:20"),
            "Sun 2026-10-25 02:00 Europe/Berlin",
        ),
    ],
)
def test_a_refusal_says_when_the_next_window_opens(
    windows: list[dict[str, Any]], at: float, opening: str
) -> None:
    closed = ChangeWindows([window(**changes) for changes in windows])
    assert closed(at) == f"outside of the change windows; the next one opens {opening}"


@pytest.mark.parametrize("opens", ["00:30", "01:59", "02:00", "02:29", "02:30", "03:00"])
@pytest.mark.parametrize("minutes_open", [1, 31, 90])
@pytest.mark.parametrize(
    ("zone", "noon_before"),
    [
        (BERLIN, "2026-03-28T12:00"),
        (BERLIN, "2026-10-24T12:00"),
        # Half an hour only.
        ("Australia/Lord_Howe", "2026-04-04T12:00"),
        ("Australia/Lord_Howe", "2026-10-03T12:00"),
    ],
)
def test_the_opening_that_is_announced_is_the_first_open_minute_when_clocks_change(
    zone: str, noon_before: str, opens: str, minutes_open: int
) -> None:
    hours, minutes = divmod(int(opens[:2]) * 60 + int(opens[3:]) + minutes_open, 60)
    night = window(days=["sun"], opens=opens, closes=f"{hours:02}:{minutes:02}", zone=zone)
    noon = int(wall(noon_before, zone))
    week = range(noon, noon + 9 * 86_400, 60)
    assert night.next_opening(noon) == next(at for at in week if night.is_open(at))


def test_windows_that_say_the_same_are_equal() -> None:
    assert ChangeWindows((window(),)) == ChangeWindows((window(),))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"opens": 1020}, '1020 is what YAML makes of a bare 17:00: put it in quotes, "17:00"'),
        ({"opens": "9:00"}, "'9:00' is not a time of day: write one such as \"09:00\""),
        ({"closes": "24:01"}, "'24:01' is not a time of day"),
        ({"closes": "17:00:30"}, "'17:00:30' is not a time of day"),
        ({"closes": True}, "True is not a time of day"),
        ({"opens": "24:00"}, 'from "24:00" is the end of a day'),
        ({"closes": "09:00"}, "from and to are both 09:00: write 00:00 and 24:00"),
        ({"days": []}, "no day on which to open: name some of mon, tue"),
        ({"days": ["monday"]}, "Input should be 'mon', 'tue'"),
        ({"zone": "Europe/Berln"}, "'Europe/Berln' is not a known time zone: did you mean Europe/"),
        ({"zone": "europe/berlin"}, "did you mean Europe/Berlin?"),
        ({"zone": "Europe"}, "'Europe' is not a known time zone"),
        ({"zone": "../etc/passwd"}, "'../etc/passwd' is not a known time zone"),
        ({"zone": "qqqq"}, "'qqqq' is not a known time zone: write one such as Europe/Berlin"),
        ({"zone": 1}, "1 is not the name of a time zone"),
        ({"until": "17:00"}, "until is unknown: there are days, from, to, timeZone"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused_with_what_would_be_right(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        window(**changes)
    (error,) = caught.value.errors()
    assert said in error["msg"]
