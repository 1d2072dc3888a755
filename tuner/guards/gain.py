"""Guard: a proposal that asks for nothing is a hold, and says what stands in the way of more."""

from tuner.control.latency import Obstacle
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove
from tuner.model.reason import Reason
from tuner.model.tuning import Ceiling, Limit

MIB = 1024 * 1024

_WORDS = {
    Obstacle.THROTTLED: "latency is missed while the container is throttled at its CPU limit: "
    "raise the CPU limit",
    Obstacle.SHARE_LOW: "latency is missed, and garbage collection takes less than the profile's "
    "least share: it does not make that latency",
}


def gain(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Refuse a proposal for today's value, with the term of the low select that made it so."""
    if move.target_gogc != round(move.current_gogc):
        return move
    if move.ordered:
        override = situation.override
        return Hold(
            Reason.AT_PIN,
            f"GOGC is {move.target_gogc} as {', '.join(override.entries)} has it: "
            f"{override.reason}",
        )
    ceiling = move.ceiling
    if move.limited_by in {Limit.CEILING, Limit.DANGER} and ceiling is not None:
        return at_ceiling(ceiling)
    if move.limited_by is Limit.BOUND:
        return Hold(
            Reason.AT_BOUND,
            f"GOGC is at {situation.profile.gogc_highest}, the highest that profile "
            f"{situation.profile.name} allows",
        )
    latency = situation.latency
    if latency.missed and latency.obstacle is not None:
        return Hold(Reason.LATENCY_NOT_GC, _WORDS[latency.obstacle])
    share, target = situation.signals.gc_share, situation.profile.gc_share_target
    return Hold(Reason.AT_TARGET, f"GC takes {share:.1%} of the CPU, target {target:.1%}")


def at_ceiling(ceiling: Ceiling) -> Hold:
    """Hold that names what a larger request or limit would have to be."""
    needed = f"{ceiling.limit_needed_bytes / MIB:.0f} MiB"
    if ceiling.short:
        return Hold(
            Reason.MEMORY_SHORT,
            "the live heap is too near the memory limit: a limit of "
            f"{ceiling.limit_sufficient_bytes / MIB:.0f} MiB would do, "
            f"{needed} would reach the target share",
        )
    return Hold(
        Reason.MEMORY_BOUND,
        f"the {ceiling.budget_name} of {ceiling.budget_bytes / MIB:.0f} MiB allows no more; "
        f"the target share needs {needed}",
    )
