"""What the operators of the cluster have laid down for one workload: their word wins."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Override:
    """What applies to one workload at one time, after precedence.

    It never grants a write: mode, ownership and rollout guards stand whatever it says. What is
    None or false leaves the matter to the profile and the loops.
    """

    entries: tuple[str, ...] = ()
    """Names of the entries in force, in the order of the file."""
    reason: str = ""
    """Why, in the words of those entries."""
    paused: bool = False
    """Nothing is written anywhere."""
    frozen: bool = False
    """Nothing is written to this workload."""
    frozen_by: str = ""
    """Names and reasons of the entries that freeze it, for people."""
    invalid: str = ""
    """Why nothing may be written: an override that may concern this workload cannot be read."""
    pin_gogc: int | None = None
    """GOGC to write whatever the loops ask for, percent."""
    pin_memory_limit_bytes: int | None = None
    """GOMEMLIMIT to write whatever the loops ask for."""
    pin_barrier: int | None = None
    """Barrier threshold to write whatever the loops ask for, requests in flight per pod."""
    immediate: bool = False
    """Whether the pinned values are written in one go instead of in clamped steps."""
    gogc_lowest: int | None = None
    """Bound that wins over the profile's, percent; None wherever GOGC is pinned."""
    gogc_highest: int | None = None
    """As gogc_lowest."""
    memory_limit_lowest_bytes: int | None = None
    """Bound of GOMEMLIMIT; None wherever it is pinned."""
    memory_limit_highest_bytes: int | None = None
    """As memory_limit_lowest_bytes."""
    gc_share_target: float | None = None
    """Set point of the GC cost loop that wins over the profile's, 0-1."""
    latency_target_seconds: float | None = None
    """Latency objective that wins over the workload's annotation."""
    profile: str | None = None
    """Tier that wins over the workload's annotation."""
    expires_at: float | None = None
    """When the last of the entries that freeze it ends; None: the freeze does not end by itself."""


NONE = Override()
"""Nothing is laid down."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """An answer, and what has to be remembered for the next one."""

    override: Override
    first_seen: Mapping[str, float]
    """When entries that last for a while were first seen, by their identity."""
