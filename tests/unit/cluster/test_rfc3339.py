from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.cluster.rfc3339 import micro_time, times_to_seconds, times_to_text


def test_times_are_told_by_their_names_at_any_depth() -> None:
    seconds = {"at": 1.5, "trial": {"startedAt": 0, "cpuCores": 2.5}, "history": [{"at": 3.0}]}
    text = {
        "at": "1970-01-01T00:00:01.500000Z",
        "trial": {"startedAt": "1970-01-01T00:00:00.000000Z", "cpuCores": 2.5},
        "history": [{"at": "1970-01-01T00:00:03.000000Z"}],
    }
    assert times_to_text(seconds) == text
    assert times_to_seconds(text) == seconds


def test_a_time_that_is_not_set_stays_so() -> None:
    assert times_to_text({"revertedAt": None}) == {"revertedAt": None}


@given(st.floats(min_value=0, max_value=4e9))
def test_what_was_read_is_written_the_same(seconds: float) -> None:
    text = micro_time(seconds)
    read = times_to_seconds({"at": text})["at"]
    assert abs(read - seconds) <= 1e-6
    assert micro_time(read) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-01T00:00:00",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+10:00",  # the year 0 by our own clock, which could not be written
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    record: dict[str, Any] = {"at": text}
    with pytest.raises(ValueError, match=r".+"):
        times_to_seconds(record)
