"""The memory ceiling: the GOGC at which the heap goal fills the memory that may be used."""

import math

from tuner.control.gc_cost import gogc_for_share, share_at
from tuner.model.policy import ControlLaw, MemoryBudget, Profile
from tuner.model.signals import Signals
from tuner.model.tuning import Ceiling
from tuner.model.workload import Container
from tuner.signals.derive import LIMIT_GOAL_RATIO

ROOM_LEAST_RATIO = 1.25
"""A heap goal under this multiple of the live heap leaves no room: the death spiral is near."""
SHARE_SHORT = 0.25
"""GC share at the ceiling beyond which memory is what is missing, not tuning."""


def memory_ceiling(
    signals: Signals, container: Container, profile: Profile, law: ControlLaw
) -> Ceiling | None:
    """What the container's memory allows; None where neither request nor limit is known.

    Rises stop at the budget of the profile: the request by default, since filling a limit far
    above the request invites eviction. GOGC is taken *down* to a ceiling only for the limit, and
    only where no GOMEMLIMIT stands behind it: giving memory back costs CPU, and an OOM kill is the
    only thing that is worse.
    """
    request, limit = container.memory_request_bytes, container.memory_limit_bytes
    if request is None and limit is None:
        return None
    by_request = request is not None and (
        profile.memory_budget is MemoryBudget.REQUEST or limit is None
    )
    budget = request if by_request else limit
    assert budget is not None  # noqa: S101  # one of the two is known
    rises_to = _gogc(signals, budget, profile)
    falls_to = math.inf
    if limit is not None and signals.gomemlimit_bytes is None:
        falls_to = _gogc(signals, limit, profile)
    # Down to a margin under the ceiling, but only from above it: the gap is the deadband.
    lowers = falls_to < signals.gogc
    return Ceiling(
        budget_bytes=budget,
        budget_name="memory request" if by_request else "memory limit",
        gogc=falls_to if lowers else rises_to,
        lowers=lowers,
        short=limit is not None and _short(signals, _gogc(signals, limit, profile), law),
        limit_sufficient_bytes=_limit_for(signals, SHARE_SHORT, profile, law),
        limit_needed_bytes=_limit_for(signals, profile.gc_share_target, profile, law),
    )


def _gogc(signals: Signals, memory_bytes: float, profile: Profile) -> float:
    mapped = profile.memory_set_point * memory_bytes - signals.unknown_bytes
    if signals.gomemlimit_bytes is not None:
        mapped = min(mapped, signals.gomemlimit_bytes)
    goal = LIMIT_GOAL_RATIO * (mapped - signals.non_heap_bytes)
    return 100 * (goal - signals.live_bytes) / max(signals.live_bytes + signals.stack_bytes, 1.0)


def _short(signals: Signals, ceiling_gogc: float, law: ControlLaw) -> bool:
    if ceiling_gogc < 100 * (ROOM_LEAST_RATIO - 1):
        return True
    share = share_at(signals.gc_share, signals.gogc_effective, ceiling_gogc, law.alpha)
    return share > SHARE_SHORT


def _limit_for(signals: Signals, share: float, profile: Profile, law: ControlLaw) -> float:
    """Container limit under which the GC share can be as low as this."""
    wanted = gogc_for_share(signals.gc_share, share, signals.gogc_effective, law.alpha)
    wanted = min(wanted, profile.gogc_highest)
    goal = max(ROOM_LEAST_RATIO, 1 + wanted / 100) * signals.live_bytes
    mapped = goal + signals.non_heap_bytes
    return (
        mapped / (LIMIT_GOAL_RATIO * profile.memory_set_point)
        + signals.unknown_bytes / profile.memory_set_point
    )
