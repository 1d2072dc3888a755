"""Guard: without a request or a limit nobody has said how much memory a larger heap may take."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.tuning import Proposal


def budget(proposal: Proposal, situation: Situation) -> Proposal | Hold:
    """Refuse a rise where neither memory request nor limit is set."""
    if proposal.ceiling is None:
        return Hold(
            Reason.MEMORY_BUDGET_UNKNOWN,
            f"container {situation.container.name!r} has neither a memory request nor a limit: "
            f"GOGC {proposal.target_gogc} would take up to "
            f"{proposal.target_prediction.memory_peak_bytes / (1024 * 1024):.0f} MiB",
        )
    return proposal
