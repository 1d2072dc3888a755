"""How long what did harm is left alone."""

from collections.abc import Sequence

import pytest
from msgspec import structs

from tests.examples import MIB, NOW, moved, outcome, policy, record
from tests.unit.guards.situations import move, situation
from tuner.control.ceiling import Memory
from tuner.guards.quarantine import limit_quarantined, quarantine
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.policy import GuardRules
from tuner.model.proposal import GogcMove, MemoryLimitMove
from tuner.model.reason import Reason
from tuner.model.record import Learned
from tuner.model.trial import Outcome, Verdict
from tuner.model.tuning import Limit
from tuner.model.workload import GOMEMLIMIT

RISE = move(200)
HOUR = 3600.0


def harm(seconds_ago: float, after: str | None = "200", **changes: object) -> Outcome:
    return outcome(
        Verdict.REGRESSED,
        at=NOW - seconds_ago,
        change=moved("100", after),
        detail="its pods crash",
        **changes,
    )


def after(*history: Outcome) -> Situation:
    return situation(record=record(history=history))


def assert_quarantined(asked: GogcMove, about: Situation, words: str) -> None:
    answer = quarantine(asked, about)
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.QUARANTINED
    assert words in answer.detail


def test_nothing_did_harm() -> None:
    assert quarantine(RISE, situation()) is RISE


@pytest.mark.parametrize("target", [200, 210])
def test_a_value_that_did_harm_is_not_reached_again_for_an_hour(target: int) -> None:
    about = after(harm(HOUR - 60))
    assert_quarantined(move(target), about, "GOGC 100 -> 200 did harm (its pods crash)")
    assert_quarantined(move(target), about, "not again for 60 s")
    assert quarantine(move(target), after(harm(HOUR))) == move(target)


@pytest.mark.parametrize(
    ("seconds_ago", "hours"),
    [((0.0, 9e9), 2), ((0.0, 9e9, 9e9), 4), ((0.0, 9e9, 9e9, 9e9), 8)],
)
def test_each_further_harm_doubles_the_pause(seconds_ago: Sequence[float], hours: int) -> None:
    about = after(*map(harm, seconds_ago))
    assert_quarantined(RISE, about, f"not again for {hours * HOUR:.0f} s")


def test_the_pause_has_a_longest() -> None:
    rules = GuardRules(quarantine_seconds=HOUR, quarantine_longest_seconds=3 * HOUR)
    about = situation(
        record=record(history=tuple(harm(each) for each in (0.0, 1.0, 2.0))),
        policy=policy(guards=rules),
    )
    assert_quarantined(RISE, about, f"not again for {3 * HOUR:.0f} s")


@pytest.mark.parametrize(
    ("asked", "history"),
    [
        pytest.param(move(190), (harm(0),), id="a smaller step"),
        pytest.param(move(80), (harm(0, "80"),), id="a fall"),
        pytest.param(move(200, limited_by=Limit.OVERRIDE), (harm(0),), id="people's word"),
        pytest.param(RISE, (harm(0, reason=Reason.MEMORY_CEILING),), id="a fall did harm"),
        pytest.param(RISE, (outcome(Verdict.NO_EFFECT, at=NOW),), id="it did no harm"),
        pytest.param(RISE, (harm(0, None),), id="what was tried was no value"),
        pytest.param(RISE, (harm(0, "1" * 5000),), id="what was tried was no number that Go reads"),
        pytest.param(RISE, (harm(0, "off"),), id="what was tried was no number"),
        pytest.param(
            RISE,
            (outcome(Verdict.REGRESSED, at=NOW, change=moved(None, "9MiB", GOMEMLIMIT)),),
            id="another name did harm",
        ),
    ],
)
def test_what_did_no_harm_of_this_kind_passes(
    asked: GogcMove, history: tuple[Outcome, ...]
) -> None:
    assert quarantine(asked, after(*history)) is asked


# GOGC 200 is predicted to take 330 MiB, GOGC 150 280 MiB.
KILLED = Learned(killed_peak_bytes=300 * MIB, killed_limit_bytes=1024 * MIB, killed_at=0.0)


def killed(memory: Memory) -> Situation:
    return situation(record=record(learned=KILLED), memory=memory)


def test_a_peak_under_which_the_kernel_killed_is_refused_however_long_ago() -> None:
    about = killed(Memory(512 * MIB, 1024 * MIB))
    assert_quarantined(RISE, about, "peak of 300 MiB; this would take up to 330 MiB")
    assert quarantine(move(150), about) == move(150)


def test_more_memory_than_then_ends_it() -> None:
    assert quarantine(RISE, killed(Memory(512 * MIB, 1025 * MIB))) is RISE


def test_less_memory_than_then_does_not() -> None:
    assert_quarantined(RISE, killed(Memory(512 * MIB, 512 * MIB)), "the kernel killed")


def test_people_may_order_what_was_killed() -> None:
    order = move(200, limited_by=Limit.OVERRIDE)
    assert quarantine(order, killed(Memory(512 * MIB, 1024 * MIB))) is order


LIMITED = outcome(Verdict.REGRESSED, at=NOW - HOUR + 60, change=moved(None, "900MiB", GOMEMLIMIT))


def limit(mib: int, *, ordered: bool = False) -> MemoryLimitMove:
    return MemoryLimitMove(None, mib, ordered=ordered)


@pytest.mark.parametrize("mib", [700, 900, 930])
def test_a_limit_that_was_part_of_a_harmful_change_waits_out_the_same_pause(mib: int) -> None:
    assert limit_quarantined(limit(mib), after(LIMITED))
    late = structs.replace(LIMITED, at=NOW - HOUR)
    assert not limit_quarantined(limit(mib), after(late))


@pytest.mark.parametrize(
    ("asked", "about"),
    [
        pytest.param(limit(1000), after(LIMITED), id="more room"),
        pytest.param(limit(900, ordered=True), after(LIMITED), id="people's word"),
        pytest.param(limit(900), after(harm(0)), id="another name did harm"),
        pytest.param(
            limit(900),
            after(structs.replace(LIMITED, verdict=Verdict.NO_EFFECT)),
            id="it did no harm",
        ),
        pytest.param(
            limit(900),
            after(structs.replace(LIMITED, change=moved(None, "900Mi", GOMEMLIMIT))),
            id="what was tried was no limit that Go reads",
        ),
        pytest.param(
            limit(900),
            after(structs.replace(LIMITED, change=moved("900MiB", None, GOMEMLIMIT))),
            id="it was taken away",
        ),
        pytest.param(
            limit(900),
            situation(record=record(history=(LIMITED,), learned=KILLED)),
            id="the kernel has killed",
        ),
    ],
)
def test_any_other_limit_may_be_written(asked: MemoryLimitMove, about: Situation) -> None:
    assert not limit_quarantined(asked, about)
