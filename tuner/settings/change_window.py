"""When changes may be made: windows of the week, by the clock on the wall of a time zone."""

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import count
from typing import Annotated, NoReturn, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_DAY_MINUTES = 24 * 60
_ONE_DAY = timedelta(days=1)


class Day(StrEnum):
    """A day of the week."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


_WEEK = tuple(Day)


def _minutes(value: object) -> int:
    """Minutes since midnight of a time of day."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _DAY_MINUTES:
        raise ValueError(
            f'{value} is what YAML makes of a bare {_clock(value)}: put it in quotes, "'
            f'{_clock(value)}"'
        )
    if not isinstance(value, str) or _CLOCK.fullmatch(value) is None:
        raise ValueError(f'{value!r} is not a time of day: write one such as "09:00"')
    hours, minutes = value.split(":")
    return 60 * int(hours) + int(minutes)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _zone(value: object) -> ZoneInfo:
    if isinstance(value, str):
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            _refuse_zone(value)
    raise ValueError(f"{value!r} is not the name of a time zone: write one such as Europe/Berlin")


def _refuse_zone(name: str) -> NoReturn:
    known = {each.lower(): each for each in available_timezones()}
    near = difflib.get_close_matches(name.lower(), known, n=1)
    meant = f"did you mean {known[near[0]]}?" if near else "write one such as Europe/Berlin"
    raise ValueError(f"{name!r} is not a known time zone: {meant}")


Clock = Annotated[int, BeforeValidator(_minutes), PlainSerializer(_clock)]
"""A time of day, ``09:00``; held as minutes since midnight."""
Zone = Annotated[ZoneInfo, BeforeValidator(_zone), PlainSerializer(str)]
"""A name of the IANA time zone database."""


class ChangeWindow(BaseModel):
    """A window that opens on some days of the week."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    days: tuple[Day, ...]
    """Days on which it opens: past midnight it stays open into the next day."""
    opens: Clock = Field(alias="from")
    closes: Clock = Field(alias="to")
    """At or before the opening: on the next day."""
    zone: Zone = Field(alias="timeZone")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        if isinstance(value, Mapping):
            keys = [field.alias or name for name, field in cls.model_fields.items()]
            for key in value:
                if key not in keys:
                    raise ValueError(f"{key} is unknown: there are {', '.join(keys)}")
        return value

    @field_validator("days")
    @classmethod
    def _some(cls, days: tuple[Day, ...]) -> tuple[Day, ...]:
        if not days:
            raise ValueError(f"no day on which to open: name some of {', '.join(_WEEK)}")
        return days

    @model_validator(mode="after")
    def _span(self) -> Self:
        if self.opens == _DAY_MINUTES:
            raise ValueError('from "24:00" is the end of a day: write "00:00" and the next day')
        if self.opens == self.closes:
            raise ValueError(
                f"from and to are both {_clock(self.opens)}: write 00:00 and 24:00 for whole days"
            )
        return self

    def is_open(self, at: int) -> bool:
        """Whether changes may be made in that second since the Unix epoch.

        What counts is the clock on the wall: an hour that it shows twice is inside both times.
        """
        local = datetime.fromtimestamp(at, self.zone)
        minute = 60 * local.hour + local.minute
        if self.opens < self.closes:
            return self._opens_on(local.date()) and self.opens <= minute < self.closes
        evening = self._opens_on(local.date()) and minute >= self.opens
        morning = self._opens_on(local.date() - _ONE_DAY) and minute < self.closes
        return evening or morning

    def next_opening(self, after: int) -> int:
        """First second at which it is open, after one at which it is closed."""
        today = datetime.fromtimestamp(after, self.zone).date()
        days = (today + timedelta(days=ahead) for ahead in count())
        return next(
            at
            for day in days
            if self._opens_on(day)
            for at in self._openings_on(day)
            if at > after and self.is_open(at)
        )

    def _opens_on(self, day: date) -> bool:
        return _WEEK[day.weekday()] in self.days

    def _openings_on(self, day: date) -> Iterator[int]:
        """Every minute at which the clock may come to show the opening.

        There is one, but where the clock is put back it may show it twice, and where it is put
        forward it may jump over it: then the first minute after the jump is among these.
        """
        wall = datetime.combine(day, time(self.opens // 60, self.opens % 60), self.zone)
        both = sorted(int(wall.replace(fold=fold).timestamp()) for fold in (0, 1))
        yield from range(both[0], both[1] + 60, 60)


@dataclass(frozen=True, slots=True)
class ChangeWindows:
    """All windows together: a change may be made while any of them is open."""

    windows: Sequence[ChangeWindow]
    """None at all: at any time."""

    def __call__(self, at: float) -> str:
        """Why no change may be made at a time, in words; empty where it may.

        Args:
            at: Seconds since the Unix epoch.
        """
        second = math.floor(at)
        if not self.windows or any(each.is_open(second) for each in self.windows):
            return ""
        opening, zone = min(
            ((each.next_opening(second), each.zone) for each in self.windows),
            key=lambda pair: pair[0],
        )
        when = datetime.fromtimestamp(opening, zone)
        return f"outside of the change windows; the next one opens {when:%a %Y-%m-%d %H:%M} {zone}"


def _parse_list(value: object) -> object:
    """Let an environment variable hold the list, as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        right = '[{"days": ["mon"], "from": "09:00", "to": "17:00", "timeZone": "UTC"}]'
        raise ValueError(f"not a list: write JSON such as {right}") from None


ChangeWindowList = Annotated[tuple[ChangeWindow, ...], NoDecode, BeforeValidator(_parse_list)]
"""Change windows; in an environment variable as JSON."""
