"""GOMEMLIMIT: the backstop that the runtime itself enforces, in milliseconds.

    GOMEMLIMIT = set point * k * container limit - 1.1 * memory that Go does not know

GOGC decides how large the heap gets as long as there is room, and is read every tick; the limit
decides near the end, between two ticks. The correction ``k`` is a slow loop's: where the runtime
holds its limit and the container's memory is still above the set point, the limit comes down.
It moves only while the limit binds, since only then does memory follow it.
"""

import math
import re
from dataclasses import dataclass

from tuner.control.tracking import Gains, TrackingPID, preset, step_seconds
from tuner.model.signals import Signals
from tuner.signals.derive import limit_binds

MIB = 1024 * 1024
CONTAINER_LEAST_BYTES = 64 * MIB
"""Under it, the runtime's own memory leaves nothing that a limit could steer."""
UNKNOWN_MARGIN = 1.1
"""What Go does not know can grow, and no collection makes room for it."""
ROOM_LEAST_RATIO = 1.1
"""A limit under this multiple of what Go must keep makes it collect without end."""
MOVE_LEAST_RATIO = 0.05
"""A smaller move is not worth a restart."""

CORRECTION_LEAST = 0.85
GAINS = Gains(proportional=0.3, integral_seconds=300.0)

_BYTES_HIGHEST = 2**63 - 1
_UNITS = {
    "": 1,
    "B": 1,
    "KiB": 1024,
    "MiB": MIB,
    "GiB": 1024 * MIB,
    "TiB": 1024 * 1024 * MIB,
}
_GO_SYNTAX = re.compile(r"([0-9]+)(B|KiB|MiB|GiB|TiB|)")
_WRITTEN = re.compile(r"[1-9][0-9]*MiB")


@dataclass(frozen=True, slots=True)
class Correction:
    """What the loop on ``k`` remembers."""

    k: float = 1.0
    """Factor on the container limit, .85-1."""
    integral: float | None = None
    """None while the limit does not bind: memory that it does not make says nothing of it."""
    at: float | None = None
    """When it last stepped; None before its first step."""


def limit_for(
    signals: Signals, memory_limit_bytes: float, set_point: float, k: float
) -> int | None:
    """GOMEMLIMIT for a container, MiB; None where it is too small for one, or full.

    Where the corrected limit would be under 1.1 times what Go must keep (live heap and memory
    beside the heap), the uncorrected one is better: slow is better than killed.

    Args:
        signals: What the container's memory is used for.
        memory_limit_bytes: Memory limit of the running container.
        set_point: Share of it that may be used, 0-1.
        k: Correction of ``advance``, .85-1.
    """
    if not memory_limit_bytes >= CONTAINER_LEAST_BYTES or math.isinf(memory_limit_bytes):
        return None
    usable = set_point * memory_limit_bytes
    limit = k * usable - UNKNOWN_MARGIN * signals.unknown_bytes
    kept = signals.live_bytes + signals.non_heap_bytes
    if limit < ROOM_LEAST_RATIO * kept:
        limit = usable - signals.unknown_bytes
    mib = math.floor(limit / MIB)
    return mib if mib > 0 else None


def worth_writing(mib: int, in_force_bytes: float | None) -> bool:
    """Whether a limit differs enough from the one in force.

    Args:
        mib: The limit that should be in force, MiB.
        in_force_bytes: GOMEMLIMIT in force; None where none is set.
    """
    if in_force_bytes is None:
        return True
    return abs(mib * MIB - in_force_bytes) >= MOVE_LEAST_RATIO * in_force_bytes


def start(
    signals: Signals, memory_limit_bytes: float, set_point: float, *, at: float
) -> Correction:
    """The correction that stands behind the GOMEMLIMIT in force; none where none is set."""
    if signals.gomemlimit_bytes is None:
        return Correction(at=at)
    usable = set_point * memory_limit_bytes
    mapped = signals.gomemlimit_bytes + UNKNOWN_MARGIN * signals.unknown_bytes
    return Correction(_clamped(mapped / usable), at=at)


def advance(
    correction: Correction,
    signals: Signals,
    memory_limit_bytes: float,
    set_point: float,
    *,
    at: float,
) -> Correction:
    """Moves the correction by one tick.

    Args:
        correction: What the last tick left; a fresh one begins at the limit in force.
        signals: What was seen of the container's memory.
        memory_limit_bytes: Memory limit of the running container.
        set_point: Share of it that may be used, 0-1.
        at: Time of what was seen, seconds.
    """
    usable = set_point * memory_limit_bytes
    figures = (at, usable, signals.resident_bytes, signals.unknown_bytes)
    if not all(map(math.isfinite, figures)) or memory_limit_bytes < CONTAINER_LEAST_BYTES:
        return correction
    if correction.at is None:
        return start(signals, memory_limit_bytes, set_point, at=at)
    seconds = step_seconds(correction.at, at)
    if seconds == 0:
        return correction
    if not binds(signals):
        offset = (correction.k - 1) * math.exp(-seconds / GAINS.integral_seconds)
        return Correction(1 + offset, None, at)
    error = signals.resident_bytes / memory_limit_bytes - set_point
    integral = correction.integral
    if integral is None:
        integral = preset(GAINS, error, correction.k - 1)
    loop = TrackingPID(GAINS, integral=integral)
    asked = loop.ask(error, seconds)
    k = _clamped(1 + asked)
    loop.track(k - 1, asked, seconds)
    return Correction(k, loop.integral, at)


def binds(signals: Signals) -> bool:
    """Whether GOMEMLIMIT, and not GOGC, makes the heap goal."""
    if signals.gomemlimit_bytes is None:
        return False
    return limit_binds(signals.heap_goal_bytes, signals.gomemlimit_bytes, signals.non_heap_bytes)


def text(mib: int) -> str:
    """A limit as it is written.

    Raises:
        ValueError: It is not above 0; Go would collect without end, or refuse to start.
    """
    written = f"{mib}MiB"
    if _WRITTEN.fullmatch(written) is None:
        raise ValueError(f"{written!r} is not a GOMEMLIMIT to write: use a whole number from 1 up")
    return written


def in_words(limit_bytes: float | None) -> str:
    """A limit in force as people read it: whole MiB, or off."""
    return "off" if limit_bytes is None else f"{limit_bytes / MIB:.0f}MiB"


def parse(value: str | None) -> int | None:
    """A limit as Go reads it, bytes; None where it means that there is none.

    Source: https://pkg.go.dev/runtime#hdr-Environment_Variables.

    Raises:
        ValueError: Go would refuse to start with it; the message says what would be right.
    """
    if value in (None, "", "off"):
        return None
    match = _GO_SYNTAX.fullmatch(value)
    size = int(match[1]) * _UNITS[match[2]] if match else None
    if size is None or size > _BYTES_HIGHEST:
        raise ValueError(
            f"{value!r} is not a GOMEMLIMIT: write off or a whole number of bytes below 2^63, "
            "with B, KiB, MiB, GiB or TiB where it counts those"
        )
    return None if size == _BYTES_HIGHEST else size


def _clamped(k: float) -> float:
    return min(max(k, CORRECTION_LEAST), 1.0)
