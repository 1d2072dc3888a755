"""The log: one line per event, JSON for machines or readable for people."""

import logging
from enum import Enum
from typing import Any, TextIO, assert_never

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from tuner.model.happening import (
    ChangeWritten,
    ConfigRefused,
    ConfigReloaded,
    Happening,
    HoldBegan,
    OverridesMoved,
    PhaseReached,
    SourceFound,
    SourceLost,
    TickEnded,
    TickFailed,
    TrialEnded,
    WorkloadFailed,
    WriteFailed,
)
from tuner.model.trial import Trial, Verdict


def build_log(*, json: bool, level: str, stream: TextIO) -> FilteringBoundLogger:
    """A logger of our own; configures nothing for the process.

    Args:
        json: Whether lines are JSON objects rather than text for people.
        level: Least severity that is written: debug, info, warning or error.
        stream: Where the lines go; colours are used only where it is a terminal.
    """
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[*_enrich(), *_render(json=json, stream=stream)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return logger


def capture_libraries(*, json: bool, stream: TextIO) -> None:
    """Have what libraries log, warnings and worse, written in the same form.

    Changes the root logger of the process: for the entry point, once.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_render(json=json, stream=stream),
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_enrich()],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


class LogObserver:
    """Writes what happens to workloads and to the sources; says each thing once."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        """Count ticks from one."""
        self._log = log
        self._tick = 1
        self._blind_since: float | None = None

    def notify(self, happening: Happening) -> None:
        """Take note."""
        log = self._log.bind(tick=self._tick)
        match happening:
            case TickEnded():
                self._ended(log, happening)
            case TickFailed():
                self._failed(log, happening)
            case SourceLost(cause=cause, detail=detail):
                log.warning("metrics source lost: nothing is written", cause=cause, detail=detail)
            case SourceFound(outage_seconds=seconds):
                log.info("metrics source found", outage_seconds=round(seconds, 1))
            case ChangeWritten(workload=workload, trial=trial):
                log.info("change written", workload=str(workload.key), **_change(trial))
            case PhaseReached(workload=workload, trial=trial):
                log.info(
                    "trial moved on",
                    workload=str(workload.key),
                    phase=trial.phase,
                    reason=trial.reason,
                )
            case TrialEnded(workload=workload, outcome=outcome):
                say = log.warning if outcome.verdict is Verdict.REGRESSED else log.info
                say(
                    "trial ended",
                    workload=str(workload.key),
                    verdict=outcome.verdict,
                    reason=outcome.reason,
                    detail=outcome.detail,
                    predicted_saving_ratio=_rounded(outcome.predicted_saving_ratio),
                    measured_saving_ratio=_rounded(outcome.measured_saving_ratio),
                )
            case HoldBegan() | OverridesMoved() | ConfigReloaded():
                _told(log, happening)
            case WriteFailed() | WorkloadFailed() | ConfigRefused():
                _went_wrong(log, happening)
            case _:
                assert_never(happening)

    def _ended(self, log: FilteringBoundLogger, ended: TickEnded) -> None:
        if self._blind_since is not None:
            log.info("cluster seen again", outage_seconds=round(ended.at - self._blind_since, 1))
            self._blind_since = None
        log.debug("tick ended", workloads=len(ended.assessments), seconds=round(ended.seconds, 4))
        self._tick += 1

    def _failed(self, log: FilteringBoundLogger, failed: TickFailed) -> None:
        if self._blind_since is None:
            self._blind_since = failed.at
            log.warning("cluster cannot be seen: nothing is written", detail=failed.detail)
        else:
            log.debug("cluster still cannot be seen", detail=failed.detail)
        self._tick += 1


def _told(
    log: FilteringBoundLogger, happening: HoldBegan | OverridesMoved | ConfigReloaded
) -> None:
    if isinstance(happening, ConfigReloaded):
        log.info("configuration reloaded", changed=list(happening.changed))
        return
    workload = str(happening.workload.key)
    if isinstance(happening, HoldBegan):
        decision = happening.decision
        log.info("hold", workload=workload, reason=decision.reason, detail=decision.detail)
    else:
        taken, released = list(happening.taken), list(happening.released)
        log.info("overrides moved", workload=workload, taken=taken, released=released)


def _went_wrong(
    log: FilteringBoundLogger, happening: WriteFailed | WorkloadFailed | ConfigRefused
) -> None:
    if isinstance(happening, ConfigRefused):
        log.warning(
            "configuration refused: the last good one stays in force", detail=happening.detail
        )
        return
    workload = str(happening.key)
    if isinstance(happening, WriteFailed):
        what, detail = happening.what, happening.detail
        log.warning("write failed", workload=workload, what=what, detail=detail)
    else:
        log.error("mistake in gc-tuner: held", workload=workload, exc_info=happening.error)


def _change(trial: Trial) -> dict[str, object]:
    change, prediction = trial.change, trial.prediction
    return {
        "container": change.container,
        "change": str(change),
        "reason": trial.reason,
        "predicted_saving_ratio": _rounded(prediction.cpu_saving_ratio),
        "predicted_memory_bytes": prediction.memory_peak_bytes,
    }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 4)


def _enrich() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _plain_values,
    ]


def _render(*, json: bool, stream: TextIO) -> list[Processor]:
    if json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,  # no values of variables
        )
    ]


def _plain_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Enums as their values, in JSON and on a terminal alike."""
    plain: dict[str, Any] = {
        key: value.value if isinstance(value, Enum) else value for key, value in event.items()
    }
    return plain
