"""The table of faults in docs/reliability.md."""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

from tests.faults.lane import INTERVAL_SECONDS, RATE_WINDOW_SECONDS
from tests.output import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.run import Kills, Result

BEGIN, END = "<!-- made by make faults -->", "<!-- end of what make faults made -->"


def section(results: Sequence[Result], kills: Sequence[Kills], when: str) -> str:
    """Return the section, markers included.

    Args:
        results: of the faults.
        kills: of the lanes on which leaders were killed.
        when: the day and the version, for people.
    """
    header = [
        "fault",
        "lasted, s",
        "another led after, s",
        "decided again after, s",
        "ordered write after, s",
        "wrong writes",
        "second writers",
    ]
    rows = [
        [
            each.name,
            f"{each.seconds:.0f}",
            _seconds(each.taken_over),
            _seconds(each.decided),
            _written(each),
            str(len(each.wrong)),
            str(len(each.second_writers)),
        ]
        for each in results
    ]
    missed = [f"- {each.name}: {line}" for each in (*results, *kills) for line in each.lines]
    settings = f"ticks of {INTERVAL_SECONDS:g} s and rate windows of {RATE_WINDOW_SECONDS:g} s"
    parts = [
        BEGIN,
        f"Run {when}, with {settings}.\n",
        table(header, rows) if rows else "",
        _kills(kills),
        "**Missed**\n\n" + "\n".join(missed) + "\n" if missed else "",
        END,
    ]
    return "\n".join(part for part in parts if part)


def put(page: str, made: str) -> str:
    """Return the page with the section in the place of the one before.

    Raises:
        ValueError: the page has no place for it.
    """
    pattern = f"{re.escape(BEGIN)}.*?{re.escape(END)}"
    found = re.search(pattern, page, re.DOTALL)
    if found is None:
        raise ValueError(f"no place for the table: {BEGIN} and {END} have to stand there")
    return f"{page[: found.start()]}{made}{page[found.end() :]}"


def _kills(kills: Sequence[Kills]) -> str:
    seconds = [took for each in kills for took in each.seconds]
    if not seconds:
        return ""
    changes = sum(each.changes for each in kills)
    wrong = sum(len(each.wrong) for each in kills)
    second = sum(len(each.second_writers) for each in kills)
    return (
        f"{len(seconds)} leaders killed one after the other: another one led after "
        f"{median(seconds):.1f} s (median), {max(seconds):.1f} s at the most.\n"
        f"{changes} changes written meanwhile; wrong writes {wrong}, second writers {second}.\n"
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _written(result: Result) -> str:
    if result.written is None:
        return "never"
    return "meanwhile" if result.written < 0 else f"{result.written:.1f}"
