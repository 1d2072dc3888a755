"""Trials: every change is compared with the state before it, and taken back when it did harm."""

from tuner.verification.progress import Progress, View, abandoned, advance, patched
from tuner.verification.windows import Windows, level, observe

__all__ = ["Progress", "View", "Windows", "abandoned", "advance", "level", "observe", "patched"]
