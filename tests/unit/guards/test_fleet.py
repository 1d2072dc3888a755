from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.examples import record, trial, workload
from tuner.guards.fleet import admit
from tuner.model.decision import Apply, Decision, Hold
from tuner.model.happening import Assessment
from tuner.model.policy import GuardRules
from tuner.model.reason import Reason
from tuner.model.shard import shard_of
from tuner.model.trial import Phase, Trial
from tuner.model.tuning import Prediction
from tuner.model.workload import Kind, LiveChannel, Mode, Rollout, WorkloadKey

HOLD = Hold(Reason.TRIAL_RUNNING, "")
RULES = GuardRules()


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


def refused(fleet: Mapping[str, Assessment], rules: GuardRules = RULES) -> set[str]:
    of_shop = {key(name): each for name, each in fleet.items()}
    return {each.name for each in admit(of_shop, rules)}


def live(assessment: Assessment) -> Assessment:
    return replace(assessment, workload=workload(live=LiveChannel("cart")))


def test_leaders_of_shards_together_begin_no_more_than_the_fleet_may() -> None:
    # Each of them decides on all workloads, and sees nothing of what the others do on this tick.
    wishes = {key(str(each), f"team-{each}"): wishing() for each in range(40)}
    for shards in range(1, 6):
        rules = replace(RULES, shards=shards)
        waiting = admit(wishes, rules)
        begun = [each for each in wishes if each not in waiting]
        of_shards = Counter(shard_of(each.namespace, shards) for each in begun)
        assert len(begun) == RULES.rollouts_in_cluster
        assert len(of_shards) == shards


def test_a_single_change_is_admitted() -> None:
    assert not admit({key("cart"): wishing()}, RULES)


def test_of_two_in_a_namespace_the_one_that_saves_more_goes_first() -> None:
    assert refused({"little": wishing(0.05), "much": wishing(0.2)}) == {"little"}


@pytest.mark.parametrize("reason", [Reason.DANGER, Reason.MEMORY_CEILING, Reason.MEMORY_LIMIT])
def test_of_two_that_memory_needs_the_one_that_costs_more_goes_first(reason: Reason) -> None:
    assert refused({"far": wishing(0.0, reason), "near": wishing(-0.2, reason)}) == {"far"}


def test_harm_is_undone_first_then_danger_then_peoples_word_then_memory_and_gain_last() -> None:
    turns = [
        Reason.ROLLBACK,
        Reason.DANGER,
        Reason.PINNED,
        Reason.MEMORY_CEILING,
        Reason.MEMORY_LIMIT,
        Reason.GC_COST,
    ]
    for earlier, later in pairwise(turns):
        fleet = {"later": wishing(0.9, later), "earlier": wishing(-0.9, earlier)}
        assert refused(fleet) == {"later"}


def test_namespaces_do_not_wait_for_each_other() -> None:
    for other in (rolling(), wishing()):
        assert not admit({key("cart", "shop"): wishing(), key("cart", "bank"): other}, RULES)


@pytest.mark.parametrize("phase", [Phase.PLANNED, Phase.ROLLING_OUT])
def test_a_rollout_of_ours_under_way_is_waited_for_and_named(phase: Phase) -> None:
    answer = admit({key("cart"): wishing(), key("billing"): rolling(phase)}, RULES)
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
    assert not admit({key("cart"): assessed(Apply(plan, ""), plan)}, RULES)


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.RECOMMEND])
def test_a_trial_left_behind_by_a_change_of_mode_keeps_nobody_waiting(mode: Mode) -> None:
    left = [assessed(HOLD, trial(phase=each), mode) for each in (Phase.PLANNED, Phase.ROLLING_OUT)]
    assert not any(refused({"cart": wishing(), "billing": each}) for each in left)


@pytest.mark.parametrize("reason", [Reason.FROZEN, Reason.PAUSED, Reason.OVERRIDE_INVALID])
@pytest.mark.parametrize("phase", [Phase.PLANNED, Phase.ROLLING_OUT])
def test_a_trial_that_stands_still_by_order_keeps_nobody_waiting(
    phase: Phase, reason: Reason
) -> None:
    still = assessed(Hold(reason, ""), trial(phase=phase))
    assert not refused({"cart": wishing(), "billing": still})
    moving = assessed(Hold(reason, ""), trial(phase=phase), rollout=Rollout.IN_PROGRESS)
    assert refused({"cart": wishing(), "billing": moving}) == {"cart"}


def test_a_rollout_of_ours_is_waited_for_also_when_the_mode_changed_meanwhile() -> None:
    under_way = assessed(HOLD, trial(phase=Phase.ROLLING_OUT), Mode.OFF, Rollout.IN_PROGRESS)
    assert refused({"cart": wishing(), "billing": under_way}) == {"cart"}


def test_a_plan_for_a_reason_that_is_none_to_write_comes_last() -> None:
    assert refused({"odd": wishing(0.9, Reason.STALE), "gain": wishing()}) == {"odd"}


def test_a_namespace_has_as_many_rollouts_at_a_time_as_the_settings_allow() -> None:
    two = GuardRules(rollouts_in_namespace=2)
    fleet = {"busy": rolling(), "little": wishing(0.05), "much": wishing(0.2)}
    assert refused(fleet, two) == {"little"}


def in_namespaces(*assessments: Assessment) -> dict[WorkloadKey, Assessment]:
    return {key("cart", f"team-{each}"): of for each, of in enumerate(assessments)}


def test_the_cluster_has_as_many_rollouts_at_a_time_as_the_settings_allow() -> None:
    fleet = in_namespaces(rolling(), wishing(0.05), wishing(0.3), wishing(0.2))
    answer = admit(fleet, GuardRules(rollouts_in_cluster=3))
    assert {each.namespace for each in answer} == {"team-1"}
    (hold,) = answer.values()
    assert hold.reason is Reason.CHANGE_BUDGET
    assert "3 workloads" in hold.detail


def test_a_rollback_goes_over_any_budget_and_counts_towards_it() -> None:
    fleet = in_namespaces(rolling(), wishing(reason=Reason.ROLLBACK), wishing(0.9))
    answer = admit(fleet, GuardRules(rollouts_in_cluster=1))
    assert {each.namespace for each in answer} == {"team-2"}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(rolling(), id="a rollout of ours is under way"),
        pytest.param(wishing(0.9), id="a larger saving"),
    ],
)
def test_the_live_channel_waits_for_nobody(other: Assessment) -> None:
    assert not refused({"live": live(wishing()), "other": other})


@pytest.mark.parametrize(
    "other", [live(rolling()), live(wishing(0.9)), live(rolling(Phase.PLANNED))]
)
def test_nobody_waits_for_the_live_channel(other: Assessment) -> None:
    assert not refused({"cart": wishing(), "other": other})
