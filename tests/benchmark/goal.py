"""What is to be reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """One goal: in words with its figure, and whether it was met."""

    text: str
    met: bool
