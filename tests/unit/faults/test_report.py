from __future__ import annotations

import pytest

from tests.faults.report import BEGIN, END, put, section
from tests.faults.run import Kills, Result

FINE = Result(name="leader killed", seconds=0.1, taken_over=16.64, decided=18.0, written=-1.0)
BAD = Result(name="etcd restarted", seconds=10.2, wrong=["one"], missed=["two"])
KILLS = [Kills(name="a", seconds=[16.0, 17.5], changes=3), Kills(name="b", seconds=[15.0])]


def test_a_row_says_what_was_seen_and_leaves_out_what_was_not() -> None:
    text = section([FINE, BAD], [], "today")
    assert "| leader killed | 0 | 16.6 | 18.0 | meanwhile | 0 | 0 |" in text
    assert "| etcd restarted | 10 |  |  | never | 1 | 0 |" in text


def test_what_was_missed_is_told() -> None:
    assert "Missed" not in section([FINE], [], "today")
    text = section([BAD], [Kills(name="kills", second_writers=["three"])], "today")
    assert "- etcd restarted: one\n- etcd restarted: two\n- kills: three\n" in text


def test_kills_are_told_of_together() -> None:
    text = section([], KILLS, "today")
    assert "3 leaders killed" in text
    assert "16.0 s (median), 17.5 s at the most" in text


def test_the_section_takes_the_place_of_the_one_before() -> None:
    page = put(f"above\n\n{BEGIN}\nold\n{END}\nbelow\n", section([FINE], [], "today"))
    assert page.startswith(f"above\n\n{BEGIN}\n")
    assert page.endswith(f"{END}\nbelow\n")
    assert "old" not in page
    assert put(page, section([FINE], [], "today")) == page


def test_a_page_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        put("a page", section([], [], "today"))
