import re
from dataclasses import replace

import pytest

from tests.examples import gogc_after
from tests.scenarios.worlds import BUSY, MIB, POLICY, SHORT, Stage
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Verdict
from tuner.model.workload import GOGC, GOMEMLIMIT
from tuner.simulation import Service
from tuner.simulation.streams import constant, oscillate, ramp, total

MANY = replace(BUSY, name="many", replicas=8, requests_per_second=constant(2400))
"""Enough pods for restarts to differ little on average."""
SMALL = replace(
    MANY,
    name="small",
    live_bytes=constant(24e6),
    memory_request_bytes=256 * MIB,
    memory_limit_bytes=256 * MIB,
)
ROOMY = replace(MANY, name="roomy", memory_request_bytes=2048 * MIB, memory_limit_bytes=2048 * MIB)


@pytest.mark.parametrize("service", [MANY, SMALL, ROOMY], ids=lambda each: each.name)
def test_a_busy_service_is_tuned_in_predicted_steps_and_then_left_alone(service: Service) -> None:
    stage = Stage(service)
    stage.run(4)
    untuned = stage.cpu_per_request(ticks=12)
    assert stage.writes() == 0

    stage.run(400)
    steps = [each.trial.change for each in stage.changes()]
    assert 1 <= len(steps) <= 3
    for change in steps:
        gogc = change.of(GOGC)
        assert gogc is not None
        assert int(gogc.after or 0) <= 2 * int(gogc.before or 100)
    assert [each.of(GOMEMLIMIT) is not None for each in steps] == [True] + [False] * (
        len(steps) - 1
    ), "the backstop comes with the first step, and stays"
    outcomes = stage.outcomes()
    assert len(outcomes) == len(steps)
    assert all(each.verdict is Verdict.CONFIRMED for each in outcomes[:-1])
    assert outcomes[-1].verdict in {Verdict.CONFIRMED, Verdict.NO_EFFECT}
    for each in outcomes:
        assert each.measured_saving_ratio == pytest.approx(each.predicted_saving_ratio, abs=0.03)

    predicted = untuned
    for each in outcomes:
        predicted *= 1 - each.predicted_saving_ratio
    at_rest = len(stage.cluster.written)
    tuned = stage.cpu_per_request(ticks=100)
    assert tuned == pytest.approx(predicted, abs=0.03 * untuned)
    assert len(stage.cluster.written) == at_rest, "nothing is written at rest, no record either"
    assert stage.cluster.oom_kills == 0


@pytest.mark.parametrize("seed", range(5))
def test_chance_changes_neither_the_value_nor_the_verdicts(seed: int) -> None:
    stage = Stage(BUSY, seed=seed)
    stage.run(300)
    assert stage.gogc() == "400"
    assert stage.verdicts() == [Verdict.CONFIRMED, Verdict.CONFIRMED]
    decision = stage.decision()
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.MEMORY_BOUND


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (replace(BUSY, requests_per_second=constant(0)), Reason.NO_DATA),
        (replace(BUSY, mode="recommend"), Reason.MODE_RECOMMEND),
        (replace(BUSY, mode="off"), None),
        (replace(BUSY, mode="Auto"), Reason.MODE_INVALID),
        (replace(BUSY, gogc="100"), Reason.OWNED_BY_OTHER),
        (replace(BUSY, annotations={"profile": "gold"}), Reason.ANNOTATION_INVALID),
    ],
    ids=lambda each: each.value if isinstance(each, Reason) else None,
)
def test_what_must_not_be_changed_is_not_written_to(
    service: Service, reason: Reason | None
) -> None:
    stage = Stage(service)
    stage.run(150)
    assert stage.writes() == 0
    assert stage.writes("change-cause") == 0
    decision = stage.decision()
    assert (decision.reason if decision is not None else None) is reason
    rested = len(stage.cluster.written)
    stage.run(100)
    assert len(stage.cluster.written) == rested


def test_a_dry_run_decides_and_changes_no_workload() -> None:
    stage = Stage(BUSY, policy=replace(POLICY, dry_run=True))
    stage.run(100)
    decision = stage.decision()
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.DRY_RUN
    assert stage.writes() == 0


def test_short_memory_is_named_with_the_limit_that_would_do() -> None:
    stage = Stage(SHORT)
    stage.run(400)
    decision = stage.decision()
    assert isinstance(decision, Hold)
    assert decision.reason is Reason.MEMORY_SHORT
    named = re.search(r"a limit of (\d+) MiB would do", decision.detail)
    assert named is not None
    assert 1100 < int(named[1]) < 2000
    assert stage.writes() <= 2
    assert stage.cluster.oom_kills == 0


@pytest.mark.parametrize(
    "service",
    [
        SHORT,
        replace(
            SHORT, name="breathing", live_bytes=total(constant(400e6), oscillate(30e6, period=3600))
        ),
        replace(
            BUSY,
            name="growing",
            live_bytes=ramp(231e6, 440e6, start=1e9 + 3600, end=1e9 + 5 * 3600),
        ),
        replace(BUSY, name="leaking", live_bytes=ramp(150e6, 500e6, start=1e9, end=1e9 + 5 * 3600)),
    ],
    ids=lambda each: each.name,
)
def test_tuning_brings_no_oom_kill_that_the_untuned_service_lacks(service: Service) -> None:
    tuned, untuned = Stage(service), Stage(replace(service, mode="recommend"))
    for stage in (tuned, untuned):
        stage.run(800)
    assert untuned.writes() == 0
    assert tuned.cluster.oom_kills <= untuned.cluster.oom_kills


@pytest.mark.parametrize("cost", [0.4e-9, 0.7e-9, 1.2e-9])
def test_default_metrics_alone_allow_one_probe_which_teaches_the_rest(cost: float) -> None:
    stage = Stage(replace(ROOMY, runtime_metrics=False, cost_seconds_per_byte=cost))
    stage.until_verdict()
    assert [gogc_after(each.trial.change) for each in stage.changes()] == ["200"]
    assert stage.verdicts() == [Verdict.CONFIRMED]
    record = stage.record()
    assert record is not None
    assert record.learned.cost_seconds_per_byte == pytest.approx(cost, rel=0.2)

    stage.until_verdict(2)
    second = stage.outcomes()[1]
    assert second.measured_saving_ratio == pytest.approx(second.predicted_saving_ratio, abs=0.03)


def test_a_probe_without_effect_is_the_last() -> None:
    cheap = replace(ROOMY, runtime_metrics=False, cost_seconds_per_byte=0.01e-9)
    stage = Stage(cheap)
    stage.run(400)
    assert stage.writes() == 1
    assert stage.verdicts() == [Verdict.NO_EFFECT]
    assert stage.gogc() == "200"
