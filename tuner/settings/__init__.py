"""What the operator is told: YAML file, environment and flags, checked before anything starts."""

from tuner.settings.complaint import Flags
from tuner.settings.layers import load
from tuner.settings.operator import LogFormat, LogLevel, Settings
from tuner.settings.reload import ConfigFile, Reload

__all__ = ["ConfigFile", "Flags", "LogFormat", "LogLevel", "Reload", "Settings", "load"]
