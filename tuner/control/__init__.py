"""The control law: signals in, a proposed GOGC with its prediction out."""

from tuner.control.propose import propose

__all__ = ["propose"]
