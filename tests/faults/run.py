"""Runs a fault on lanes, and says what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.e2e.testbed.processes import Stopwatch, wait_for
from tests.faults.catalogue import TAKE_OVER_SECONDS
from tests.faults.lane import INTERVAL_SECONDS, RATE_WINDOW_SECONDS
from tuner.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.faults.catalogue import Fault
    from tests.faults.judge import Change
    from tests.faults.lane import Lane, Order

_POLL_SECONDS = 0.2
_MOMENTS = 8
"""At which a leader is killed after an order, within two ticks."""


@dataclass(kw_only=True)
class Findings:
    """What was not as it had to be.

    Attributes:
        name: of what was done.
        wrong: a line for each wrong write.
        second_writers: a line for each write of a replica that had no right to.
        missed: what else was to be and was not, a line each.
    """

    name: str
    wrong: list[str] = field(default_factory=list)
    second_writers: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """All of it; none where all was as it had to be."""
        return [*self.wrong, *self.second_writers, *self.missed]


@dataclass(kw_only=True)
class Result(Findings):
    """What came of one fault; of several lanes the worst.

    Until another led and until it was decided, a `Stopwatch` tells the seconds.

    Attributes:
        seconds: how long it lasted.
        taken_over: seconds from its beginning until another replica led; None: none had to.
        decided: seconds from its end until a leader had decided on figures; None: it never did.
        written: seconds from its end until what was ordered was written, below 0 where that was
            before; None: it never was.
    """

    seconds: float = 0.0
    taken_over: float | None = None
    decided: float | None = None
    written: float | None = None


def run(fault: Fault, lanes: Sequence[Lane], *, calm: bool = True) -> Result:
    """Inflict one fault on some lanes, and wait until what was ordered is written.

    Args:
        fault: which.
        lanes: where.
        calm: whether to wait before until the lanes are at rest.

    Returns:
        What came of it; what went wrong with that, too.
    """
    result = Result(name=fault.name)
    before = {lane.name: lane.judgement() for lane in lanes}
    try:
        for lane in lanes:
            lane.revive()
            if calm:
                lane.wait_calm()
        _run(fault, lanes, result)
    except Exception as error:  # noqa: BLE001 - the faults that follow are run all the same
        result.missed.append(f"{type(error).__name__}: {error}")
    for lane in lanes:
        judged, known = lane.judgement(), before[lane.name]
        result.wrong += judged.wrong[len(known.wrong) :]
        result.second_writers += judged.second_writers[len(known.second_writers) :]
    return result


def _run(fault: Fault, lanes: Sequence[Lane], result: Result) -> None:
    leaders = {lane.name: lane.leader() for lane in lanes}
    orders: dict[str, Order] = {}
    with Stopwatch() as watch:
        with fault.inflict(lanes) as service:
            began, since = time.time(), watch.seconds
            if not fault.ordered_after:
                orders = {lane.name: lane.order(service) for lane in lanes}
            if fault.takes_over_seconds is not None:
                than = [] if fault.anyone else [*leaders.values()]
                for lane in lanes:
                    lane.other_leader(than)
                result.taken_over = watch.seconds - since
            time.sleep(max(0.0, began + fault.seconds - time.time()))
        ended, since = (time.time(), watch.seconds) if fault.seconds else (began, since)
        result.seconds = ended - began
        _once(lanes, lambda lane: lane.decided(ended), "decisions")
        result.decided = watch.seconds - since
    if fault.ordered_after:
        orders = {lane.name: lane.order(service) for lane in lanes}
    _once(lanes, lambda lane: lane.written(orders[lane.name]) is not None, "the write")
    writes = [_first(lane, orders) for lane in lanes]
    result.written = max(each.at.timestamp() for each in writes) - ended
    for lane in lanes:
        result.missed += [f"not in the log: {each}" for each in lane.unseen()]
        if fault.blind:
            result.missed += too_early(lane.judgement().changes, began, ended)
    result.missed += too_late(fault, result)


def too_late(fault: Fault, result: Result) -> list[str]:
    """What took longer than it may."""
    found = []
    if result.decided is not None and result.decided > fault.allowed_seconds:
        found.append(f"decided after {result.decided:.1f} s, {fault.allowed_seconds:g} s allowed")
    allowed, took = fault.takes_over_seconds, result.taken_over
    if allowed is not None and (took is None or took > allowed):
        words = "never" if took is None else f"after {took:.1f} s"
        found.append(f"taken over {words}, {allowed:g} s allowed")
    return found


def too_early(changes: Sequence[Change], began: float, ended: float) -> list[str]:
    """Changes that were written without a full rate window of good data, rollbacks left out.

    Args:
        changes: of settings.
        began: when there were no good data any more, seconds since the Unix epoch; what was
            decided on the tick before may still be written.
        ended: when there were good data again.
    """
    earliest = datetime.fromtimestamp(began + INTERVAL_SECONDS, tz=UTC)
    latest = datetime.fromtimestamp(ended + RATE_WINDOW_SECONDS, tz=UTC)
    return [
        f"{each.namespace}/{each.name} written at {each.at} without a full window of good data"
        for each in changes
        if earliest < each.at < latest and each.reason != Reason.ROLLBACK
    ]


def _once(lanes: Sequence[Lane], predicate: Callable[[Lane], bool], what: str) -> None:
    """Wait until it was true of each lane, of one after the other or of all at once."""
    left = list(lanes)

    def all_of_them() -> bool:
        left[:] = [lane for lane in left if not predicate(lane)]
        return not left

    wait_for(all_of_them, what, interval_seconds=_POLL_SECONDS)


def _first(lane: Lane, orders: Mapping[str, Order]) -> Change:
    found = lane.written(orders[lane.name])
    assert found is not None
    return found


@dataclass(kw_only=True)
class Kills(Findings):
    """What came of leaders that were killed one after the other.

    Attributes:
        seconds: from each kill until another replica led.
        changes: how many were written meanwhile.
    """

    seconds: list[float] = field(default_factory=list)
    changes: int = 0


def kill_leaders(lane: Lane, number: int, said: Callable[[str], None]) -> Kills:
    """Kill whoever leads, again and again, each time a little later after an order.

    Args:
        lane: of two replicas; the one that was killed is waited for.
        number: of kills.
        said: told of each.
    """
    result = Kills(name=f"leaders killed, {lane.name}")
    try:
        lane.wait_calm()
        for turn in range(number):
            lane.wait_ready()
            leader = lane.leader()
            lane.order()
            # Before the tick that takes it up, in the midst of it, and after.
            time.sleep(turn % _MOMENTS / _MOMENTS * 2 * INTERVAL_SECONDS)
            with Stopwatch() as watch:
                leader.operator.process.kill()
                lane.other_leader([leader])
                took = watch.seconds
            result.seconds.append(took)
            if took > TAKE_OVER_SECONDS:
                result.missed.append(f"taken over after {took:.1f} s")
            said(f"{lane.name}: kill {turn + 1} of {number}: taken over after {took:.1f} s")
            lane.revive()
        lane.wait_calm()  # what was ordered last may stand there already; the next order does not
        order = lane.order()
        _once([lane], lambda each: each.written(order) is not None, "the last write")
        result.missed += [f"not in the log: {each}" for each in lane.unseen()]
    except Exception as error:  # noqa: BLE001 - what was seen until then counts
        result.missed.append(f"{type(error).__name__}: {error}")
    judged = lane.judgement()
    result.changes = len(judged.changes)
    result.wrong, result.second_writers = judged.wrong, judged.second_writers
    return result
