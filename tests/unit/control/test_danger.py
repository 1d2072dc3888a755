import pytest

from tests.examples import MIB, NOW, policy, signals
from tuner.control.ceiling import Memory
from tuner.control.danger import danger_of, killed_since
from tuner.model.workload import Running

RULES = policy().guards
LIMITED = Memory(request_bytes=512 * MIB, limit_bytes=1000 * MIB)
HOUR = 3600.0


@pytest.mark.parametrize(
    ("killed_at", "changed_at", "news"),
    [
        pytest.param(None, None, False, id="never killed"),
        pytest.param(NOW - 60, None, True, id="a minute ago, under what always stood there"),
        pytest.param(NOW - 60, NOW - 120, True, id="under today's setting"),
        pytest.param(NOW - 60, NOW - 60, False, id="as the setting changed"),
        pytest.param(NOW - 60, NOW - 30, False, id="under an earlier setting"),
        pytest.param(NOW - HOUR, None, True, id="an hour ago"),
        pytest.param(NOW - HOUR - 1, None, False, id="longer ago: that load is gone"),
    ],
)
def test_a_kill_is_news_for_an_hour_and_under_the_setting_it_happened_under(
    killed_at: float | None, changed_at: float | None, *, news: bool
) -> None:
    assert killed_since(Running(oom_killed_at=killed_at), changed_at, NOW) is news


@pytest.mark.parametrize(
    ("resident_mib", "memory", "killed", "words"),
    [
        pytest.param(921, LIMITED, False, "921 MiB are in use of the memory limit of 1000 MiB",
                     id="over .92 of the limit"),
        pytest.param(100, LIMITED, True, "the kernel killed a container for the memory limit of "
                     "1000 MiB", id="killed, whatever is in use now"),
        pytest.param(921, LIMITED, True, "the kernel killed", id="both: what happened counts"),
    ],
)  # fmt: skip
def test_memory_is_in_danger(
    resident_mib: int, memory: Memory, words: str, *, killed: bool
) -> None:
    seen = signals(resident_bytes=resident_mib * float(MIB))
    assert danger_of(seen, memory, RULES, killed=killed).startswith(words)


@pytest.mark.parametrize(
    ("resident_mib", "memory", "killed"),
    [
        pytest.param(920, LIMITED, False, id="at .92 of the limit"),
        pytest.param(9000, Memory(512 * MIB, None), False, id="no limit to be killed at"),
        pytest.param(9000, Memory(512 * MIB, None), True, id="killed by no limit of its own"),
    ],
)
def test_memory_is_not_in_danger(resident_mib: int, memory: Memory, *, killed: bool) -> None:
    seen = signals(resident_bytes=resident_mib * float(MIB))
    assert danger_of(seen, memory, RULES, killed=killed) == ""
