"""How the loops combine: the low select for GOGC, and GOMEMLIMIT behind it."""

import math
from dataclasses import dataclass

from tuner.control.ceiling import Memory, memory_ceiling
from tuner.control.gc_cost import gogc_for_share
from tuner.control.memory_limit import MIB, limit_for, worth_writing
from tuner.control.prediction import predict
from tuner.control.rounding import round_down
from tuner.model.decision import Hold
from tuner.model.override import NONE, Override
from tuner.model.policy import ControlLaw, Profile
from tuner.model.proposal import GogcMove, MemoryLimitMove, Proposal
from tuner.model.reason import Reason
from tuner.model.signals import CYCLES_FOR_A_SHARE, Signals, Source
from tuner.model.tuning import Ceiling, Limit

GOGC_LEAST = 25
"""No ceiling takes GOGC below this: collecting costs four times the default's CPU there, and what
is missing is memory."""
DANGER_MARGIN = 0.8
"""Share of the limit's ceiling that is used where memory is in danger."""


SELDOM = frozenset({Reason.GC_IDLE, Reason.FEW_CYCLES})
"""Why a heap that hardly ever grows is left alone."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the loops are to work with, besides what is seen of the service."""

    profile: Profile
    """The tier, with what people laid down for the workload."""
    law: ControlLaw
    memory: Memory
    override: Override = NONE
    limit_free: bool = True
    """Whether GOMEMLIMIT is ours to write: no other manager's, and not set by the program."""
    limit_stays: bool = False
    """Whether GOMEMLIMIT stays as it is, whatever would be better."""
    correction: float = 1.0
    """Of the container limit, .85-1; from the memory loop."""
    danger: str = ""
    """Why the container's memory is in danger; empty where it is not."""
    limit_trusted: bool = True
    """Whether a first GOMEMLIMIT may be relied on: no kill is past, and nobody took one away."""


def propose(signals: Signals, terms: Terms) -> Proposal:
    """What the loops ask for, before any guard has seen it; also where they ask for no change."""
    untunable = _untunable(signals, terms)
    limit = _memory_limit(signals, terms)
    if untunable is not None and untunable.reason in SELDOM and _first(limit):
        # A heap that hardly ever grows is not worth a restart for a backstop.
        limit = None
    backstop = signals.gomemlimit_bytes if limit is None else float(limit.mib * MIB)
    gogc = signals.gogc_effective
    if signals.gomemlimit_bytes is not None:  # with more room, the heap grows as far as GOGC has it
        gogc = max(gogc, signals.gogc)
    return Proposal(
        gogc=untunable or _gogc(signals, terms, backstop),
        memory_limit=limit,
        prediction=predict(signals, gogc, terms.law, backstop),
        danger=terms.danger,
    )


def _first(limit: MemoryLimitMove | None) -> bool:
    """Whether the loop would set a GOMEMLIMIT where there is none."""
    return limit is not None and limit.current_bytes is None and not limit.ordered


def _memory_limit(signals: Signals, terms: Terms) -> MemoryLimitMove | None:
    """GOMEMLIMIT to write; None where the one in force will do, or none can be set."""
    pinned, available = terms.override.pin_memory_limit_bytes, terms.memory.limit_bytes
    if terms.limit_stays or not terms.limit_free:
        return None
    if pinned is not None:
        mib: int | None = pinned // MIB
    elif available is not None:
        mib = limit_for(signals, available, terms.profile.memory_set_point, terms.correction)
    else:
        mib = None
    if mib is None:
        return None
    mib = _within(mib, terms)
    in_force = signals.gomemlimit_bytes
    if mib < 1 or not (worth_writing(mib, in_force) if pinned is None else mib * MIB != in_force):
        return None
    return MemoryLimitMove(in_force, mib, ordered=pinned is not None)


def _within(mib: int, terms: Terms) -> int:
    """Within the bounds that people laid down, and never over the container's own limit."""
    override = terms.override
    if override.memory_limit_lowest_bytes is not None:
        mib = max(mib, math.ceil(override.memory_limit_lowest_bytes / MIB))
    if override.memory_limit_highest_bytes is not None:
        mib = min(mib, override.memory_limit_highest_bytes // MIB)
    available = terms.memory.limit_bytes
    return mib if available is None else min(mib, available // MIB)


def _gogc(signals: Signals, terms: Terms, backstop_bytes: float | None) -> GogcMove:
    ceiling = memory_ceiling(
        signals,
        terms.memory,
        terms.profile,
        terms.law,
        backstop_bytes=backstop_bytes,
        trusted=terms.limit_trusted,
    )
    # An off that may be tuned is left from the GOGC that would give today's heap goal, and 0 from
    # the least that can be written.
    numbered = 1 <= signals.gogc < math.inf
    current = signals.gogc if numbered else signals.gogc_effective
    target, limited_by = _target(signals, current, ceiling, terms)
    prediction = predict(signals, target, terms.law, backstop_bytes)
    return GogcMove(
        current_gogc=current,
        target_gogc=target,
        target_prediction=prediction,
        next_gogc=target,
        prediction=prediction,
        limited_by=limited_by,
        ceiling=ceiling,
        backstop_bytes=backstop_bytes,
    )


def _untunable(signals: Signals, terms: Terms) -> Hold | None:
    """Why GOGC is not a number that the loops can move; None where it is."""
    if math.isinf(signals.gogc) and not terms.profile.goes_off:
        guarded = signals.gomemlimit_bytes is not None
        return Hold(
            Reason.GOGC_OFF,
            "GOGC is off, GOMEMLIMIT alone bounds the heap"
            if guarded
            else "GOGC is off without a GOMEMLIMIT: the heap grows until the kernel kills",
        )
    if terms.override.pin_gogc is not None or terms.danger:
        return None
    if signals.cycles_per_second < terms.law.slowest_cycles_per_second:
        return Hold(
            Reason.GC_IDLE,
            f"{signals.cycles_per_second * 60:.2g} GC cycles a minute per pod: "
            "GC does not matter here",
        )
    if signals.cycles_seen < CYCLES_FOR_A_SHARE:
        return Hold(
            Reason.FEW_CYCLES,
            f"{signals.cycles_seen:.1f} GC cycles per pod in the rate windows so "
            f"far, {CYCLES_FOR_A_SHARE} are needed to tell what they cost",
        )
    return None


def _target(
    signals: Signals, gogc: float, ceiling: Ceiling | None, terms: Terms
) -> tuple[int, Limit]:
    """Where GOGC is to end, and what decides it."""
    current, override = max(round(gogc), 1), terms.override
    if override.pin_gogc is not None:
        return override.pin_gogc, Limit.OVERRIDE
    if terms.danger and ceiling is not None:
        return _safe(current, ceiling), Limit.DANGER
    target, limited_by = _low_select(signals, current, ceiling, terms)
    lowest, highest = override.gogc_lowest, override.gogc_highest
    if lowest is not None and target < lowest:
        return _lifted(target, lowest, ceiling, terms.law)
    if highest is not None and target > highest:
        return highest, Limit.OVERRIDE
    return target, limited_by


def _lifted(
    target: int, lowest: int, ceiling: Ceiling | None, law: ControlLaw
) -> tuple[int, Limit]:
    """Up to people's lowest, as far as memory allows."""
    if ceiling is None or law.ceiling_margin * ceiling.gogc >= lowest:
        return lowest, Limit.OVERRIDE
    return max(round_down(law.ceiling_margin * ceiling.gogc), target), Limit.CEILING


def _safe(current: int, ceiling: Ceiling) -> int:
    """Never more than today's; today's where GOMEMLIMIT averts the danger."""
    if math.isinf(ceiling.limit_gogc) or ceiling.relieved:
        return current
    return min(max(round_down(DANGER_MARGIN * ceiling.limit_gogc), GOGC_LEAST), current)


def _allowed(signals: Signals, current: float, ceiling: Ceiling | None, terms: Terms) -> float:
    """GOGC that memory allows, percent.

    Below the ceiling GOGC binds, and the live heap can be measured by it. Where it is measured
    anyway, and a GOMEMLIMIT of ours holds the heap at the ceiling, a GOGC above it does no harm:
    memory that is given is used in full, also when the live heap shrinks.
    """
    if ceiling is None:
        return math.inf
    allowed = terms.law.ceiling_margin * ceiling.gogc
    # A GOMEMLIMIT of somebody else's can go any time, and would leave a GOGC without a limit.
    held = ceiling.enforced and terms.limit_free
    free = held and signals.live_source is Source.MEASURED
    return math.inf if free and current < allowed else allowed


def _low_select(
    signals: Signals, current: int, ceiling: Ceiling | None, terms: Terms
) -> tuple[int, Limit]:
    """The smallest of what GC cost asks for, memory allows and the profile bounds."""
    profile, law = terms.profile, terms.law
    wanted = gogc_for_share(
        signals.gc_share, profile.gc_share_target, signals.gogc_effective, law.alpha
    )
    target, limited_by = wanted, Limit.COST
    allowed = _allowed(signals, current, ceiling, terms)
    if allowed < target:
        target, limited_by = allowed, Limit.CEILING
    if ceiling is not None and ceiling.lowers and limited_by is Limit.CEILING:
        return min(max(round_down(target), GOGC_LEAST), current), limited_by
    if target > profile.gogc_highest:
        target, limited_by = float(profile.gogc_highest), Limit.BOUND
    # Memory is not given back: a share below its target, or a budget already passed behind a
    # working backstop, is a reason to stay, not to pay CPU.
    return max(round_down(target), current), limited_by
