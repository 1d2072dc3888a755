"""What the operator is told: YAML file, environment and flags, checked before anything starts."""

from tuner.settings.complaint import Flags
from tuner.settings.layers import load
from tuner.settings.operator import LogFormat, LogLevel, Settings

__all__ = ["Flags", "LogFormat", "LogLevel", "Settings", "load"]
