from __future__ import annotations

from tests.faults.report import section
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
