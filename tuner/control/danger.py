"""Danger: the container was killed for its memory, or is about to be."""

from tuner.control.ceiling import Memory
from tuner.model.policy import GuardRules
from tuner.model.signals import Signals
from tuner.model.workload import Running

MIB = 1024 * 1024
KILL_SECONDS = 3600.0
"""How long a kill is news: what happened before says little of today's load."""


def killed_since(running: Running, since: float | None, now: float) -> bool:
    """Whether the kernel killed lately, and under the setting that is in force since then.

    Args:
        running: What the pods' statuses say.
        since: When we last changed the setting; None: never.
        now: The time.
    """
    at = running.oom_killed_at
    return at is not None and now - at <= KILL_SECONDS and (since is None or at > since)


def _held(signals: Signals, memory: Memory, rules: GuardRules) -> bool:
    """Whether a GOMEMLIMIT in force keeps memory out of danger, as far as a runtime can.

    Behind one a lower GOGC takes CPU and gives nothing; its correction is the memory loop's.
    """
    if signals.gomemlimit_bytes is None or memory.limit_bytes is None:
        return False
    mapped = signals.gomemlimit_bytes + signals.unknown_bytes
    return mapped <= rules.danger_ratio * memory.limit_bytes


def danger_of(signals: Signals, memory: Memory, rules: GuardRules, *, killed: bool) -> str:
    """Why the container's memory is in danger, in words; empty where it is not."""
    if memory.limit_bytes is None:
        return ""
    limit = f"the memory limit of {memory.limit_bytes / MIB:.0f} MiB"
    if killed:
        return f"the kernel killed a container for {limit}"
    full = signals.resident_bytes > rules.danger_ratio * memory.limit_bytes
    if full and not _held(signals, memory, rules):
        return f"{signals.resident_bytes / MIB:.0f} MiB are in use of {limit}"
    return ""
