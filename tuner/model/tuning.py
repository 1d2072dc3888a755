"""What the control law asks for, and what it expects of it."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Limit(StrEnum):
    """Which term of the low select decided a proposed GOGC."""

    COST = "cost"
    """The GC cost loop."""
    CEILING = "ceiling"
    """What the memory budget allows."""
    BOUND = "bound"
    """A bound of the profile."""
    DANGER = "danger"
    """What is safe for memory that is in danger."""
    OVERRIDE = "override"
    """A pin or a bound that people laid down."""


class Prediction(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a change is expected to do, stated before it is made and scored after."""

    cpu_saving_ratio: float
    """Share of today's CPU per request that goes away; negative where the change costs CPU."""
    memory_peak_bytes: int
    """Resident memory of the worst pod at the new heap goal."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the memory budget allows."""

    budget_bytes: float
    """The request or the limit that counts."""
    budget_name: str
    """Which of them, for people: ``memory request`` or ``memory limit``."""
    gogc: float
    """GOGC at which the heap goal fills the budget, percent; can be negative."""
    enforced: bool
    """Whether GOMEMLIMIT holds the heap there, whatever GOGC is."""
    lowers: bool
    """Whether GOGC is taken down to it, rather than only kept from rising past it."""
    relieved: bool
    """Whether the first GOMEMLIMIT, which goes in the same write, keeps the container within its
    limit by itself: GOGC need not fall for it."""
    limit_gogc: float
    """GOGC at which the heap goal fills the container's limit, percent; infinite without one."""
    short: bool
    """Whether the container's limit is too small for the live heap."""
    limit_sufficient_bytes: float
    """The container limit that would end the shortage."""
    limit_needed_bytes: float
    """The container limit that would let the loop reach its target share."""
