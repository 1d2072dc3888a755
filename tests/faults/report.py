"""The table of faults in docs/reliability.md."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tests.faults.lane import INTERVAL_SECONDS, RATE_WINDOW_SECONDS
from tests.output import Section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.run import Kills, Result

SECTION = Section("make faults")
"""Its place."""


def section(results: Sequence[Result], kills: Sequence[Kills], when: str) -> str:
    """Return what stands in it.

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
        f"Run {when}, with {settings}.\n",
        table(header, rows) if rows else "",
        _kills(kills),
        "**Missed**\n\n" + "\n".join(missed) + "\n" if missed else "",
    ]
    return "\n".join(part for part in parts if part)


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
