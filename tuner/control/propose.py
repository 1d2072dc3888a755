"""The low select: the smallest of what GC cost asks for, memory allows and the profile bounds."""

import math

from tuner.control.ceiling import memory_ceiling
from tuner.control.gc_cost import gogc_for_share
from tuner.control.prediction import predict
from tuner.control.rounding import round_down
from tuner.model.decision import Hold
from tuner.model.policy import ControlLaw, Profile
from tuner.model.reason import Reason
from tuner.model.signals import Signals
from tuner.model.tuning import Ceiling, Limit, Proposal
from tuner.model.workload import Container

CYCLES_FOR_A_SHARE = 3
"""Fewest GC cycles per pod in a rate window that make a GC share."""
GOGC_LEAST = 25
"""No ceiling takes GOGC below this: collecting costs four times the default's CPU there, and what
is missing is memory."""


def propose(
    signals: Signals, container: Container, profile: Profile, law: ControlLaw
) -> Proposal | Hold:
    """The GOGC that the loops ask for, before any guard has seen it.

    Returns:
        A proposal, also where it asks for no change; Hold where GOGC is not a number to tune.
    """
    untunable = _untunable(signals, law)
    if untunable is not None:
        return untunable
    ceiling = memory_ceiling(signals, container, profile, law)
    target, limited_by = _target(signals, ceiling, profile, law)
    prediction = predict(signals, target, law)
    return Proposal(
        container=container.name,
        current_gogc=signals.gogc,
        target_gogc=target,
        target_prediction=prediction,
        next_gogc=target,
        prediction=prediction,
        limited_by=limited_by,
        ceiling=ceiling,
    )


def _untunable(signals: Signals, law: ControlLaw) -> Hold | None:
    if not signals.gogc_uniform:
        return Hold(Reason.GOGC_DIFFERS, "GOGC differs between the pods")
    if math.isinf(signals.gogc):
        guarded = signals.gomemlimit_bytes is not None
        return Hold(
            Reason.GOGC_OFF,
            "GOGC is off, GOMEMLIMIT alone bounds the heap"
            if guarded
            else "GOGC is off without a GOMEMLIMIT: the heap grows until the kernel kills",
        )
    if signals.cycles_per_second < law.slowest_cycles_per_second:
        return Hold(
            Reason.GC_IDLE,
            f"{signals.cycles_per_second * 60:.2g} GC cycles a minute per pod: "
            "GC does not matter here",
        )
    if signals.cycles_in_window < CYCLES_FOR_A_SHARE:
        return Hold(
            Reason.FEW_CYCLES,
            f"{signals.cycles_in_window:.1f} GC cycles per pod in a rate window, "
            f"{CYCLES_FOR_A_SHARE} are needed to tell what they cost",
        )
    return None


def _target(
    signals: Signals, ceiling: Ceiling | None, profile: Profile, law: ControlLaw
) -> tuple[int, Limit]:
    current = max(round(signals.gogc), 1)
    wanted = gogc_for_share(
        signals.gc_share, profile.gc_share_target, signals.gogc_effective, law.alpha
    )
    target, limited_by = wanted, Limit.COST
    if ceiling is not None and law.ceiling_margin * ceiling.gogc < target:
        target, limited_by = law.ceiling_margin * ceiling.gogc, Limit.CEILING
    if ceiling is not None and ceiling.lowers and limited_by is Limit.CEILING:
        return min(max(round_down(target), GOGC_LEAST), current), limited_by
    if target > profile.gogc_highest:
        target, limited_by = float(profile.gogc_highest), Limit.BOUND
    # Memory is not given back: a share below its target, or a budget already passed behind a
    # working backstop, is a reason to stay, not to pay CPU.
    return max(round_down(target), current), limited_by
