"""A situation in which every guard lets a proposal pass; a test changes what it is about."""

from dataclasses import replace
from typing import Any

from tests.examples import MIB, NOW, container, policy, record, signals, workload
from tuner.control.ceiling import Memory
from tuner.control.latency import LatencyAnswer, SetPoint
from tuner.control.prediction import predict
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove, Proposal
from tuner.model.tuning import Ceiling, Limit, Prediction
from tuner.model.workload import Mode

POLICY = policy()


def situation(**changes: Any) -> Situation:  # noqa: ANN401  # handed to replace
    """A workload at rest, in mode auto, long observed."""
    usual = Situation(
        now=NOW,
        workload=workload(),
        container=container(),
        mode=Mode.AUTO,
        signals=signals(),
        record=record(),
        windows=(signals(),) * 5,
        seen_seconds=600.0,
        source_steady_seconds=600.0,
        profile=POLICY.profiles["normal"],
        policy=POLICY,
        memory=Memory(512 * MIB, 1024 * MIB),
        latency=LatencyAnswer(SetPoint(), 0.04, missed=False),
    )
    return replace(usual, **changes)


def ceiling(**changes: Any) -> Ceiling:  # noqa: ANN401  # as situation
    """A memory request of 512 MiB that allows GOGC 317."""
    usual = Ceiling(
        budget_bytes=512 * MIB,
        budget_name="memory request",
        gogc=317.0,
        enforced=False,
        lowers=False,
        relieved=False,
        limit_gogc=764.0,
        short=False,
        limit_sufficient_bytes=235 * MIB,
        limit_needed_bytes=778 * MIB,
    )
    return replace(usual, **changes)


def move(target: int = 200, **changes: Any) -> GogcMove:  # noqa: ANN401  # as situation
    """GOGC 100 to the given one in a single step, as the cost loop asks for it."""
    prediction = predict(signals(), target, POLICY.law)
    usual = GogcMove(
        current_gogc=100.0,
        target_gogc=target,
        target_prediction=prediction,
        next_gogc=target,
        prediction=prediction,
        limited_by=Limit.COST,
        ceiling=ceiling(),
    )
    return replace(usual, **changes)


def proposal(gogc: GogcMove | Hold | None = None, **changes: Any) -> Proposal:  # noqa: ANN401
    """That move of GOGC, and GOMEMLIMIT left as it is; the heap comes near one of 900 MiB."""
    usual = Proposal(
        gogc=move() if gogc is None else gogc,
        memory_limit=None,
        prediction=Prediction(cpu_saving_ratio=0.0, memory_peak_bytes=700 * MIB),
    )
    return replace(usual, **changes)
