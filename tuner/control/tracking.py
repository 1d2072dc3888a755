"""A PID loop whose integral follows what was really applied.

What a loop asks for is clamped, refused by guards or still on its way. An integral that goes on
without noticing winds up, and one that is cut off at a bound forgets. Here it is tracked: the
difference between the applied and the asked output flows back into it over one integral time, so
that it is a lag of the applied output (external reset feedback; Åström and Hägglund, *Advanced
PID Control*, chapter 3). A loop that is preset to the output in force begins without a jump.
"""

from dataclasses import dataclass
from typing import cast

from simple_pid import PID

LONGEST_STEP_SECONDS = 60.0
"""Longest time that one step counts for: what happened during an outage was not seen."""


@dataclass(frozen=True, slots=True)
class Gains:
    """A PID loop in its standard form."""

    proportional: float
    """Output per unit of error."""
    integral_seconds: float
    """Time in which the integral repeats what the proportional part does at once."""
    derivative_seconds: float = 0.0
    """How far ahead the error is extrapolated."""

    def times(self, factor: float) -> "Gains":
        """All three gains, multiplied."""
        return Gains(factor * self.proportional, self.integral_seconds, self.derivative_seconds)


class TrackingPID(PID):
    """One step of a loop: made from what the last step left, then thrown away.

    Its set point is 0, its measurement minus the error.

    Args:
        gains: How it answers to an error.
        integral: What the last step left, in units of the output.
        measurement: What the last step saw; None where there was none.
    """

    def __init__(
        self, gains: Gains, *, integral: float = 0.0, measurement: float | None = None
    ) -> None:
        super().__init__(
            Kp=gains.proportional,
            Ki=gains.proportional / gains.integral_seconds,
            Kd=gains.proportional * gains.derivative_seconds,
            setpoint=0.0,
            sample_time=None,
        )
        # The library's starting_output and last_output cannot bring back the last measurement.
        self._integral = integral
        self._last_input = measurement
        self._integral_seconds = gains.integral_seconds

    @property
    def integral(self) -> float:
        """The integral part of the output."""
        return float(self._integral)

    def ask(self, measurement: float, seconds: float) -> float:
        """The output that it asks for, unclamped.

        Args:
            measurement: Minus the error, finite.
            seconds: Time since the last step, above 0.
        """
        return cast("float", self(measurement, dt=seconds))

    def track(self, applied: float, asked: float, seconds: float) -> None:
        """Lets the integral follow what was applied instead of what was asked for."""
        self._integral += (applied - asked) * min(seconds / self._integral_seconds, 1.0)


def preset(gains: Gains, measurement: float, output: float) -> float:
    """Integral with which a loop asks for exactly this output at this measurement."""
    return output + gains.proportional * measurement


def step_seconds(since: float, at: float) -> float:
    """Time that a step counts for; 0 where no time has passed or the clock was set back."""
    return min(max(at - since, 0.0), LONGEST_STEP_SECONDS)
