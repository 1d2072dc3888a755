"""Trials: every change is compared with the state before it, and taken back when it did harm."""

from tuner.verification.learning import learn_kill
from tuner.verification.progress import (
    Progress,
    View,
    abandoned,
    advance,
    cut_short,
    found_patched,
    patched,
)
from tuner.verification.windows import Windows, level, observe, pooled

__all__ = [
    "Progress",
    "View",
    "Windows",
    "abandoned",
    "advance",
    "cut_short",
    "found_patched",
    "learn_kill",
    "level",
    "observe",
    "patched",
    "pooled",
]
