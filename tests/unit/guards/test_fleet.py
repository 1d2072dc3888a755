from collections.abc import Mapping

import pytest

from tests.examples import record, trial, workload
from tuner.guards.fleet import admit
from tuner.model.decision import Apply, Decision, Hold
from tuner.model.happening import Assessment
from tuner.model.reason import Reason
from tuner.model.trial import Phase, Trial
from tuner.model.tuning import Prediction
from tuner.model.workload import Kind, Mode, Rollout, WorkloadKey

HOLD = Hold(Reason.TRIAL_RUNNING, "")


def key(name: str, namespace: str = "shop") -> WorkloadKey:
    return WorkloadKey(namespace, Kind.DEPLOYMENT, name)


def assessed(
    decision: Decision,
    running: Trial | None = None,
    mode: Mode = Mode.AUTO,
    rollout: Rollout = Rollout.COMPLETE,
) -> Assessment:
    return Assessment(
        workload=workload(rollout=rollout),
        mode=mode,
        signals=None,
        proposal=None,
        decision=decision,
        record=record(trial=running),
    )


def wishing(saving: float = 0.1, reason: Reason = Reason.GC_COST) -> Assessment:
    prediction = Prediction(cpu_saving_ratio=saving, memory_peak_bytes=1)
    return assessed(Apply(trial(reason=reason, prediction=prediction), ""))


def rolling(phase: Phase = Phase.ROLLING_OUT) -> Assessment:
    return assessed(HOLD, trial(phase=phase))


def refused(fleet: Mapping[str, Assessment]) -> set[str]:
    return {each.name for each in admit({key(name): each for name, each in fleet.items()})}


def test_a_single_change_is_admitted() -> None:
    assert not admit({key("cart"): wishing()})


def test_of_two_in_a_namespace_the_one_that_saves_more_goes_first() -> None:
    assert refused({"little": wishing(0.05), "much": wishing(0.2)}) == {"little"}


def test_memory_safety_goes_before_gain() -> None:
    fleet = {"gain": wishing(0.5), "safety": wishing(-0.1, Reason.MEMORY_CEILING)}
    assert refused(fleet) == {"gain"}


def test_a_rollback_goes_before_everything() -> None:
    fleet = {
        "safety": wishing(-0.1, Reason.MEMORY_CEILING),
        "gain": wishing(0.5),
        "back": wishing(-0.2, Reason.ROLLBACK),
    }
    assert refused(fleet) == {"safety", "gain"}


def test_namespaces_do_not_wait_for_each_other() -> None:
    assert not admit({key("cart", "shop"): wishing(), key("cart", "bank"): rolling()})
    assert not admit({key("cart", "shop"): wishing(), key("cart", "bank"): wishing()})


@pytest.mark.parametrize("phase", [Phase.PLANNED, Phase.ROLLING_OUT])
def test_a_rollout_of_ours_under_way_is_waited_for_and_named(phase: Phase) -> None:
    answer = admit({key("cart"): wishing(), key("billing"): rolling(phase)})
    assert list(answer) == [key("cart")]
    assert answer[key("cart")].reason is Reason.OTHER_ROLLOUT
    assert "billing" in answer[key("cart")].detail


@pytest.mark.parametrize("phase", [Phase.SETTLING, Phase.MEASURING])
def test_a_trial_whose_pods_are_replaced_is_not_waited_for(phase: Phase) -> None:
    assert not refused({"cart": wishing(), "billing": rolling(phase)})


def test_a_rollback_never_waits() -> None:
    assert not refused({"back": wishing(reason=Reason.ROLLBACK), "billing": rolling()})
    two = {"one": wishing(reason=Reason.ROLLBACK), "two": wishing(reason=Reason.ROLLBACK)}
    assert not refused(two)


def test_a_plan_that_is_taken_up_again_does_not_wait_for_itself() -> None:
    plan = trial()
    assert not admit({key("cart"): assessed(Apply(plan, ""), plan)})


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.RECOMMEND])
def test_a_trial_left_behind_by_a_change_of_mode_keeps_nobody_waiting(mode: Mode) -> None:
    left = [assessed(HOLD, trial(phase=each), mode) for each in (Phase.PLANNED, Phase.ROLLING_OUT)]
    assert not any(refused({"cart": wishing(), "billing": each}) for each in left)


def test_a_rollout_of_ours_is_waited_for_also_when_the_mode_changed_meanwhile() -> None:
    under_way = assessed(HOLD, trial(phase=Phase.ROLLING_OUT), Mode.OFF, Rollout.IN_PROGRESS)
    assert refused({"cart": wishing(), "billing": under_way}) == {"cart"}


def test_a_plan_for_a_reason_that_is_none_to_write_comes_last() -> None:
    assert refused({"odd": wishing(0.9, Reason.STALE), "gain": wishing()}) == {"odd"}
