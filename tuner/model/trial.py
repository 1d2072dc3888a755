"""A change under observation, and what came of it. Stored in the record as they are."""

from enum import StrEnum

import msgspec

from tuner.model.policy import LatencyQuantile
from tuner.model.reason import Reason
from tuner.model.tuning import Prediction


class Stored(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of everything that is kept in a record: camelCase there, defaults left out."""


class Phase(StrEnum):
    """How far a trial has come."""

    PLANNED = "Planned"
    """Written ahead: the workload may or may not have been patched."""
    ROLLING_OUT = "RollingOut"
    SETTLING = "Settling"
    MEASURING = "Measuring"


class Verdict(StrEnum):
    """What a trial showed."""

    CONFIRMED = "Confirmed"
    NO_EFFECT = "NoEffect"
    REGRESSED = "Regressed"
    INCONCLUSIVE = "Inconclusive"
    VOID = "Void"


class Spread(Stored, frozen=True):
    """A quantity over several windows."""

    median: float
    deviation: float
    """Median absolute deviation from the median."""
    windows: int


class Level(Stored, frozen=True):
    """The state of a workload over several rate windows: one side of a trial."""

    at: float
    cpu_seconds_per_request: Spread | None
    """None without a request counter."""
    cpu_seconds_per_allocated_byte: Spread
    """The weaker yardstick where requests are not counted."""
    gc_share: float
    cpu_cores: float
    requests_per_second: float | None
    allocated_bytes_per_second: float
    marked_bytes_per_second: float
    resident_bytes: int
    errors_ratio: float | None
    latency_seconds: Spread | None
    """At ``latency_quantile``; None where it is not known."""
    pods: int
    live_bytes: int | None = None
    """Live heap, worst pod."""
    gogc_effective: float | None = None
    """GOGC that would give the heap goal of that time, percent."""
    gc_share_measured: bool = False
    """Whether the GC share is the runtime's own, and no estimate."""
    utilisation: float | None = None
    """CPU used by GOMAXPROCS."""
    marked_known: bool = True
    """Whether ``marked_bytes_per_second`` is no guess, as it is while a memory limit binds and the
    live heap is not exported."""
    latency_quantile: LatencyQuantile | None = None
    """Which latency it is; None in what an earlier version wrote."""


class Setting(Stored, frozen=True):
    """One tuned name: what stands there, and what is to stand there."""

    name: str
    before: str | None
    """None: it is not set."""
    after: str | None
    """None: it is to be removed."""

    def __str__(self) -> str:
        """The move in words."""
        return f"{self.name} {self.before or 'unset'} -> {self.after or 'unset'}"


class Change(Stored, frozen=True):
    """What one write does to one container; all of it is written together, or nothing."""

    container: str
    settings: tuple[Setting, ...]

    def __str__(self) -> str:
        """The moves in words."""
        return ", ".join(map(str, self.settings))

    def of(self, name: str) -> Setting | None:
        """The move of one tuned name; None where it is left as it is."""
        return next((each for each in self.settings if each.name == name), None)

    @property
    def back(self) -> "Change":
        """The change that undoes this one, exactly."""
        undone = tuple(Setting(each.name, each.after, each.before) for each in self.settings)
        return Change(self.container, undone)


class Trial(Stored, frozen=True):
    """A change on its way from plan to verdict."""

    change: Change
    reason: Reason
    prediction: Prediction
    baseline: Level | None
    """None for a rollback, which is not judged."""
    template_digest: str
    phase: Phase
    started_at: float
    phase_at: float
    suspected: bool = False
    """Whether one verdict already found harm; the second in a row takes the change back."""
    pods: int = 0
    """Behind the figures since they are measured."""
    restarts: int = 0
    """Of the container in all pods, when the change was complete."""
    fresh_starts: int = 0
    """How often the windows began anew because the number of pods moved."""


class Outcome(Stored, frozen=True):
    """The end of a trial."""

    at: float
    change: Change
    reason: Reason
    verdict: Verdict
    detail: str
    predicted_saving_ratio: float
    measured_saving_ratio: float | None = None
    """None where nothing could be measured."""
    requests_per_second: float | None = None
    """Load under which the verdict was reached."""
    live_bytes: int | None = None
    """Live heap at that time, worst pod."""
    predicted_peak_bytes: int | None = None
    measured_peak_bytes: int | None = None
    """Resident memory of the worst pod; None where nothing could be measured."""
    latency_change_ratio: float | None = None
    """Latency at the tier's quantile, after by before, less 1."""

    @property
    def rose(self) -> bool:
        """Whether the change gave the heap more room."""
        return self.reason is Reason.GC_COST
