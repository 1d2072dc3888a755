"""What a workload is to reach: its tier, and over it annotations, and over them overrides."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from tuner.model.decision import Hold
from tuner.model.duration import parse_duration
from tuner.model.override import Override
from tuner.model.policy import Policy, Profile
from tuner.model.reason import Reason
from tuner.model.workload import BARRIER_ENV, GOGC, GOMEMLIMIT, Workload

PROFILE = "profile"
LATENCY_TARGET = "latency-target"
BARRIER_BASE = "barrier-base"
TIER = (PROFILE, LATENCY_TARGET, BARRIER_BASE, BARRIER_ENV)
"""The annotations that it is read from."""
_WHOLE = re.compile(r"0*[1-9][0-9]{0,8}")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
"""The names that every version of Kubernetes accepts."""


def tier_of(workload: Workload, policy: Policy, override: Override) -> Profile | Hold:
    """The tier with what was said for this workload; Hold where an annotation cannot be used."""
    name = override.profile or workload.annotations.get(PROFILE, policy.default_profile)
    profile = policy.profiles.get(name)
    if profile is None:
        return _unusable(PROFILE, name, f"use one of {', '.join(policy.profiles)}")
    base = workload.annotations.get(BARRIER_BASE, "1")
    if _WHOLE.fullmatch(base) is None:
        return _unusable(BARRIER_BASE, base, "write a whole number of requests, from 1 up")
    if BARRIER_ENV in workload.annotations and barrier_env(workload.annotations) is None:
        advice = f"write the name of an env entry, other than {GOGC} and {GOMEMLIMIT}"
        return _unusable(BARRIER_ENV, workload.annotations[BARRIER_ENV], advice)
    target = override.latency_target_seconds
    if target is None:
        answer = _latency_target(workload)
        if isinstance(answer, Hold):
            return answer
        target = profile.latency_target_seconds if answer is None else answer
    share = override.gc_share_target or profile.gc_share_target
    # A bound of people's moves the tier's other one where it would stand in between.
    lowest = override.gogc_lowest or min(
        profile.gogc_lowest, override.gogc_highest or profile.gogc_highest
    )
    least = min(profile.gc_share_least, share)
    highest = override.gogc_highest or max(profile.gogc_highest, lowest)
    as_it_is = (
        target == profile.latency_target_seconds
        and share == profile.gc_share_target
        and least == profile.gc_share_least
        and lowest == profile.gogc_lowest
        and highest == profile.gogc_highest
    )
    if as_it_is:
        return profile
    return replace(
        profile,
        latency_target_seconds=target,
        gc_share_target=share,
        gc_share_least=least,
        gogc_lowest=lowest,
        gogc_highest=highest,
    )


def barrier_env(annotations: Mapping[str, str]) -> str | None:
    """Name of the env entry that holds the barrier threshold.

    Args:
        annotations: The ``gc-tuner.io/`` annotations, without that prefix.

    Returns:
        None where ``gc-tuner.io/barrier-env`` gives it none, or one that it cannot have.
    """
    name = annotations.get(BARRIER_ENV)
    if name is None or name in {GOGC, GOMEMLIMIT} or _ENV_NAME.fullmatch(name) is None:
        return None
    return name


def _latency_target(workload: Workload) -> float | Hold | None:
    text = workload.annotations.get(LATENCY_TARGET)
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        return _unusable(LATENCY_TARGET, text, str(error))
    if not 0 < seconds < math.inf:
        return _unusable(LATENCY_TARGET, text, "it has to be above 0, and a time that passes")
    return seconds


def _unusable(annotation: str, text: str, advice: str) -> Hold:
    return Hold(
        Reason.ANNOTATION_INVALID, f"annotation gc-tuner.io/{annotation} reads {text!r}: {advice}"
    )
