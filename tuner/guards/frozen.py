"""Guard: people have asked to leave this workload alone."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason


def frozen(situation: Situation) -> Hold | None:
    """Refuse while an override freezes the workload; with its name, its reason and its end."""
    override = situation.override
    if not override.frozen:
        return None
    end = ""
    if override.expires_at is not None:
        end = f"; ends in {override.expires_at - situation.now:.0f} s"
    return Hold(
        Reason.FROZEN, f"frozen by override {', '.join(override.entries)}: {override.reason}{end}"
    )
