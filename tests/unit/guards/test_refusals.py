from dataclasses import replace
from typing import Any

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
from tests.unit.guards.situations import move, proposal, situation
from tuner.control.latency import LatencyAnswer, Obstacle, SetPoint
from tuner.guards.baseline import baseline
from tuner.guards.budget import budget
from tuner.guards.cooldown import cooldown, retry
from tuner.guards.mode import mode, mode_of
from tuner.guards.ownership import ownership
from tuner.guards.reverted import reverted
from tuner.guards.rollout import rollout
from tuner.guards.situation import Gate, Guard, Situation
from tuner.guards.source import source
from tuner.guards.trial import trial as trial_gate
from tuner.guards.uniform import uniform
from tuner.guards.worth import worth
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove, MemoryLimitMove, Proposal
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Verdict
from tuner.model.tuning import Limit, Prediction
from tuner.model.workload import GOGC, EnvEntry, LiveChannel, Mode, Rollout, Workload

ANY = move()
FALL = move(80, prediction=Prediction(cpu_saving_ratio=-0.05, memory_peak_bytes=1))
ORDER = move(limited_by=Limit.OVERRIDE)
BACKSTOP = MemoryLimitMove(None, 900)
DRY = policy(dry_run=True)
LIVE = workload(live=LiveChannel("cart"))


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


def unwritten(seconds_ago: float, times: int = 1, **changes: Any) -> Situation:  # noqa: ANN401
    """The last plans could not be written; keywords are of the last outcome."""
    ended = outcome(
        Verdict.VOID, at=NOW - seconds_ago, detail="not written: it is forbidden", **changes
    )
    return situation(record=record(history=(ended,), unwritten=times))


def saving(ratio: float, asked: GogcMove = ANY) -> GogcMove:
    return replace(asked, prediction=Prediction(cpu_saving_ratio=ratio, memory_peak_bytes=1))


def assert_refused(answer: object, reason: Reason, words: str) -> None:
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail


def slow(obstacle: Obstacle | None = None) -> Situation:
    return situation(latency=LatencyAnswer(SetPoint(), 0.04, missed=True, obstacle=obstacle))


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
        pytest.param(worth, saving(0.02), situation(), id="saves just enough"),
        pytest.param(worth, FALL, situation(), id="memory safety needs no gain"),
        pytest.param(worth, saving(0.0, ORDER), situation(), id="people's word needs no gain"),
        pytest.param(worth, saving(0.001), slow(), id="latency is missed and can be mended"),
        pytest.param(budget, ANY, situation(), id="request known"),
        pytest.param(budget, replace(ORDER, ceiling=None), situation(), id="people know why"),
    ],
)
def test_a_guard_lets_pass_what_it_has_nothing_against(
    guard: Guard, asked: GogcMove, about: Situation
) -> None:
    assert guard(asked, about) is asked


@pytest.mark.parametrize(
    ("gate", "about"),
    [
        pytest.param(reverted, situation(), id="never reverted"),
        pytest.param(
            reverted, situation(record=record(reverted_at=NOW - 900)), id="reverted long ago"
        ),
        pytest.param(
            reverted,
            situation(record=record(reverted_at=NOW - 3600, reverts=3)),
            id="reverted three times, an hour ago",
        ),
        pytest.param(
            reverted,
            situation(record=record(reverted_at=NOW - 86400, reverts=10**9)),
            id="reverted ever again, a day ago",
        ),
        pytest.param(trial_gate, situation(), id="no trial"),
        pytest.param(rollout, situation(), id="at rest"),
        pytest.param(uniform, situation(), id="pods agree"),
        pytest.param(cooldown, situation(), id="never changed"),
        pytest.param(cooldown, changed(900), id="changed long ago"),
        pytest.param(cooldown, void(900), id="void long ago"),
        pytest.param(
            cooldown,
            situation(record=record(history=(outcome(at=NOW), outcome(Verdict.VOID, at=NOW)))),
            id="only the newest attempt counts",
        ),
        pytest.param(cooldown, replace(changed(1), workload=LIVE), id="nothing restarts"),
        pytest.param(cooldown, unwritten(1), id="nothing was written"),
        pytest.param(source, situation(source_steady_seconds=60.0), id="steady"),
        pytest.param(baseline, situation(windows=(signals(),) * 5), id="observed"),
    ],
)
def test_a_gate_is_open_where_it_has_nothing_against_a_change(gate: Gate, about: Situation) -> None:
    assert gate(about) is None


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
            ownership,
            ORDER,
            having(EnvEntry("150", owners=("helm",))),
            Reason.OWNED_BY_OTHER,
            "GOGC=150 belongs to helm:",
        ),
        (worth, saving(0.0199), situation(), Reason.NOT_WORTH, "2.0%"),
        (worth, saving(0.0199), slow(Obstacle.THROTTLED), Reason.NOT_WORTH, "2.0%"),
        (budget, move(ceiling=None), situation(), Reason.MEMORY_BUDGET_UNKNOWN, "330 MiB"),
    ],
)
def test_a_guard_refuses_with_its_reason_and_the_figures_behind_it(
    guard: Guard, asked: GogcMove, about: Situation, reason: Reason, words: str
) -> None:
    assert_refused(guard(asked, about), reason, words)


@pytest.mark.parametrize(
    ("gate", "about", "reason", "words"),
    [
        (
            reverted,
            situation(record=record(reverted_at=NOW - 899)),
            Reason.REVERTED_BY_OTHER,
            "1 s",
        ),
        (
            reverted,
            situation(record=record(reverted_at=NOW - 3599, reverts=3)),
            Reason.REVERTED_BY_OTHER,
            "3 times in a row; left alone for another 1 s",
        ),
        (
            reverted,
            situation(record=record(reverted_at=NOW - 86399, reverts=10**9)),
            Reason.REVERTED_BY_OTHER,
            "another 1 s",
        ),
        (
            trial_gate,
            situation(record=record(trial=trial(phase=Phase.SETTLING))),
            Reason.TRIAL_RUNNING,
            "GOGC unset -> 200: Settling",
        ),
        (rollout, rolling(Rollout.IN_PROGRESS), Reason.ROLLOUT_IN_PROGRESS, "1 of 2"),
        (rollout, rolling(Rollout.PAUSED), Reason.ROLLOUT_PAUSED, "1 of 2"),
        (rollout, rolling(Rollout.FAILING), Reason.ROLLOUT_FAILING, "1 of 2"),
        (uniform, situation(signals=signals(gogc_uniform=False)), Reason.GOGC_DIFFERS, "pods"),
        (cooldown, changed(890), Reason.COOLDOWN, "10 s"),
        (cooldown, void(890), Reason.COOLDOWN, "10 s"),
        (cooldown, taken_back(890), Reason.COOLDOWN, "10 s"),
        (
            cooldown,
            situation(
                record=record(
                    history=(
                        outcome(Verdict.VOID, at=NOW),
                        outcome(Verdict.REGRESSED, at=NOW - 890),
                    ),
                    unwritten=1,
                )
            ),
            Reason.COOLDOWN,
            "10 s",
        ),
        (source, situation(source_steady_seconds=59.0), Reason.SOURCE_WARMING, "59 s"),
        (baseline, situation(windows=(signals(),) * 4), Reason.COLLECTING_BASELINE, "4 of 5"),
        (baseline, situation(seen_seconds=59.0), Reason.COLLECTING_BASELINE, "59 s"),
        (
            baseline,
            situation(signals=signals(pods=1)),
            Reason.COLLECTING_BASELINE,
            "figures of 1 pods, there were 2",
        ),
    ],
)
def test_a_gate_refuses_with_its_reason_and_the_figures_behind_it(
    gate: Gate, about: Situation, reason: Reason, words: str
) -> None:
    assert_refused(gate(about), reason, words)


@pytest.mark.parametrize("workload_of", [workload(), LIVE], ids=["env", "live"])
@pytest.mark.parametrize(
    ("times", "pause_seconds"), [(1, 60), (2, 120), (4, 480), (5, 900), (9, 900), (10**9, 900)]
)
def test_after_each_plan_in_a_row_that_could_not_be_written_the_next_one_waits_twice_as_long(
    times: int, pause_seconds: float, workload_of: Workload
) -> None:
    early = replace(unwritten(pause_seconds - 10, times), workload=workload_of)
    assert_refused(
        retry(proposal(), early),
        Reason.COOLDOWN,
        "the last change was not written: it is forbidden; the next attempt is in 10 s",
    )
    assert retry(proposal(), replace(unwritten(pause_seconds, times), workload=workload_of)) is None


def test_a_profile_without_a_cooldown_lets_a_rate_window_pass_all_the_same() -> None:
    hasty = replace(unwritten(50, 5).profile, cooldown_seconds=0.0)
    assert retry(proposal(), replace(unwritten(50, 5), profile=hasty)) is not None
    assert retry(proposal(), replace(unwritten(60, 5), profile=hasty)) is None


def test_memory_in_danger_waits_for_its_own_attempts_alone() -> None:
    fall = proposal(move(50, limited_by=Limit.DANGER), danger="990 MiB are in use of 1024 MiB")
    assert retry(fall, unwritten(1, reason=Reason.DANGER)) is not None
    assert retry(fall, unwritten(1, reason=Reason.GC_COST)) is None
    assert retry(proposal(), unwritten(1, reason=Reason.DANGER)) is not None


@pytest.mark.parametrize("times", [0, -3])
def test_without_a_plan_that_could_not_be_written_nothing_waits(times: int) -> None:
    assert retry(proposal(), unwritten(1, times)) is None
    assert retry(proposal(), situation(record=record(unwritten=times))) is None
    assert retry(proposal(), situation(record=record(unwritten=1))) is None


def test_in_mode_auto_what_is_proposed_is_done() -> None:
    assert mode(proposal(), situation()) is None


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        (situation(mode=Mode.RECOMMEND), Reason.MODE_RECOMMEND),
        (situation(policy=DRY), Reason.DRY_RUN),
        (situation(mode=Mode.RECOMMEND, policy=DRY), Reason.DRY_RUN),
    ],
)
@pytest.mark.parametrize(
    ("asked", "wish"),
    [
        (proposal(), "would set GOGC 100 -> 200 (CPU -10%)"),
        (
            proposal(memory_limit=BACKSTOP),
            "would set GOGC 100 -> 200 (CPU -10%), GOMEMLIMIT unset -> 900MiB",
        ),
        (
            proposal(Hold(Reason.AT_TARGET, ""), memory_limit=BACKSTOP),
            "would set GOMEMLIMIT unset -> 900MiB",
        ),
    ],
)
def test_otherwise_all_that_it_would_do_is_told(
    asked: Proposal, wish: str, about: Situation, reason: Reason
) -> None:
    assert_refused(mode(asked, about), reason, wish)


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
