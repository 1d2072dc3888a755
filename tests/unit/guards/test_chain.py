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
from tests.unit.guards.situations import POLICY, proposal, situation
from tuner.control.prediction import predict
from tuner.guards import decide
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Verdict
from tuner.model.tuning import Proposal
from tuner.model.workload import GOGC, EnvEntry, Mode, Rollout

FOREIGN = EnvEntry("100", owners=("helm",))
HARMED = outcome(Verdict.REGRESSED)
APPLIED = applied_gogc("200")

ORDER: list[tuple[Reason, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # reason, and what of situation, record and proposal brings it about
    (Reason.OWNED_BY_OTHER, {"container": container(env={GOGC: FOREIGN})}, {}, {}),
    (Reason.REVERTED_BY_OTHER, {}, {"reverted_at": NOW}, {}),
    (Reason.TRIAL_RUNNING, {}, {"trial": trial(phase=Phase.MEASURING)}, {}),
    (Reason.ROLLOUT_IN_PROGRESS, {"workload": workload(rollout=Rollout.IN_PROGRESS)}, {}, {}),
    (Reason.NOT_WORTH, {"signals": signals(gc_share=0.01)}, {}, {}),
    (Reason.MEMORY_BUDGET_UNKNOWN, {}, {}, {"ceiling": None}),
    (Reason.DIRECTION_CLOSED, {}, {"history": (HARMED,)}, {}),
    (Reason.MODE_RECOMMEND, {"mode": Mode.RECOMMEND}, {}, {}),
    (Reason.COOLDOWN, {}, {"applied": APPLIED}, {}),
    (Reason.SOURCE_WARMING, {"source_steady_seconds": 0.0}, {}, {}),
    (Reason.COLLECTING_BASELINE, {"windows": ()}, {}, {}),
]


@pytest.mark.parametrize("position", range(len(ORDER)))
def test_of_several_refusals_the_first_in_the_order_is_the_answer(position: int) -> None:
    """Each row with all rows after it: its reason is the one that is told."""
    about: dict[str, Any] = {}
    of: dict[str, Any] = {}
    asks: dict[str, Any] = {}
    for _, in_situation, in_record, in_proposal in ORDER[position:]:
        about |= in_situation
        of |= in_record
        asks |= in_proposal
    # A target beyond one step: the saving is worked out anew, from the signals of the situation.
    answer = decide(proposal(550, **asks), situation(record=record(**of), **about))
    assert isinstance(answer, Hold)
    assert answer.reason is ORDER[position][0]


def test_a_proposal_that_nothing_stands_against_comes_out_within_a_step() -> None:
    answer = decide(proposal(550), situation())
    assert isinstance(answer, Proposal)
    assert (answer.next_gogc, answer.target_gogc) == (200, 550)
    assert answer.prediction == predict(signals(), 200, POLICY.law)


def test_what_is_ours_already_goes_on() -> None:
    about = situation(container=container(env={GOGC: OURS}))
    assert isinstance(decide(proposal(330, current_gogc=200.0), about), Proposal)


def test_todays_value_is_told_before_the_mode() -> None:
    answer = decide(proposal(100), situation(mode=Mode.RECOMMEND, policy=policy(dry_run=True)))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.AT_TARGET


def test_worth_judges_the_step_that_is_taken_not_the_target() -> None:
    slight = signals(gc_share=0.03)
    assert predict(slight, 1600, POLICY.law).cpu_saving_ratio > POLICY.law.worth_ratio
    answer = decide(proposal(1600), situation(signals=slight))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.NOT_WORTH
