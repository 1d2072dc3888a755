"""What a check comes to, and all of them together."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What a check comes to."""

    OK = "ok"
    WARNING = "warning"
    """gc-tuner works, with less than it could have."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be made: what it needs has failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    check: str
    """What was looked at, in a word or two."""
    status: Status
    found: str
    """What was found, for people."""
    right: str = ""
    """What would be right, or what to do; empty where nothing has to be done."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings together."""

    healthy: bool
    """Whether nothing failed; warnings are allowed."""
    words: str


def verdict(findings: Iterable[Finding]) -> Verdict:
    """What findings come to together."""
    counts = Counter(each.status for each in findings)
    failed, warnings = counts[Status.FAILED], counts[Status.WARNING]
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{warnings} {'warning' if warnings == 1 else 'warnings'}"] if warnings else []
    parts += [f"{counts[Status.SKIPPED]} skipped"] if counts[Status.SKIPPED] else []
    healthy = not failed
    words = "healthy" if healthy else "not healthy"
    return Verdict(healthy, ": ".join([words, ", ".join(parts)] if parts else [words]))
