"""The numbers that steer the core, as plain values: the settings fill them in."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tuner.model.workload import Mode


class MemoryBudget(StrEnum):
    """What the heap may fill."""

    REQUEST = "request"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Profile:
    """One tier."""

    name: str
    gc_share_target: float
    """Set point of the GC cost loop: GC share of the CPU, 0-1."""
    memory_set_point: float
    """Share of the budget that may be used, 0-1."""
    memory_budget: MemoryBudget
    gogc_lowest: int
    gogc_highest: int
    cooldown_seconds: float
    """Shortest time between two changes of a workload."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How the loop sees time."""

    interval_seconds: float
    rate_window_seconds: float
    warm_up_seconds: float
    """How long a pod's figures are left out after its start."""
    stale_after_seconds: float
    samples_per_window: int
    """Fewest samples in a rate window that make a rate."""
    revert_pause_seconds: float
    """How long to leave a workload alone after someone took our value away."""
    plan_lifetime_seconds: float
    """How long a planned but unwritten change stays good, over a restart of the controller."""


@dataclass(frozen=True, slots=True)
class TrialRules:
    """When a change counts as judged, and what counts as a difference."""

    windows: int
    """Rate windows on either side."""
    requests: int
    """Requests on the side after the change."""
    settle_cycles: int
    """GC cycles per pod before the side after the change begins."""
    effect_ratio: float
    """Smallest difference that counts as an effect."""
    harm_ratio: float
    """Smallest rise of CPU per request that counts as harm."""
    load_shift_ratio: float
    """Change of load that makes the two sides incomparable."""
    restart_spread_ratio: float
    """Spread of CPU per request between two restarts at the same setting."""
    patience_windows: int
    """Rate windows after which an undecided trial ends as inconclusive."""


@dataclass(frozen=True, slots=True)
class ControlLaw:
    """Constants of the control law that are the same for all tiers."""

    alpha: float
    """Exponent of GC CPU over GOGC."""
    cost_seconds_per_byte: float
    """Prior of the marking cost per live byte and cycle."""
    step_ratio: float
    """Largest factor between two values of GOGC."""
    worth_ratio: float
    """Smallest predicted saving that is worth a restart."""
    ceiling_margin: float
    """Share of the ceiling that is used, so that GOGC binds and the live heap stays measurable."""
    slowest_cycles_per_second: float
    """Below it, Go's forced cycles dominate and GOGC does not matter."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that the core is told by its operator."""

    default_mode: Mode
    dry_run: bool
    profiles: Mapping[str, Profile]
    default_profile: str
    timing: Timing
    trial: TrialRules
    law: ControlLaw
