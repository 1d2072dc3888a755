"""Which namespaces this replica may write to: it runs for one Lease a shard, and keeps the fence.

One thread per Lease does what ``tuner.election`` says, and nothing else, so that neither a long
tick nor a burst of writes delays a renewal. The fence is asked by whoever writes, right before the
request leaves, and goes by the clock: a process that was frozen finds it closed when it wakes up,
before it has heard of anything.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from typing import TYPE_CHECKING, Protocol

from tuner.election import (
    Candidacy,
    Claim,
    Durations,
    Look,
    Standing,
    Wait,
    claimed,
    failed,
    looked,
    next_action,
    outdated,
)
from tuner.errors import ClusterError, ConflictError, NotLeadingError
from tuner.model.shard import shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tuner.cluster.lease import LeaseObject

_IDENTITY_LENGTH = 253
_TICK_ENDS_SECONDS = 2.5
"""After a stop, how long the tick in hand may go on to write before the fence closes."""
_WRITE_ENDS_SECONDS = 1.0
"""After that, how long a write in hand may take for the Lease still to be released."""
_RELEASE_SECONDS = 1.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05


def elapsed() -> float:
    """Monotonic seconds, those of a suspended machine included where the system tells them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def identity(instance: str) -> str:
    """A holder's name: that of the pod or host, and what no other process has.

    Args:
        instance: Name of the pod or host.
    """
    unique = str(uuid.uuid4())
    return f"{instance[: _IDENTITY_LENGTH - len(unique) - 1]}_{unique}"


class Renewable(Protocol):
    """A view that can be read anew."""

    def renew(self) -> None:
        """Begin to read it anew."""
        ...

    @property
    def renewed(self) -> bool:
        """Whether it was read since it was last to be renewed."""
        ...


class Candidate:
    """Runs for one Lease in a thread of its own."""

    def __init__(  # noqa: PLR0913 - what an election is made of
        self,
        lease: LeaseObject,
        name: str,
        durations: Durations,
        *,
        report: Callable[[str], None],
        complain: Callable[[str], None],
        clock: Callable[[], float] = elapsed,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Nothing is asked before ``start``.

        Args:
            lease: What it runs for.
            name: Our identity: see ``identity``.
            durations: How long things take.
            report: Told, in one line each, when leadership is gained, lost, or found with another;
                must not raise.
            complain: Told, in one line, of the first in a row of requests that fail; must not
                raise.
            clock: Monotonic seconds.
            chance: 0-1.
        """
        self._lease = lease
        self._report = report
        self._complain = complain
        self._clock = clock
        self._chance = chance
        # One that is lost must leave time for another before the fence closes.
        self._timeout_seconds = durations.renew_deadline / 2
        self._candidacy = Candidacy(name, durations)
        self._changed = threading.Condition()
        self._writes_in_hand = 0
        self._closed = False
        self._term: int | None = None
        self._gained = self._lost = 0
        self._rival = ""
        self._failing = self._claiming = False
        self._resigned = threading.Event()
        self._thread: threading.Thread | None = None

    def start(
        self,
        stop: threading.Event,
        *,
        hesitation: Callable[[], float],
        gained: Callable[[], None],
    ) -> None:
        """Begin to run for it.

        Args:
            stop: Ends it; a Lease that is held is then released.
            hesitation: How much later than it could a free Lease is claimed, seconds.
            gained: Called when leadership was gained, before ``term`` tells of it.
        """
        self._thread = threading.Thread(
            target=self._run, args=(stop, hesitation, gained), name=str(self._lease), daemon=True
        )
        self._thread.start()

    def resign(self) -> None:
        """Say that nothing more will be written, so that the Lease is released with the stop."""
        self._resigned.set()

    def join(self, timeout_seconds: float) -> None:
        """Wait until it has ended, no longer than this."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    @property
    def holds(self) -> bool:
        """Whether the Lease names us, as far as we know, or is about to."""
        return self._claiming or self._candidacy.ours

    @property
    def waits_in_vain(self) -> bool:
        """Whether another holder was seen to renew the Lease, or nobody answers."""
        return self._candidacy.rival_alive or self._candidacy.failing

    @property
    def term(self) -> int | None:
        """Number of the term in which we lead; None where we do not, as of now."""
        with self._changed:
            return self._term if self._may_write() else None

    @property
    def standing(self) -> Standing:
        """Where we stand as of now."""
        return Standing(self._lease.name, self.term is not None, self._gained, self._lost)

    @contextlib.contextmanager
    def writing(self, term: int | None) -> Iterator[None]:
        """A context for one write, which the release of the Lease waits for.

        Args:
            term: In which the write was decided on.

        Raises:
            NotLeadingError: That term is over.
        """
        with self._changed:
            if term is None or term != self._term or not self._may_write():
                raise NotLeadingError(f"{self._lease}: another replica leads, or may lead")
            self._writes_in_hand += 1
        try:
            yield
        finally:
            with self._changed:
                self._writes_in_hand -= 1
                self._changed.notify_all()

    def _may_write(self) -> bool:
        return not self._closed and self._candidacy.may_write(self._clock())

    def _run(
        self,
        stop: threading.Event,
        hesitation: Callable[[], float],
        gained: Callable[[], None],
    ) -> None:
        while not stop.is_set():
            self._take_note(gained)
            now = self._clock()
            action = next_action(self._candidacy, now, hesitation())
            if isinstance(action, Wait):
                stop.wait(max(action.until - now, 0.0))
            else:
                self._ask(action, now)
        self._end()

    def _ask(self, action: Look | Claim, asked_at: float) -> None:
        before = self._candidacy
        after = failed(before, asked_at=asked_at)
        try:
            if isinstance(action, Look):
                found = self._lease.read(self._timeout_seconds)
                now, jitter = self._clock(), self._chance()
                after = looked(before, found, asked_at=asked_at, now=now, jitter=jitter)
            else:
                self._claiming = True
                lease = self._lease.claim(action.over, before.identity, self._timeout_seconds)
                after = claimed(before, lease, asked_at=asked_at, now=self._clock())
        except ConflictError:
            after = outdated(before, now=self._clock())
        except ClusterError as error:
            self._tell_failing(str(error))
        except Exception as error:  # noqa: BLE001 - without this thread nobody may write
            self._tell_failing(f"{self._lease}: {type(error).__name__}: {error}")
        self._failing = after.failing
        with self._changed:
            self._candidacy = after
        self._claiming = False

    def _tell_failing(self, words: str) -> None:
        if not self._failing:
            self._complain(f"{words}: leadership is not had, or not kept, without an answer")

    def _take_note(self, gained: Callable[[], None]) -> None:
        """Tell of a term that began or ended, and of another leader."""
        leads, lease = self._may_write(), self._candidacy.lease
        rival = "" if lease is None or self._candidacy.ours else lease.holder
        if leads and self._term is None:
            gained()
            self._gained += 1
            with self._changed:
                self._term = self._gained
            self._report(f"{self._lease}: leads from now on")
        elif not leads and self._term is not None:
            self._lose(f"{rival} holds it" if rival else "it was not renewed in time, or is gone")
        if rival and rival != self._rival:
            self._report(f"{self._lease}: {rival} holds it: standing by, nothing is written")
        self._rival = rival

    def _lose(self, why: str) -> None:
        with self._changed:
            self._term = None
        self._lost += 1
        self._report(f"{self._lease}: leads no longer: {why}")

    def _end(self) -> None:
        """Close the fence, and release the Lease unless a write is still on its way."""
        self._resigned.wait(_TICK_ENDS_SECONDS)
        with self._changed:
            self._closed = True
            ended = self._changed.wait_for(lambda: not self._writes_in_hand, _WRITE_ENDS_SECONDS)
        if ended and self._candidacy.may_release(self._clock()):
            try:
                self._release()
            except ClusterError as error:
                self._complain(f"not released, others wait until it expires: {error}")
        if self._term is not None:
            self._lose("told to stop")

    def _release(self) -> None:
        held = self._candidacy.lease
        assert held is not None  # noqa: S101  # only what is held may be released
        try:
            self._lease.release(held, _RELEASE_SECONDS)
        except ConflictError:
            # The answer to our last renewal may have been lost.
            now = self._lease.read(_RELEASE_SECONDS)
            if now is None or (now.uid, now.holder) != (held.uid, held.holder):
                return
            self._lease.release(now, _RELEASE_SECONDS)


class ShardLeadership:
    """The Leadership port: a Lease for each shard of the namespaces."""

    def __init__(self, candidates: Sequence[Candidate], retry_seconds: float) -> None:
        """Nothing is asked before ``start``.

        Args:
            candidates: One for each shard, in its order.
            retry_seconds: By which a free Lease is left to others for each one that is held.
        """
        self._candidates = tuple(candidates)
        self._retry_seconds = retry_seconds
        self._taken_up: list[int | None] = [None] * len(candidates)
        self._views: Sequence[Renewable] = ()
        self._stop = threading.Event()

    def start(self, stop: threading.Event, views: Sequence[Renewable]) -> None:
        """Begin to run for the Leases.

        Args:
            stop: Ends it; no tick leads any more once it is set.
            views: What is read anew before a term is taken up: nothing that the leader before us
                did may be missing from it.
        """
        self._stop, self._views = stop, views
        for each in self._candidates:
            each.start(stop, hesitation=self._hesitation, gained=self._renew)

    def stop(self) -> None:
        """Release what is held, once ``stop`` is set; nothing may be written afterwards."""
        for each in self._candidates:
            each.resign()
        deadline = time.monotonic() + _STOP_SECONDS
        for each in self._candidates:
            each.join(max(0.0, deadline - time.monotonic()))

    def wait_settled(self, timeout_seconds: float) -> None:
        """Wait for each Lease until we lead, or waiting is in vain; no longer than this, or a stop.

        Another leader that does not renew its Lease is waited out.
        """
        deadline = time.monotonic() + timeout_seconds
        while not self._settled() and time.monotonic() < deadline:
            if self._stop.wait(_POLL_SECONDS):
                return

    def begin(self) -> None:
        """A tick begins: take up the terms that have begun, where the views are as new."""
        # In this order: a term that is seen has asked for its views by then.
        terms = [each.term for each in self._candidates]
        fresh = all(each.renewed for each in self._views)
        for shard, term in enumerate(terms):
            if fresh or self._taken_up[shard] != term:
                self._taken_up[shard] = term if fresh else None

    def term(self, namespace: str) -> int | None:
        """Number of the term that was taken up; None once it is over, or told to stop."""
        shard = self._shard(namespace)
        taken_up = self._taken_up[shard]
        if taken_up is None or self._stop.is_set():
            return None
        if self._candidates[shard].term != taken_up:
            self._taken_up[shard] = None  # for the rest of the tick, even if it comes back
        return self._taken_up[shard]

    def writing(self, namespace: str) -> contextlib.AbstractContextManager[None]:
        """The fence: a context for one write to a namespace.

        Raises:
            NotLeadingError: On entering: we do not lead there, or not as the tick began.
        """
        shard = self._shard(namespace)
        return self._candidates[shard].writing(self._taken_up[shard])

    @property
    def standings(self) -> Sequence[Standing]:
        """Where we stand with each Lease as of now."""
        return [each.standing for each in self._candidates]

    def _shard(self, namespace: str) -> int:
        return shard_of(namespace, len(self._candidates))

    def _hesitation(self) -> float:
        """Whoever holds fewest comes first."""
        return self._retry_seconds * sum(each.holds for each in self._candidates)

    def _renew(self) -> None:
        for each in self._views:
            each.renew()

    def _settled(self) -> bool:
        fresh = all(each.renewed for each in self._views)
        return fresh and all(
            each.waits_in_vain or each.term is not None for each in self._candidates
        )
