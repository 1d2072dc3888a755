"""What was measured of one contender in a race."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tuner.model.trial import Outcome


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a race; None is what could not be measured.

    Attributes:
        repeat: of the measurement at rest to which it belongs; None: to none.
        cpu_seconds: of all its pods.
        done: requests answered with 200, or units of work.
        p95_ms: latency as the load generator saw it.
        p99_ms: the same.
        peak_bytes: largest working set of a pod.
        gogc: in force at the end, percent; None: off.
        gomemlimit_bytes: in force at the end; None: not set.
        cycles: of the collector, of all its pods.
        machine_busy: share of all processors' time, 0 to 1.
    """

    repeat: int | None
    cpu_seconds: float | None
    done: float | None
    p95_ms: float | None
    p99_ms: float | None
    peak_bytes: float | None
    gogc: float | None
    gomemlimit_bytes: float | None
    cycles: float | None
    machine_busy: float

    @property
    def cost(self) -> float | None:
        """CPU seconds per request; None where nothing was done or measured."""
        return cost((self,))


def cost(windows: Iterable[Window]) -> float | None:
    """CPU seconds per request over some windows; None where one was not measured."""
    used, done = 0.0, 0.0
    for each in windows:
        if each.cpu_seconds is None or each.done is None:
            return None
        used += each.cpu_seconds
        done += each.done
    return used / done if done else None


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A change that gc-tuner made, with what it foretold and what came of it.

    Attributes:
        change: the settings, old to new.
        reason: why it was made.
        verdict: of its trial.
        predicted: saving of CPU, a ratio.
        measured: the same; None where it could not be measured.
    """

    change: str
    reason: str
    verdict: str
    predicted: float
    measured: float | None

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """Take what a table needs of a trial's end."""
        return cls(
            change=str(outcome.change),
            reason=outcome.reason.value,
            verdict=outcome.verdict.value,
            predicted=outcome.predicted_saving_ratio,
            measured=outcome.measured_saving_ratio,
        )


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One contender's race.

    Attributes:
        name: of the contender.
        title: in tables.
        windows: in order.
        oom_kills: containers killed for their memory.
        restarts: rollouts that a change of settings took.
        predictions: of the changes, oldest first.
        decision: gc-tuner's last one, in words; None: it did not tune this.
    """

    name: str
    title: str
    windows: list[Window]
    oom_kills: int
    restarts: int
    predictions: list[Prediction]
    decision: str | None
