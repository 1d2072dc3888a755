"""Leader election over one Lease, without I/O: who of several replicas may write.

A candidate looks at the Lease, and claims it when it is free: released, or not seen to change for
as long as its holder asked for, by the candidate's own monotonic clock; the times in a Lease are
for people. Every write names the version that was read, so of two claims the API server takes one.

What holds off a second writer is the fence: the holder begins no write later than `renew_deadline`
after the *start* of its last renewal that was answered. Whoever waits for it to expire counts from
when it *saw* that renewal, and waits longer. So neither clocks that tell different times, nor slow
or lost answers, nor a process that was frozen, make two writers; only clocks that run at different
speeds, by more than the two times are apart, could.

A Lease that was deleted takes that knowledge with it: its holder stops once it learns of it, and
whoever makes a new one does not write before the former holder's fence has closed in any case.
"""

import math
from dataclasses import dataclass, replace

JITTER = 0.2
"""Share of the time between two looks by which candidates keep apart."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long things take in an election, seconds; each is longer than the next."""

    lease: float
    """How long a holder that is not heard of is waited for."""
    renew_deadline: float
    """How long after the start of its last renewal a holder may begin to write."""
    retry: float
    """Time between two renewals, and between two looks of those who wait."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a Lease says, as of one version."""

    uid: str
    """Another one: it was deleted and made anew."""
    version: str
    holder: str
    """Identity of the holder; empty: nobody."""
    duration_seconds: float
    """How long its holder asks to be waited for."""
    released: bool = False
    """Whether its last holder gave it up, and wrote nothing afterwards."""
    transitions: int = 0
    """How often it went from one holder to another."""
    acquired_at: str = ""
    """When its holder got it; for people."""


@dataclass(frozen=True, slots=True)
class Candidacy:
    """What a candidate knows. Times are seconds of its monotonic clock."""

    identity: str
    """Of this process, never used by another one, not even by an earlier one of the same pod."""
    durations: Durations
    known: bool = False
    """Whether `lease` is what the Lease said when last asked, so far as we know."""
    lease: Lease | None = None
    """None: there is none, or none was seen yet."""
    seen_at: float = -math.inf
    """When `lease` was first seen to be as it is."""
    rival_alive: bool = False
    """Whether another holder was seen to renew it."""
    renewed_at: float | None = None
    """Start of the last write that made or kept us its holder; None: we are not."""
    opens_at: float = -math.inf
    """When the fence opens at the earliest: the one before us may not know yet that it is over."""
    due: float = -math.inf
    """When to do something next."""
    failing: bool = False
    """Whether the last request had no usable answer: then nothing is asked before `due`."""

    def may_write(self, now: float) -> bool:
        """Whether a write may begin."""
        return (
            self.renewed_at is not None
            and self.opens_at <= now < self.renewed_at + self.durations.renew_deadline
        )

    def may_release(self, now: float) -> bool:
        """Whether the Lease is ours to give up, and whoever is next may write at once."""
        return self.renewed_at is not None and self.opens_at <= now

    @property
    def ours(self) -> bool:
        """Whether the Lease names us, as far as we know."""
        return self.lease is not None and self.lease.holder == self.identity

    @property
    def free_at(self) -> float:
        """When a Lease that is not ours may be claimed."""
        if self.lease is None or self.lease.released:
            return self.seen_at
        return self.seen_at + self.lease.duration_seconds


@dataclass(frozen=True, slots=True)
class Look:
    """Read the Lease."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Write ourselves into the Lease, to get it or to keep it."""

    over: Lease | None
    """The version that may be overwritten; None: there is none, make one."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until then."""

    until: float


Action = Look | Claim | Wait


@dataclass(frozen=True, slots=True)
class Standing:
    """Where this replica stands with one Lease."""

    lease: str
    leads: bool
    gained: int
    """How often it became the leader."""
    lost: int


class Alone:
    """The Leadership port of the only replica there is: it leads everywhere, for ever."""

    def begin(self) -> None:
        """Nothing changes."""

    def term(self, namespace: str) -> int:
        """Always the same."""
        del namespace
        return 0


def next_action(candidacy: Candidacy, now: float, hesitation: float = 0.0) -> Action:
    """What to do now.

    Args:
        candidacy: What is known.
        now: The monotonic clock.
        hesitation: How much later than it could a free Lease is claimed, seconds, so that others
            come first.
    """
    free_at = candidacy.free_at + hesitation
    waiting = candidacy.known and not candidacy.ours
    # To the moment, rather than with the next look: nobody leads meanwhile.
    early = waiting and not candidacy.failing
    wake = min(candidacy.due, free_at) if early else candidacy.due
    if now < wake:
        return Wait(wake)
    if not candidacy.known or (waiting and now < free_at):
        return Look()
    return Claim(candidacy.lease)


def looked(
    candidacy: Candidacy, lease: Lease | None, *, asked_at: float, now: float, jitter: float
) -> Candidacy:
    """After the Lease was read.

    Args:
        candidacy: What was known.
        lease: What it says; None: there is none.
        asked_at: When it was asked.
        now: When the answer came.
        jitter: 0-1, so that candidates do not look all at the same time.
    """
    before, changed = candidacy.lease, _is_news(candidacy, lease)
    # Refused for a change that cannot be seen: asking again at once would ask for ever.
    stuck = not candidacy.known and not changed
    after = replace(_after(candidacy, lease, now), failing=stuck)
    if after.ours and changed:
        return replace(after, due=now)  # the answer to our claim was lost: claim it again
    due = asked_at + candidacy.durations.retry * (1 - JITTER * jitter)
    if after.ours:
        return replace(after, due=due)
    same_holder = lease is not None and before is not None and before.holder == lease.holder != ""
    alive = same_holder and (changed or candidacy.rival_alive)
    return replace(after, renewed_at=None, due=due, rival_alive=alive)


def claimed(candidacy: Candidacy, lease: Lease, *, asked_at: float, now: float) -> Candidacy:
    """After the API server took our claim.

    Args:
        candidacy: What was known.
        lease: The Lease as answered.
        asked_at: When the claim began: the fence counts from here, others count from later.
        now: When the answer came.
    """
    after = _after(candidacy, lease, now)
    due = asked_at + candidacy.durations.retry
    return replace(after, renewed_at=asked_at, due=due, failing=False, rival_alive=False)


def outdated(candidacy: Candidacy, *, now: float) -> Candidacy:
    """After a claim was refused because the Lease is not as it was read: look at once."""
    return replace(candidacy, known=False, due=now, failing=False)


def failed(candidacy: Candidacy, *, asked_at: float) -> Candidacy:
    """After a request without a usable answer: whether it was carried out is not known."""
    return replace(candidacy, due=asked_at + candidacy.durations.retry, failing=True)


def _after(candidacy: Candidacy, lease: Lease | None, now: float) -> Candidacy:
    """With the Lease as it is now known to be."""
    before = candidacy.lease
    seen_at = now if _is_news(candidacy, lease) else candidacy.seen_at
    after = replace(candidacy, known=True, lease=lease, seen_at=seen_at)
    if lease is None:
        # Whatever we held is gone, and whoever comes next does not know of us.
        return replace(after, renewed_at=None)
    if after.ours and (before is None or before.uid != lease.uid):
        # Ours, and another one than before: we made it where there was none.
        return replace(after, renewed_at=None, opens_at=now + candidacy.durations.lease)
    return after


def _is_news(candidacy: Candidacy, lease: Lease | None) -> bool:
    """Whether the Lease is another than when last seen, or seen for the first time."""
    return candidacy.seen_at == -math.inf or candidacy.lease != lease
