"""Readings to signals: checks that the figures may be believed, and works out what they mean."""

from tuner.signals.container import choose_container
from tuner.signals.derive import derive

__all__ = ["choose_container", "derive"]
