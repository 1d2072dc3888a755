import pytest

from tests.examples import (
    container,
    moved,
    trial,
    workload,
    workload_with,
)
from tuner.guards import objection_to
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Trial
from tuner.model.workload import GOGC, EnvEntry, Rollout, Workload

PLAN = trial()
BACK = trial(change=moved("200", None), reason=Reason.ROLLBACK)
ROLLING = workload(rollout=Rollout.IN_PROGRESS)


@pytest.mark.parametrize(
    ("plan", "fresh"),
    [
        pytest.param(PLAN, workload(), id="as decided on"),
        pytest.param(PLAN, workload(resource_version="9", generation=4), id="a newer version"),
        pytest.param(PLAN, workload(replicas=5, ready_replicas=5), id="scaled"),
        pytest.param(BACK, workload_with("200"), id="a rollback"),
        pytest.param(
            BACK, workload_with("200", rollout=Rollout.FAILING), id="a rollback does not wait"
        ),
        pytest.param(
            BACK,
            workload_with("200", annotations={"profile": "critical"}),
            id="a rollback is for any tier",
        ),
    ],
)
def test_what_is_still_as_it_was_decided_on_may_be_written(plan: Trial, fresh: Workload) -> None:
    assert objection_to(plan, fresh, workload()) is None


@pytest.mark.parametrize(
    ("plan", "fresh", "reason"),
    [
        pytest.param(PLAN, workload(uid="v"), Reason.WORKLOAD_CHANGED, id="deleted and made anew"),
        pytest.param(PLAN, workload(label_mode="off"), Reason.WORKLOAD_CHANGED, id="switched off"),
        pytest.param(PLAN, workload(label_mode=None), Reason.WORKLOAD_CHANGED, id="label gone"),
        pytest.param(
            PLAN, workload(template_digest="other"), Reason.WORKLOAD_CHANGED, id="a new image"
        ),
        pytest.param(
            PLAN,
            workload(containers=(container(name="other"),)),
            Reason.WORKLOAD_CHANGED,
            id="the container is gone",
        ),
        pytest.param(
            PLAN,
            workload(annotations={"profile": "critical"}),
            Reason.WORKLOAD_CHANGED,
            id="another tier",
        ),
        pytest.param(
            PLAN,
            workload(annotations={"container": "app"}),
            Reason.WORKLOAD_CHANGED,
            id="another container named",
        ),
        pytest.param(PLAN, workload_with("150"), Reason.WORKLOAD_CHANGED, id="another value"),
        pytest.param(BACK, workload(), Reason.WORKLOAD_CHANGED, id="taken back by someone else"),
        pytest.param(
            PLAN,
            workload(containers=(container(env={GOGC: EnvEntry("150", owners=("helm",))}),)),
            Reason.OWNED_BY_OTHER,
            id="claimed by someone else",
        ),
        pytest.param(
            BACK,
            workload(containers=(container(env={GOGC: EnvEntry("200", owners=("helm",))}),)),
            Reason.OWNED_BY_OTHER,
            id="a rollback takes nothing from others either",
        ),
        pytest.param(PLAN, ROLLING, Reason.ROLLOUT_IN_PROGRESS, id="a rollout began"),
        pytest.param(
            PLAN, workload(rollout=Rollout.PAUSED), Reason.ROLLOUT_PAUSED, id="it was paused"
        ),
    ],
)
def test_what_changed_since_is_not_written_over(
    plan: Trial, fresh: Workload, reason: Reason
) -> None:
    answer = objection_to(plan, fresh, workload())
    assert isinstance(answer, Hold)
    assert answer.reason is reason


def test_a_change_of_ours_whose_answer_was_lost_is_not_objected_to() -> None:
    written = workload_with("200", rollout=Rollout.IN_PROGRESS)
    assert objection_to(PLAN, written, workload()) is None


def test_the_same_value_from_somebody_else_is_not_taken_for_ours() -> None:
    theirs = workload(containers=(container(env={GOGC: EnvEntry("200")}),))
    answer = objection_to(PLAN, theirs, workload())
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.WORKLOAD_CHANGED


def test_an_objection_names_both_values() -> None:
    answer = objection_to(PLAN, workload_with("150"), workload())
    assert isinstance(answer, Hold)
    assert "GOGC reads 150, it was unset" in answer.detail
