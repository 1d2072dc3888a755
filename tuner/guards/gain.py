"""Guard: a proposal that asks for nothing is a hold, and says what stands in the way of more."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.tuning import Ceiling, Limit, Proposal

MIB = 1024 * 1024


def gain(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Refuse a proposal for today's value, with the term of the low select that made it so."""
    if proposal.target_gogc != round(proposal.current_gogc):
        return proposal
    ceiling = proposal.ceiling
    if proposal.limited_by is Limit.CEILING and ceiling is not None:
        return at_ceiling(ceiling)
    if proposal.limited_by is Limit.BOUND:
        return Hold(
            Reason.AT_BOUND,
            f"GOGC is at {situation.profile.gogc_highest}, the highest that profile "
            f"{situation.profile.name} allows",
        )
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
