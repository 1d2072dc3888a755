"""The memory ceiling: the GOGC at which the heap goal fills the memory that may be used."""

import math
from dataclasses import dataclass

from tuner.control.gc_cost import gogc_for_share, share_at
from tuner.model.policy import ControlLaw, MemoryBudget, Profile
from tuner.model.signals import Signals, Source
from tuner.model.tuning import Ceiling
from tuner.model.workload import Container, Workload
from tuner.signals.derive import LIMIT_GOAL_RATIO

ROOM_LEAST_RATIO = 1.25
"""A heap goal under this multiple of the live heap leaves no room: the death spiral is near."""
SHARE_SHORT = 0.25
"""GC share at the ceiling beyond which memory is what is missing, not tuning."""
AUTOSCALER_RATIO = 0.85
"""Share of an autoscaler's memory target that may be used: at the target it would add pods."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a container may use, and what stands behind it; None: not set."""

    request_bytes: int | None
    limit_bytes: int | None
    """The smallest that any pod has, now or after its next restart."""
    autoscaler_bytes: float | None = None
    """Memory per pod from which on a HorizontalPodAutoscaler adds pods."""


def memory_of(workload: Workload, container: Container) -> Memory:
    """What a container may use.

    A limit resized in place holds for the running pods, the template's for those that come. On the
    live channel none come.
    """
    request, template = container.memory_request_bytes, container.memory_limit_bytes
    in_force = container.running.memory_limit_bytes
    if in_force is None or (workload.live is None and template is not None):
        in_force = min((each for each in (in_force, template) if each is not None), default=None)
    target = workload.autoscaling.memory_request_target
    autoscaler = None if target is None or request is None else target * request
    return Memory(request, in_force, autoscaler)


def memory_ceiling(
    signals: Signals,
    memory: Memory,
    profile: Profile,
    law: ControlLaw,
    *,
    backstop_bytes: float | None = None,
    trusted: bool = True,
) -> Ceiling | None:
    """What the container's memory allows; None where neither request nor limit is known.

    Rises stop at the budget of the profile: the request by default, since filling a limit far
    above the request invites eviction. GOGC is taken *down* to a ceiling only for the limit, and
    only where no GOMEMLIMIT stands behind it: giving memory back costs CPU, and an OOM kill is the
    only thing that is worse. The GOMEMLIMIT that is about to come does as well where the live heap
    can be measured under it, which takes another metric than GOGC and the heap goal.

    Args:
        signals: What the container's memory is used for.
        memory: What it may use.
        profile: The tier.
        law: Constants.
        backstop_bytes: GOMEMLIMIT that will be in force; None: the one that is, if any.
        trusted: Whether a first one may be relied on.
    """
    request, limit = memory.request_bytes, memory.limit_bytes
    if request is None and limit is None:
        return None
    backstop = backstop_bytes if backstop_bytes is not None else signals.gomemlimit_bytes
    by_request = request is not None and (
        profile.memory_budget is MemoryBudget.REQUEST or limit is None
    )
    budget, name = (request, "memory request") if by_request else (limit, "memory limit")
    assert budget is not None  # noqa: S101  # one of the two is known
    usable = profile.memory_set_point * budget
    if memory.autoscaler_bytes is not None and AUTOSCALER_RATIO * memory.autoscaler_bytes < usable:
        usable, name = AUTOSCALER_RATIO * memory.autoscaler_bytes, "autoscaler's memory target"
        budget = round(memory.autoscaler_bytes)
    rises_to = _gogc(signals, usable, backstop)
    within_limit = math.inf
    if limit is not None:
        within_limit = _gogc(signals, profile.memory_set_point * limit, backstop)
    relieved = (
        trusted
        and signals.gomemlimit_bytes is None
        and limit is not None
        and _holds(backstop, signals, profile.memory_set_point * limit)
        and signals.live_source is Source.MEASURED
    )
    # Down to a margin under the ceiling, but only from above it: the gap is the deadband.
    lowers = signals.gomemlimit_bytes is None and not relieved and within_limit < signals.gogc
    return Ceiling(
        budget_bytes=budget,
        budget_name=name,
        gogc=within_limit if lowers else rises_to,
        enforced=_holds(backstop, signals, usable) and not lowers,
        lowers=lowers,
        relieved=relieved,
        limit_gogc=within_limit,
        short=limit is not None and _short(signals, within_limit, law),
        limit_sufficient_bytes=_limit_for(signals, SHARE_SHORT, profile, law),
        limit_needed_bytes=_limit_for(signals, profile.gc_share_target, profile, law),
    )


def _holds(backstop_bytes: float | None, signals: Signals, usable_bytes: float) -> bool:
    """Whether a GOMEMLIMIT keeps the container within what may be used."""
    return backstop_bytes is not None and backstop_bytes <= usable_bytes - signals.unknown_bytes


def _gogc(signals: Signals, usable_bytes: float, backstop_bytes: float | None) -> float:
    mapped = usable_bytes - signals.unknown_bytes
    return gogc_within(signals, mapped if backstop_bytes is None else min(mapped, backstop_bytes))


def gogc_within(signals: Signals, mapped_bytes: float) -> float:
    """GOGC at which the heap goal fills memory as GOMEMLIMIT counts it, percent; can be negative.

    Args:
        signals: What is seen of the service now.
        mapped_bytes: All that Go may map: such as a GOMEMLIMIT.
    """
    goal = LIMIT_GOAL_RATIO * (mapped_bytes - signals.non_heap_bytes)
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
