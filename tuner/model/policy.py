"""The numbers that steer the core, as plain values: the settings fill them in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tuner.model.reason import Reason
from tuner.model.workload import Mode

GOGC_GREATEST = 999_999
"""Six digits, percent: what the admission policy lets pass."""


class MemoryBudget(StrEnum):
    """What the heap may fill."""

    REQUEST = "request"
    LIMIT = "limit"


class LatencyQuantile(StrEnum):
    """Quantile of latency that an objective means."""

    P95 = "p95"
    P99 = "p99"


class ProfileName(StrEnum):
    """Values of the annotation ``gc-tuner.io/profile``."""

    CRITICAL = "critical"
    NORMAL = "normal"
    BEST_EFFORT = "best-effort"


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
    gc_share_least: float = 0.0
    """Lowest set point that the latency loop may ask of the GC cost loop, 0-1."""
    latency_target_seconds: float | None = None
    """Latency objective; None: none."""
    latency_quantile: LatencyQuantile = LatencyQuantile.P95
    """Quantile of latency that the objective means."""
    goes_off: bool = False
    """Whether GOGC=off, once found, may be tuned."""


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
class GuardRules:
    """When a change waits, whatever the loops ask for."""

    rollouts_in_cluster: int = 5
    """Most workloads whose pods gc-tuner replaces at the same time."""
    shards: int = 1
    """Parts of the fleet, each with its share of them: whoever leads one does not wait for what
    the leaders of others are about to do."""
    rollouts_in_namespace: int = 1
    closed: Callable[[float], str] = lambda _: ""
    """Why no change may be made at a time, in words; empty inside a change window."""
    alerts: tuple[str, ...] = ()
    """Names of alerts during which nothing is changed in their namespace."""
    danger_ratio: float = 0.92
    """Share of the container's limit from which on its memory is in danger."""
    throttled_ratio: float = 0.01
    """Share of throttled CPU periods from which on latency is not the collector's to mend."""
    leak_growth_ratio: float = 0.03
    """Growth of the live heap between two windows that counts towards a leak."""
    leak_windows: int = 3
    leak_least_bytes: int = 512_000_000
    goroutines_many: int = 5_000
    goroutines_correlation: float = 0.9
    quarantine_seconds: float = 3600.0
    """First pause after a change that did harm; doubled by each further one."""
    quarantine_longest_seconds: float = 86_400.0


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
    guards: GuardRules = GuardRules()
    standby: bool = False
    """Whether another replica may write, and this one not."""

    @property
    def read_only(self) -> Reason | None:
        """Why nothing at all may be written; None where it may."""
        if self.dry_run:
            return Reason.DRY_RUN
        return Reason.STANDBY if self.standby else None
