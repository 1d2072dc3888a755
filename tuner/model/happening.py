"""What the loop tells its observers: frozen facts, one class each."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.model.decision import Decision
from tuner.model.override import Override
from tuner.model.proposal import Proposal
from tuner.model.record import Record
from tuner.model.signals import Signals
from tuner.model.trial import Outcome, Trial
from tuner.model.workload import Mode, Workload, WorkloadKey


@dataclass(frozen=True, slots=True)
class Assessment:
    """One workload's answer on one tick, with what led to it."""

    workload: Workload
    mode: Mode
    signals: Signals | None
    proposal: Proposal | None
    """What the loops ask for, also where a guard then refused it."""
    decision: Decision
    record: Record


@dataclass(frozen=True, slots=True)
class TickEnded:
    """Every workload has its decision."""

    at: float
    seconds: float
    """How long the tick took."""
    assessments: Mapping[WorkloadKey, Assessment]


@dataclass(frozen=True, slots=True)
class TickFailed:
    """No decision could be reached: the cluster cannot be seen."""

    at: float
    detail: str


@dataclass(frozen=True, slots=True)
class SourceLost:
    """The metrics source stopped giving usable answers."""

    at: float
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class SourceFound:
    """The metrics source answers again."""

    at: float
    outage_seconds: float


@dataclass(frozen=True, slots=True)
class ChangeWritten:
    """A workload was patched."""

    at: float
    workload: Workload
    trial: Trial


@dataclass(frozen=True, slots=True)
class PhaseReached:
    """A trial moved on."""

    at: float
    workload: Workload
    trial: Trial


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A verdict was reached."""

    at: float
    workload: Workload
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class HoldBegan:
    """A workload's decision became a Hold for another reason than before."""

    at: float
    workload: Workload
    decision: Decision


@dataclass(frozen=True, slots=True)
class OverridesMoved:
    """Overrides took a workload, or released it."""

    at: float
    workload: Workload
    override: Override
    """What applies now."""
    taken: tuple[str, ...]
    """Names of the entries that are new."""
    released: tuple[str, ...]
    """Names of the entries that are gone."""


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """A record or a workload could not be written; the tick goes on with the others."""

    at: float
    key: WorkloadKey
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class WorkloadFailed:
    """A mistake of gc-tuner's own broke off one workload's part of a tick; the others went on."""

    at: float
    key: WorkloadKey
    error: Exception
    """With its traceback."""


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """The configuration file changed, and is in force."""

    at: float
    changed: tuple[str, ...]
    """Settings that became others; none where what was refused was put right again."""


@dataclass(frozen=True, slots=True)
class ConfigRefused:
    """The configuration file changed, and all that was in force stays so."""

    at: float
    detail: str
    restart: tuple[str, ...] = ()
    """Settings that only a restart can change; none where the file cannot be used at all."""


Happening = (
    TickEnded
    | TickFailed
    | SourceLost
    | SourceFound
    | ChangeWritten
    | PhaseReached
    | TrialEnded
    | HoldBegan
    | OverridesMoved
    | WriteFailed
    | WorkloadFailed
    | ConfigReloaded
    | ConfigRefused
)
