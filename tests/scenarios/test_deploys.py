"""Deploys, scaling and rollbacks by others, at any point of a trial."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.scenarios.worlds import BUSY, Stage
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Verdict
from tuner.model.workload import GOGC
from tuner.overrides.book import Book
from tuner.simulation import Fault

PHASES = [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING]


def hold_of(stage: Stage) -> Reason:
    decision = stage.decision()
    assert isinstance(decision, Hold), decision
    return decision.reason


@pytest.mark.parametrize("phase", PHASES)
def test_an_undo_in_the_middle_of_a_trial_is_respected(phase: Phase) -> None:
    stage = Stage(BUSY)
    stage.until_phase(phase)
    undone = stage.cluster.now
    stage.cluster.undo(stage.key)
    stage.run(20)
    assert stage.verdicts() == [Verdict.VOID]
    assert hold_of(stage) is Reason.REVERTED_BY_OTHER
    stage.run(35)
    assert stage.writes(since=undone) == 0
    assert stage.gogc() is None


def test_what_was_written_just_before_a_death_and_a_deploy_is_still_known_to_be_ours() -> None:
    stage = Stage(BUSY)
    stage.cluster.faults.append(Fault.DEATH_AFTER)
    stage.until(lambda stage: not stage.cluster.faults)
    stage.cluster.change_template(stage.key, "next release")
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.VOID]
    record = stage.record()
    assert record is not None
    assert record.applied is not None
    assert record.applied.settings[0].prior is None
    stage.cluster.set_env(stage.key, GOGC, None)
    stage.run(20)
    assert hold_of(stage) is Reason.REVERTED_BY_OTHER


@pytest.mark.parametrize("behind", [2, 20])
def test_a_view_that_lags_behind_our_own_write_leads_to_no_other(behind: int) -> None:
    stage = Stage(BUSY)
    stage.until(lambda stage: stage.world.seconds >= 300)
    stage.cluster.freeze_view()
    stage.until(lambda stage: stage.writes() == 1)
    stage.run(behind)
    assert stage.writes() == 1
    stage.cluster.thaw_view()
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.CONFIRMED]
    assert stage.writes() == 1
    assert stage.gogc() == "200"


@pytest.mark.parametrize("phase", [*PHASES, None])
def test_a_mode_taken_away_stops_every_write(phase: Phase | None) -> None:
    stage = Stage(BUSY)
    stage.until_phase(phase) if phase else stage.run(20)
    written = stage.writes()
    stage.cluster.label(stage.key, "off")
    stage.run(200)
    assert stage.writes() == written
    assert hold_of(stage) is Reason.MODE_OFF


def test_a_harmful_change_is_taken_back_only_where_and_when_the_mode_allows_it() -> None:
    stage = Stage(replace(BUSY, harm=lambda gogc: 0.3e-3 if gogc > 100 else 0.0))
    stage.until_phase(Phase.MEASURING)
    stage.cluster.label(stage.key, "recommend")
    stage.run(100)
    assert stage.writes() == 1
    assert stage.gogc() == "200"
    assert hold_of(stage) is Reason.MODE_RECOMMEND
    stage.cluster.label(stage.key, "auto")
    stage.run(10)
    assert stage.gogc() is None


@pytest.mark.parametrize("replicas", [1, 4])
def test_another_number_of_pods_in_the_middle_of_a_trial_brings_no_write(replicas: int) -> None:
    stage = Stage(BUSY)
    stage.until_phase(Phase.MEASURING)
    stage.cluster.scale(stage.key, replicas)
    stage.until_verdict()
    assert stage.writes() == 1
    assert stage.verdicts()[0] in {Verdict.CONFIRMED, Verdict.INCONCLUSIVE}
    assert len(stage.cluster.pods(stage.key)) == replicas


def test_scaled_to_zero_there_is_nothing_to_tune() -> None:
    stage = Stage(BUSY)
    stage.run(20)
    stage.cluster.scale(stage.key, 0)
    stage.run(60)
    assert stage.writes() == 0
    assert hold_of(stage) is Reason.NOT_RUNNING


def pause(stage: Stage) -> None:
    stage.cluster.pause(stage.key, paused=True)


def break_start(stage: Stage) -> None:
    stage.cluster.set_env(stage.key, "GOMEMLIMIT", "900Mi")


@pytest.mark.parametrize(
    ("act", "reason"),
    [(pause, Reason.ROLLOUT_PAUSED), (break_start, Reason.ROLLOUT_FAILING)],
    ids=["paused", "failing"],
)
def test_no_change_begins_while_others_pods_do_not_come_up(
    act: Callable[[Stage], None], reason: Reason
) -> None:
    stage = Stage(BUSY)
    stage.run(20)
    act(stage)
    stage.run(100)
    assert stage.writes() == 0
    assert hold_of(stage) is reason


def test_a_deleted_workload_leaves_nothing_behind_and_its_successor_begins_anew() -> None:
    stage = Stage(BUSY)
    stage.until_phase(Phase.MEASURING)
    stage.cluster.delete(stage.key)
    stage.run(5)
    assert stage.record() is None
    assert stage.decision() is None
    deployed = stage.cluster.now
    stage.cluster.deploy(BUSY)
    stage.run(20)
    assert stage.writes(since=deployed) == 0
    stage.until_verdict()
    assert stage.verdicts() == [Verdict.CONFIRMED]
    assert stage.writes(since=deployed) == 1


@pytest.mark.parametrize(
    "order",
    [
        "paused: true",
        "overrides: [{name: calm, match: {namespace: '*', name: busy}, reason: x, freeze: true}]",
        "overrides: [{name: calm, match: {namespace: '*', name: busy}, reason: x, freeze: maybe}]",
    ],
    ids=["paused", "frozen", "invalid"],
)
def test_while_people_stop_every_write_the_change_cause_stays(order: str) -> None:
    stage = Stage(BUSY)
    stage.until_phase(Phase.ROLLING_OUT)
    stage.lay_down(order)
    stage.until_verdict()
    assert stage.writes("change-cause") == 0
    stage.world.book = Book()
    stage.run(1)
    assert stage.writes("change-cause") == 1


def test_the_change_cause_goes_once_the_rollout_is_done() -> None:
    stage = Stage(BUSY)
    stage.until_phase(Phase.ROLLING_OUT)
    assert (stage.cluster.fetch(stage.key).change_cause or "").startswith("gc-tuner: GOGC unset")
    stage.until_phase(Phase.MEASURING)
    assert stage.cluster.fetch(stage.key).change_cause is None
    assert stage.writes("change-cause") == 1
