"""What the control loops ask for, before any guard has seen it."""

from dataclasses import dataclass, replace

from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.tuning import Ceiling, Limit, Prediction

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GogcMove:
    """A GOGC that the loops ask for; guards may bring it closer to today's, or refuse it."""

    current_gogc: float
    """GOGC in force, percent."""
    target_gogc: int
    """Where the loops want to end, two significant digits."""
    target_prediction: Prediction
    next_gogc: int
    """The next value to write; the same until a guard clamps the step."""
    prediction: Prediction
    """Of next_gogc."""
    limited_by: Limit
    ceiling: Ceiling | None
    """None where neither request nor limit is known."""
    backstop_bytes: float | None = None
    """GOMEMLIMIT that stands behind it once it is written; None: none."""

    @property
    def rises(self) -> bool:
        """Whether the next value is above the one in force."""
        return self.next_gogc > self.current_gogc

    @property
    def ordered(self) -> bool:
        """Whether people asked for it, and not the loops."""
        return self.limited_by is Limit.OVERRIDE

    @property
    def urgent(self) -> bool:
        """Whether memory is in danger, so that neither gain nor step size counts."""
        return self.limited_by is Limit.DANGER

    @property
    def reason(self) -> Reason:
        """What it is for."""
        if self.ordered:
            return Reason.PINNED
        if self.urgent:
            return Reason.DANGER
        return Reason.GC_COST if self.rises else Reason.MEMORY_CEILING

    def to(self, gogc: int, prediction: Prediction) -> "GogcMove":
        """The same move with another next value."""
        return replace(self, next_gogc=gogc, prediction=prediction)


@dataclass(frozen=True, slots=True)
class MemoryLimitMove:
    """A GOMEMLIMIT that the memory loop asks for, or people."""

    current_bytes: float | None
    """In force; None: not set."""
    mib: int
    """To be written, MiB, above 0."""
    ordered: bool = False
    """Whether people asked for it, and not the loop."""

    @property
    def reason(self) -> Reason:
        """What it is for."""
        return Reason.PINNED if self.ordered else Reason.MEMORY_LIMIT

    def __str__(self) -> str:
        """The move in words."""
        now = "unset" if self.current_bytes is None else f"{self.current_bytes / MIB:.0f}MiB"
        return f"GOMEMLIMIT {now} -> {self.mib}MiB"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one write would bring about: a part that is held stays as it is."""

    gogc: GogcMove | Hold
    memory_limit: MemoryLimitMove | None
    """None where GOMEMLIMIT stays as it is."""
    prediction: Prediction
    """Of memory_limit alone, with GOGC as it is."""
    danger: str = ""
    """Why the container's memory is in danger, in words; empty where it is not."""

    @property
    def reason(self) -> Reason:
        """What a write of it is for."""
        if isinstance(self.gogc, GogcMove):
            return self.gogc.reason
        limit = self.memory_limit
        if self.danger and (limit is None or not limit.ordered):
            return Reason.DANGER
        return Reason.MEMORY_LIMIT if limit is None else limit.reason
