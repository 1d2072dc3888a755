"""Guard: without a request or a limit nobody has said how much memory a larger heap may take."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove
from tuner.model.reason import Reason


def budget(move: GogcMove, situation: Situation) -> GogcMove | Hold:
    """Refuse a rise where neither memory request nor limit is set."""
    if move.ceiling is None and not move.ordered:
        return Hold(
            Reason.MEMORY_BUDGET_UNKNOWN,
            f"container {situation.container.name!r} has neither a memory request nor a limit: "
            f"GOGC {move.target_gogc} would take up to "
            f"{move.target_prediction.memory_peak_bytes / (1024 * 1024):.0f} MiB",
        )
    return move
