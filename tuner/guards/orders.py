"""Guard: people's word stops everything, a plan that is already on record included."""

from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.override import Override
from tuner.model.reason import Reason

STOPPED = (Reason.FROZEN, Reason.PAUSED, Reason.OVERRIDE_INVALID)
"""The reasons of ``stopped``: people's orders, which may stand for weeks."""


def orders(situation: Situation) -> Hold | None:
    """Refuse what people have stopped."""
    return stopped(situation.override, situation.now)


def stopped(override: Override, now: float) -> Hold | None:
    """Why nothing may be written to a workload; None where people let it be written to.

    An order that cannot be read may have been one to stop.
    """
    if override.invalid:
        return Hold(Reason.OVERRIDE_INVALID, override.invalid)
    if override.paused:
        return Hold(Reason.PAUSED, "the overrides say paused: true, so nothing is written anywhere")
    if not override.frozen:
        return None
    end = ""
    if override.expires_at is not None:
        end = f"; ends in {override.expires_at - now:.0f} s"
    return Hold(Reason.FROZEN, f"frozen by override {override.frozen_by}{end}")
