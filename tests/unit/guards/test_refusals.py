from dataclasses import replace

import pytest

from tests.examples import (
    NOW,
    OURS,
    applied_gogc,
    container,
    outcome,
    policy,
    record,
    signals,
    trial,
    workload,
)
from tests.unit.guards.situations import proposal, situation
from tuner.guards.baseline import baseline
from tuner.guards.budget import budget
from tuner.guards.cooldown import cooldown
from tuner.guards.mode import mode, mode_of
from tuner.guards.ownership import ownership
from tuner.guards.reverted import reverted
from tuner.guards.rollout import rollout
from tuner.guards.situation import Guard, Situation
from tuner.guards.source import source
from tuner.guards.trial import trial as trial_guard
from tuner.guards.worth import worth
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Verdict
from tuner.model.tuning import Prediction, Proposal
from tuner.model.workload import GOGC, EnvEntry, Mode, Rollout

ANY = proposal()
FALL = proposal(80, prediction=Prediction(cpu_saving_ratio=-0.05, memory_peak_bytes=1))


def having(entry: EnvEntry) -> Situation:
    return situation(container=container(env={GOGC: entry}))


def rolling(state: Rollout) -> Situation:
    return situation(workload=workload(rollout=state, ready_replicas=1))


def changed(seconds_ago: float) -> Situation:
    applied = applied_gogc("200", at=NOW - seconds_ago)
    return situation(record=record(applied=applied))


def void(seconds_ago: float) -> Situation:
    return situation(record=record(history=(outcome(Verdict.VOID, at=NOW - seconds_ago),)))


def taken_back(seconds_ago: float) -> Situation:
    """The first change ever did harm: after its rollback nothing is applied any more."""
    ended = outcome(Verdict.REGRESSED, at=NOW - seconds_ago)
    return situation(record=record(history=(ended,)))


def saving(ratio: float) -> Proposal:
    return proposal(prediction=Prediction(cpu_saving_ratio=ratio, memory_peak_bytes=1))


@pytest.mark.parametrize(
    ("guard", "asked", "about"),
    [
        pytest.param(ownership, ANY, situation(), id="GOGC is not set"),
        pytest.param(ownership, ANY, having(OURS), id="GOGC is ours"),
        pytest.param(ownership, ANY, having(replace(OURS, owners=())), id="GOGC is nobody's"),
        pytest.param(
            ownership,
            ANY,
            situation(container=container(env={"GOMEMLIMIT": EnvEntry(None, owners=("helm",))})),
            id="another name is somebody's",
        ),
        pytest.param(reverted, ANY, situation(), id="never reverted"),
        pytest.param(
            reverted, ANY, situation(record=record(reverted_at=NOW - 900)), id="reverted long ago"
        ),
        pytest.param(trial_guard, ANY, situation(), id="no trial"),
        pytest.param(rollout, ANY, situation(), id="at rest"),
        pytest.param(worth, saving(0.02), situation(), id="saves just enough"),
        pytest.param(worth, FALL, situation(), id="memory safety needs no gain"),
        pytest.param(budget, ANY, situation(), id="request known"),
        pytest.param(mode, ANY, situation(), id="auto"),
        pytest.param(cooldown, ANY, situation(), id="never changed"),
        pytest.param(cooldown, ANY, changed(900), id="changed long ago"),
        pytest.param(cooldown, ANY, void(900), id="void long ago"),
        pytest.param(
            cooldown,
            ANY,
            situation(record=record(history=(outcome(at=NOW), outcome(Verdict.VOID, at=NOW)))),
            id="only the newest attempt counts",
        ),
        pytest.param(source, ANY, situation(source_steady_seconds=60.0), id="steady"),
        pytest.param(baseline, ANY, situation(windows=(signals(),) * 5), id="observed"),
    ],
)
def test_a_guard_lets_pass_what_it_has_nothing_against(
    guard: Guard, asked: Proposal, about: Situation
) -> None:
    assert guard(asked, about) is asked


@pytest.mark.parametrize(
    ("guard", "asked", "about", "reason", "words"),
    [
        (ownership, ANY, having(replace(OURS, count=2)), Reason.DUPLICATE_ENV, "2 times"),
        (ownership, ANY, having(EnvEntry(None)), Reason.VALUE_FROM, "valueFrom"),
        (
            ownership,
            ANY,
            having(EnvEntry("150", owners=("gc-tuner", "helm"))),
            Reason.OWNED_BY_OTHER,
            "GOGC=150 belongs to helm:",
        ),
        (
            reverted,
            ANY,
            situation(record=record(reverted_at=NOW - 899)),
            Reason.REVERTED_BY_OTHER,
            "1 s",
        ),
        (
            trial_guard,
            ANY,
            situation(record=record(trial=trial(phase=Phase.SETTLING))),
            Reason.TRIAL_RUNNING,
            "GOGC unset -> 200: Settling",
        ),
        (rollout, ANY, rolling(Rollout.IN_PROGRESS), Reason.ROLLOUT_IN_PROGRESS, "1 of 2"),
        (rollout, ANY, rolling(Rollout.PAUSED), Reason.ROLLOUT_PAUSED, "1 of 2"),
        (rollout, ANY, rolling(Rollout.FAILING), Reason.ROLLOUT_FAILING, "1 of 2"),
        (worth, saving(0.0199), situation(), Reason.NOT_WORTH, "2.0%"),
        (budget, proposal(ceiling=None), situation(), Reason.MEMORY_BUDGET_UNKNOWN, "330 MiB"),
        (mode, ANY, situation(mode=Mode.RECOMMEND), Reason.MODE_RECOMMEND, "100 -> 200"),
        (mode, ANY, situation(policy=policy(dry_run=True)), Reason.DRY_RUN, "100 -> 200"),
        (
            mode,
            ANY,
            situation(mode=Mode.RECOMMEND, policy=policy(dry_run=True)),
            Reason.DRY_RUN,
            "100 -> 200",
        ),
        (cooldown, ANY, changed(890), Reason.COOLDOWN, "10 s"),
        (cooldown, ANY, void(890), Reason.COOLDOWN, "10 s"),
        (cooldown, ANY, taken_back(890), Reason.COOLDOWN, "10 s"),
        (source, ANY, situation(source_steady_seconds=59.0), Reason.SOURCE_WARMING, "59 s"),
        (baseline, ANY, situation(windows=(signals(),) * 4), Reason.COLLECTING_BASELINE, "4 of 5"),
    ],
)
def test_a_guard_refuses_with_its_reason_and_the_figures_behind_it(
    guard: Guard, asked: Proposal, about: Situation, reason: Reason, words: str
) -> None:
    answer = guard(asked, about)
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail


@pytest.mark.parametrize(
    ("label", "answer"),
    [(None, Mode.RECOMMEND), ("auto", Mode.AUTO), ("recommend", Mode.RECOMMEND), ("off", Mode.OFF)],
)
def test_the_label_decides_the_mode_and_the_operator_where_there_is_none(
    label: str | None, answer: Mode
) -> None:
    assert mode_of(workload(label_mode=label), policy()) is answer


@pytest.mark.parametrize("label", ["", "Auto", "on"])
def test_a_label_that_is_no_mode_is_refused_with_those_that_are(label: str) -> None:
    answer = mode_of(workload(label_mode=label), policy())
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.MODE_INVALID
    assert "auto, recommend, off" in answer.detail
