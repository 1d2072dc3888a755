"""Leader election in any weather: never two who may write, and one of them in the end."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from hypothesis import event, given
from hypothesis import strategies as st

from tuner.election import (
    Candidacy,
    Claim,
    Durations,
    Lease,
    Look,
    Wait,
    claimed,
    failed,
    looked,
    next_action,
    outdated,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DURATIONS = Durations(lease=15.0, renew_deadline=10.0, retry=2.0)
TIMEOUT = 5.0
FAULTS_END, END = 150.0, 300.0
_ROUNDING = 1e-6


class Conflict:
    """409, as an answer."""


@dataclass
class World:
    """An API server with one Lease, candidates, and a network that delays and loses."""

    chance: Random
    recreates: bool
    """Whether a PUT of a version that was deleted makes the Lease anew: it does without a uid."""
    now: float = 0.0
    lease: Lease | None = None
    contestants: list[Contestant] = field(default_factory=list)
    takeovers: int = 0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def at(self, time: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), act))

    @property
    def calm(self) -> bool:
        return self.now >= FAULTS_END

    def run(self) -> None:
        while self._events and self._events[0][0] <= END:
            self.now, _, act = heapq.heappop(self._events)
            self.check()
            act()
            self.check()

    def check(self) -> None:
        writers = [each.number for each in self.contestants if each.may_write()]
        assert len(writers) <= 1, f"{writers} may write at {self.now}"

    def written(self, over: Lease | None, content: Lease) -> Lease | Conflict:
        """What the API server does with a write that names the version of `over`."""
        now = self.lease
        same = over and now and (over.uid, over.version) == (now.uid, now.version)
        anew = self.lease is None and (over is None or self.recreates)
        if not (same or anew):
            return Conflict()
        uid = f"uid-{next(self._numbers)}" if now is None else now.uid
        if now is None or now.holder != content.holder:
            self.takeovers += 1
        self.lease = replace(content, uid=uid, version=f"v-{next(self._numbers)}")
        return self.lease

    def write(self, over: Lease, content: Lease) -> None:
        """A write whose answer nobody waits for."""
        self.written(over, content)


@dataclass
class Contestant:
    """A candidate that runs: its clock has an offset, it may be frozen, die, and be born again."""

    world: World
    number: int
    offset: float
    candidacy: Candidacy
    frozen_until: float = 0.0
    ended: bool = False

    def clock(self) -> float:
        return self.world.now + self.offset

    def may_write(self) -> bool:
        """What is frozen writes nothing, but what it does on waking up counts."""
        frozen = self.world.now < self.frozen_until
        return not (frozen or self.ended) and self.candidacy.may_write(self.clock())

    def later(self, time: float, act: Callable[[], None]) -> None:
        """Do something then, or when it wakes up; never once it is dead."""

        def unless_frozen() -> None:
            if self.ended:
                return
            if self.world.now < self.frozen_until:
                self.world.at(self.frozen_until, unless_frozen)
            else:
                act()

        self.world.at(time, unless_frozen)

    def step(self) -> None:
        world, asked_at = self.world, self.clock()
        match next_action(self.candidacy, asked_at):
            case Wait(until=until):
                self.later(max(until - self.offset, world.now) + _ROUNDING, self.step)
                # Just after a fence may have opened.
                world.at(max(self.candidacy.opens_at - self.offset, world.now), world.check)
            case Look():
                self.request(lambda: world.lease, asked_at)
            case Claim(over=over):
                mine = Lease("", "", self.candidacy.identity, DURATIONS.lease)
                self.request(lambda: world.written(over, mine), asked_at, claim=True)

    def request(
        self, serve: Callable[[], Lease | Conflict | None], asked_at: float, *, claim: bool = False
    ) -> None:
        """Send it; request and answer take their time or are lost, each for itself."""
        world, chance = self.world, self.world.chance
        there, back = chance.uniform(0.0, 0.1), chance.uniform(0.0, 0.1)
        lost_there = lost_back = False
        if not world.calm:
            there, back = (chance.choice((d, d, d, 3.0, 30.0)) for d in (there, back))
            lost_there, lost_back = chance.random() < 0.15, chance.random() < 0.15
        answers: list[Lease | Conflict | None] = []
        if not lost_there:
            world.at(world.now + there, lambda: answers.append(serve()))
        in_time = not (lost_there or lost_back) and there + back < TIMEOUT
        took = there + back if in_time else TIMEOUT

        def answered() -> None:
            if not in_time:
                self.candidacy = failed(self.candidacy, asked_at=asked_at)
            elif isinstance(answers[0], Conflict):
                self.candidacy = outdated(self.candidacy, now=self.clock())
            elif claim:
                assert answers[0] is not None
                self.candidacy = claimed(
                    self.candidacy, answers[0], asked_at=asked_at, now=self.clock()
                )
            else:
                self.candidacy = looked(
                    self.candidacy,
                    answers[0],
                    asked_at=asked_at,
                    now=self.clock(),
                    jitter=chance.random(),
                )
            self.step()

        self.later(world.now + took, answered)

    def release(self) -> None:
        """Told to stop: give the Lease up where that is right, with whatever luck."""
        if self.candidacy.may_release(self.clock()) and self.candidacy.lease is not None:
            over, free = self.candidacy.lease, Lease("", "", "", 1.0, released=True)
            delay = self.world.chance.choice((0.05, 3.0, 30.0))
            self.world.at(self.world.now + delay, lambda: self.world.write(over, free))
        self.ended = True


def newcomer(world: World) -> Contestant:
    number = len(world.contestants)
    offset = world.chance.uniform(-1000.0, 1000.0)
    contestant = Contestant(world, number, offset, Candidacy(f"replica-{number}", DURATIONS))
    world.contestants.append(contestant)
    world.at(world.now, contestant.step)
    return contestant


def mishap(world: World) -> None:
    """One of the things that happen to a Lease and to those who want it."""
    alive = [each for each in world.contestants if not each.ended]
    victim = world.chance.choice(alive)
    match world.chance.choice(("delete", "delete", "blank", "edit", "freeze", "kill", "stop")):
        case "delete":
            world.lease = None
        case "blank" if world.lease is None:  # kubectl create, or a backup brought back
            world.lease = Lease("uid-blank", f"v-{world.now}", "", 15.0)
        case "edit" if world.lease is not None:
            world.lease = replace(world.lease, version=f"v-{world.now}", holder="someone")
        case "freeze":
            victim.frozen_until = world.now + world.chance.choice((1.0, 9.0, 30.0))
        case "kill":
            victim.ended = True
            newcomer(world)
        case "stop":
            victim.release()
            newcomer(world)
        case _:
            pass


@given(
    st.integers(1, 5),
    st.lists(st.floats(0.0, FAULTS_END), max_size=25),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_never_two_may_write_and_one_leads_when_the_faults_have_stopped(
    candidates: int, mishaps: list[float], recreates: bool, seed: int
) -> None:
    world = World(Random(seed), recreates)  # noqa: S311 - drawn by hypothesis would take minutes
    for _ in range(candidates):
        newcomer(world)
    for time in mishaps:
        world.at(time, lambda: mishap(world))
    for second in range(round(END)):
        world.at(second, world.check)
    world.run()
    event(f"{min(world.takeovers, 10)} takeovers or more")
    assert sum(each.may_write() for each in world.contestants) == 1
