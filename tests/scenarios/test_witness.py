"""A witness that misses a wrong write would let every day of faults pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.examples import moved, record, trial
from tests.scenarios.witness import Witness
from tests.scenarios.worlds import BUSY, Stage
from tuner.errors import UnavailableError
from tuner.model.reason import Reason
from tuner.model.trial import Change
from tuner.model.workload import GOGC, GOMEMLIMIT
from tuner.simulation import Fault

RISE = moved(None, "200")


def planned(stage: Stage, change: Change, reason: Reason = Reason.GC_COST) -> None:
    plan = trial(change=change, reason=reason, template_digest="first")
    stage.cluster.save(stage.cluster.fetch(stage.key), record(trial=plan))


def written(stage: Stage, change: Change) -> Witness:
    witness = Witness(stage)
    witness.write(stage.cluster.fetch(stage.key), change, "because")
    return witness


def test_what_is_written_as_planned_is_right() -> None:
    stage = Stage(BUSY)
    planned(stage, RISE)
    witness = written(stage, RISE)
    assert witness.wrong == []
    assert [each.change for each in witness.writes] == [RISE]


def frozen(stage: Stage) -> None:
    stage.order("freeze: true")


def alerting(stage: Stage) -> None:
    stage.world.source.alerts = {"default": frozenset({"Burning"})}


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda stage: stage.cluster.label(stage.key, "off"), "label_mode"),
        (lambda stage: stage.cluster.scale(stage.key, 5), "Rollout.COMPLETE"),
        (lambda stage: stage.cluster.set_env(stage.key, GOGC, "100"), "owners"),
        (frozen, "stopped"),
        (alerting, "alerts"),
    ],
    ids=["off", "rolling out", "not ours", "frozen", "alert"],
)
def test_a_write_at_the_wrong_time_or_place_is_wrong(
    act: Callable[[Stage], None], words: str
) -> None:
    stage = Stage(BUSY)
    planned(stage, RISE)
    act(stage)
    (wrong,) = written(stage, RISE).wrong
    assert words in wrong


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (moved(None, "300"), "ratio"),
        (moved(None, "40"), "ratio"),
        (moved(None, "70"), "gogc_lowest"),
        (moved(None, "200.0"), "syntax"),
        (moved("150", "200"), "before"),
        (moved(None, "1100MiB", GOMEMLIMIT), "limit_bytes"),
    ],
    ids=["too high", "too low", "under the bound", "no number", "other before", "over the limit"],
)
def test_a_value_that_must_not_be_written_is_wrong(change: Change, words: str) -> None:
    stage = Stage(BUSY)
    planned(stage, change)
    (wrong,) = written(stage, change).wrong
    assert words in wrong


def test_a_write_that_is_not_on_record_is_wrong() -> None:
    assert "is not on record" in written(Stage(BUSY), RISE).wrong[0]
    stage = Stage(BUSY)
    planned(stage, moved(None, "150"))
    assert "is on record as GOGC unset -> 150" in written(stage, RISE).wrong[0]


def test_a_rollback_that_restores_something_else_is_wrong() -> None:
    stage = Stage(replace(BUSY, live=True))
    witness = Witness(stage)
    for change, reason in (
        (RISE, Reason.GC_COST),
        (moved("200", "150"), Reason.ROLLBACK),
    ):
        planned(stage, change, reason)
        witness.write(stage.cluster.fetch(stage.key), change, "because")
    (wrong,) = witness.wrong
    assert "does not undo" in wrong


def test_a_wrong_write_whose_answer_is_lost_is_wrong_all_the_same() -> None:
    stage = Stage(BUSY)
    stage.cluster.faults.append(Fault.UNANSWERED)
    witness = Witness(stage)
    with pytest.raises(UnavailableError):
        witness.write(stage.cluster.fetch(stage.key), RISE, "because")
    assert len(witness.wrong) == 1
