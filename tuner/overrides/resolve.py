"""What applies to one workload at one time.

A freeze or a pause holds whatever else is said. Of several entries that speak of the same matter,
the one further down in the file wins: each value of a pin, the bounds of GOGC, those of
GOMEMLIMIT, each target and the profile are one matter each.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from tuner.model.override import NONE, Override, Resolved
from tuner.model.workload import WorkloadKey
from tuner.overrides.book import Book
from tuner.overrides.entry import Bounds, Entry

_OPEN = Bounds()
_T = TypeVar("_T")


def resolve(book: Book, key: WorkloadKey, now: float, first_seen: Mapping[str, float]) -> Resolved:
    """What applies to a workload.

    Args:
        book: What is in force.
        key: The workload.
        now: Seconds since the epoch; an entry ends at its time to the second and not after it.
        first_seen: What the last answer for this workload said is to be remembered.
    """
    covering = [entry for entry in book.entries if entry.match.covers(key)]
    invalid = _invalid(book, key)
    if not (covering or invalid or book.paused):
        return Resolved(NONE, first_seen if _forgets_nothing(book) else {})
    seen = {
        entry.identity: first_seen.get(entry.identity, now)
        for entry in covering
        if entry.lasts_seconds is not None
    }
    ends = {entry.identity: entry.expires_at(seen.get(entry.identity, now)) for entry in covering}
    in_force = [entry for entry in covering if _lasts(ends[entry.identity], now)]
    freezing = [entry for entry in in_force if entry.freeze]
    return Resolved(
        override=_combined(
            in_force,
            paused=book.paused,
            invalid=invalid,
            frozen_by=_in_words(freezing),
            expires_at=_latest([ends[entry.identity] for entry in freezing]),
        ),
        first_seen={**first_seen, **seen} if _forgets_nothing(book) else seen,
    )


def _forgets_nothing(book: Book) -> bool:
    """Whether an entry may still be there although it cannot be read just now."""
    return book.holds_all or bool(book.held)


def _lasts(end: float | None, now: float) -> bool:
    return end is None or now < end


def _in_words(entries: Sequence[Entry]) -> str:
    """Names and reasons; empty without entries."""
    names = ", ".join(entry.name for entry in entries)
    return f"{names}: {_reasons(entries)}" if entries else ""


def _reasons(entries: Sequence[Entry]) -> str:
    return "; ".join(entry.reason for entry in entries)


def _latest(ends: Sequence[float | None]) -> float | None:
    """The end of all; None where one has none, or there are none."""
    known = [end for end in ends if end is not None]
    return max(known, default=None) if len(known) == len(ends) else None


def _invalid(book: Book, key: WorkloadKey) -> str:
    if book.holds_all:
        return book.trouble
    concerned = [refusal for refusal in book.held if refusal.may_cover(key)]
    if not concerned:
        return ""
    more = f"; and {len(concerned) - 1} more" if len(concerned) > 1 else ""
    return f"{concerned[0]}{more}"


def _combined(
    entries: Sequence[Entry],
    *,
    paused: bool,
    invalid: str,
    frozen_by: str,
    expires_at: float | None,
) -> Override:
    gogc = _last(entry.pin_gogc for entry in entries)
    memory_limit = _last(entry.pin_memory_limit_bytes for entry in entries)
    gogc_bounds = _unless_pinned(gogc, (entry.gogc_bounds for entry in entries))
    memory_bounds = _unless_pinned(memory_limit, (entry.memory_limit_bounds for entry in entries))
    return Override(
        entries=tuple(entry.name for entry in entries),
        reason=_reasons(entries),
        paused=paused,
        frozen=bool(frozen_by),
        frozen_by=frozen_by,
        invalid=invalid,
        pin_gogc=gogc,
        pin_memory_limit_bytes=memory_limit,
        pin_barrier=_last(entry.pin_barrier for entry in entries),
        immediate=_immediate(entries),
        gogc_lowest=gogc_bounds.lowest,
        gogc_highest=gogc_bounds.highest,
        memory_limit_lowest_bytes=memory_bounds.lowest,
        memory_limit_highest_bytes=memory_bounds.highest,
        gc_share_target=_last(entry.gc_share_target for entry in entries),
        latency_target_seconds=_last(entry.latency_target_seconds for entry in entries),
        profile=_last(entry.profile for entry in entries),
        expires_at=expires_at,
    )


def _immediate(entries: Sequence[Entry]) -> bool:
    """Whether an entry that wins a pinned value says so: one write carries all of them."""
    winners = (
        _last(entry if entry.pin_gogc is not None else None for entry in entries),
        _last(entry if entry.pin_memory_limit_bytes is not None else None for entry in entries),
        _last(entry if entry.pin_barrier is not None else None for entry in entries),
    )
    return any(winner is not None and winner.immediate for winner in winners)


def _unless_pinned(pin: int | None, bounds: Iterable[Bounds | None]) -> Bounds:
    """The bounds that win; none where a pin makes them moot."""
    return (_last(bounds) or _OPEN) if pin is None else _OPEN


def _last(values: Iterable[_T | None]) -> _T | None:
    """The last value that is one."""
    last = None
    for value in values:
        last = last if value is None else value
    return last
