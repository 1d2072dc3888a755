import os

from tests.e2e.testbed.awake import stolen_seconds

STAT = """\
cpu  83 2 5219 30112 41 7 9 2400 13 0
cpu0 40 1 2609 15056 20 3 4 1300 6 0
cpu1 43 1 2610 15056 21 4 5 1100 7 0
intr 53283 0 0
"""


def test_what_the_host_took_is_told_over_all_cores() -> None:
    assert stolen_seconds(STAT) == 2400 / os.sysconf("SC_CLK_TCK")
