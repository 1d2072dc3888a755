import math
from dataclasses import replace
from typing import Any

import pytest

from tests.examples import (
    MIB,
    NOW,
    OURS,
    applied_gogc,
    container,
    gogc_after,
    moved,
    outcome,
    policy,
    reading,
    record,
    trial,
    workload,
)
from tests.examples import signals as believed
from tuner.assessment import Assessed, Kept, LimitAsked, SourceState, assess, describe
from tuner.model.decision import Apply, Hold
from tuner.model.override import NONE, Override
from tuner.model.policy import Policy
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.record import Learned, Record
from tuner.model.trial import Change, Outcome, Phase, Setting, Spread, Trial, Verdict
from tuner.model.workload import (
    GOGC,
    GOMEMLIMIT,
    EnvEntry,
    LiveChannel,
    Mode,
    Rollout,
    Running,
    Workload,
)
from tuner.verification import Windows

POLICY = policy()
ROOMY = container(memory_request_bytes=2048 * MIB, memory_limit_bytes=4096 * MIB)
CALM = workload(containers=(ROOMY,))
SETTING = ("u", "digest", "app", 100.0, None, None)
SEEN = tuple(believed(at=NOW - 60 * each) for each in range(5, 0, -1))
WATCHED = Kept(Windows(SETTING, SEEN, since=NOW - 300))
"""The five rate windows before this one."""
BACK = trial(change=moved("200", None), reason=Reason.ROLLBACK, baseline=None)
APPLIED = applied_gogc("200", at=NOW - 100)


def source(**changes: Any) -> SourceState:  # noqa: ANN401  # handed to SourceState
    usual: dict[str, Any] = {"at": NOW, "readings": {"app": reading()}, "steady_seconds": 600.0}
    return SourceState(**(usual | changes))


LOST = source(readings=None, steady_seconds=0.0, trouble="connection refused")


def assessed(
    subject: Workload = CALM,
    of: Record | None = None,
    kept: Kept = WATCHED,
    said: SourceState | None = None,
    told: Policy = POLICY,
    override: Override = NONE,
) -> Assessed:
    return assess(subject, of, kept, said or source(), told, override)


def held(answer: Assessed) -> Hold:
    assert isinstance(answer.assessment.decision, Hold)
    return answer.assessment.decision


def planned(answer: Assessed) -> Trial:
    assert isinstance(answer.assessment.decision, Apply)
    return answer.assessment.decision.trial


def backstop(after: str) -> Setting:
    return Setting(GOMEMLIMIT, None, after)


def test_a_service_that_collects_too_much_gets_a_doubled_gogc() -> None:
    plan = planned(assessed())
    # .9 of 4096 MiB less 1.1 times what Go does not know.
    assert plan.change == Change("app", (Setting(GOGC, None, "200"), backstop("3675MiB")))
    assert (plan.reason, plan.phase) == (Reason.GC_COST, Phase.PLANNED)
    assert (plan.started_at, plan.template_digest) == (NOW, "digest")


def test_a_plan_states_the_level_that_it_will_be_compared_with() -> None:
    baseline = planned(assessed()).baseline
    assert baseline is not None
    assert baseline.cpu_seconds_per_request == Spread(0.001, 0.0, 6)
    assert baseline.at == NOW


TIGHT = workload(containers=(container(memory_limit_bytes=245 * MIB),))


def test_a_plan_of_less_memory_is_for_the_ceiling() -> None:
    # .95 of the .97 * (209 - 20) - 101 MiB that the GOMEMLIMIT written with it leaves.
    known_by_gogc = source(readings={"app": reading(without=[Quantity.LIVE_EXPORTED_BYTES])})
    plan = planned(assessed(TIGHT, said=known_by_gogc))
    assert (plan.reason, gogc_after(plan.change)) == (Reason.MEMORY_CEILING, "77")
    assert plan.change.of(GOMEMLIMIT) == backstop("209MiB")


def test_a_gomemlimit_alone_does_it_where_the_live_heap_is_measured() -> None:
    plan = planned(assessed(TIGHT))
    assert (plan.reason, plan.change.settings) == (Reason.MEMORY_LIMIT, (backstop("209MiB"),))


def test_where_somebody_took_a_value_away_gogc_falls_with_the_gomemlimit() -> None:
    plan = planned(assessed(TIGHT, record(reverted_at=NOW - 86400, reverts=1)))
    assert (plan.reason, gogc_after(plan.change)) == (Reason.MEMORY_CEILING, "79")


def test_memory_in_danger_gets_its_gomemlimit_at_once_and_gogc_stays() -> None:
    full = source(readings={"app": reading(resident_bytes=240.0 * MIB)})
    plan = planned(assessed(TIGHT, kept=Kept(), said=full))
    assert plan.reason is Reason.DANGER
    assert [each.name for each in plan.change.settings] == [GOMEMLIMIT]


def quarantined(limit: str) -> Record:
    harm = outcome(
        Verdict.REGRESSED,
        at=NOW - 1900,
        change=Change("app", (backstop(limit),)),
        reason=Reason.MEMORY_LIMIT,
    )
    return record(history=(harm,))


def test_gogc_falls_where_the_gomemlimit_that_would_spare_it_is_in_quarantine() -> None:
    plan = planned(assessed(TIGHT, quarantined("209MiB")))
    assert plan.reason is Reason.MEMORY_CEILING
    # .95 of the .97 * (.9 * 245 - 10 - 20) - 100 MiB that the limit leaves.
    assert plan.change.settings == (Setting(GOGC, None, "80"),)


def test_gogc_does_not_pass_the_ceiling_while_the_gomemlimit_behind_it_is_in_quarantine() -> None:
    app = container(memory_limit_bytes=512 * MIB, env={GOGC: OURS})
    subject = workload(containers=(app,))
    figures = reading(gogc_lowest=200.0, gogc_highest=200.0, heap_goal_bytes=300.0 * MIB)
    seen = tuple(replace(each, gogc=200.0, gogc_effective=200.0) for each in SEEN)
    setting = ("u", "digest", "app", 200.0, None, None)
    kept = Kept(Windows(setting, seen, since=NOW - 300))
    said = source(readings={"app": figures})

    behind_it = planned(assessed(subject, kept=kept, said=said)).change
    assert (gogc_after(behind_it), behind_it.of(GOMEMLIMIT)) == ("400", backstop("449MiB"))
    # .95 of the .97 * (.9 * 512 - 10 - 20) - 100 MiB that the container's limit leaves; at 400 the
    # heap would take 530 MiB of the 512.
    without = planned(assessed(subject, quarantined("449MiB"), kept, said)).change
    assert without.settings == (Setting(GOGC, "200", "300"),)


def test_gogc_does_not_pass_the_ceiling_behind_a_gomemlimit_that_the_program_set_over_ours() -> (
    None
):
    given = {GOGC: OURS, GOMEMLIMIT: replace(OURS, value="400MiB")}
    app = container(memory_request_bytes=490 * MIB, memory_limit_bytes=490 * MIB, env=given)
    own = 430.0 * MIB
    figures = reading(
        gogc_lowest=200.0, gogc_highest=200.0, heap_goal_bytes=300.0 * MIB, gomemlimit_bytes=own
    )
    seen = tuple(
        replace(each, gogc=200.0, gogc_effective=200.0, gomemlimit_bytes=own) for each in SEEN
    )
    kept = Kept(Windows(("u", "digest", "app", 200.0, own, None), seen, since=NOW - 300))
    plan = planned(
        assessed(workload(containers=(app,)), kept=kept, said=source(readings={"app": figures}))
    )
    # .95 of the .97 * (430 - 20) - 100 MiB that it leaves.
    assert plan.change.settings == (Setting(GOGC, "200", "280"),)


OVERLOOKED = workload(
    live=LiveChannel("cart-gc"),
    containers=(
        container(memory_limit_bytes=245 * MIB, env={GOMEMLIMIT: replace(OURS, value="209MiB")}),
    ),
)
"""A live ConfigMap with a GOMEMLIMIT that the pods do not take up."""
FULL = source(readings={"app": reading(resident_bytes=240.0 * MIB, gomemlimit_bytes=2.0**63)})


def test_a_gomemlimit_that_the_pods_say_is_not_set_is_not_taken_to_be_in_force() -> None:
    alone = trial(
        change=Change("app", (backstop("209MiB"),)), phase=Phase.ROLLING_OUT, phase_at=NOW - 15
    )
    under_way = assessed(OVERLOOKED, record(trial=alone), said=FULL).assessment.record.trial
    assert under_way is not None
    assert under_way.phase is Phase.ROLLING_OUT


def test_memory_in_danger_lowers_gogc_where_the_pods_take_no_gomemlimit_up() -> None:
    plan = planned(assessed(OVERLOOKED, said=FULL))
    assert (plan.reason, plan.change.settings) == (Reason.DANGER, (Setting(GOGC, None, "67"),))


def test_the_record_tells_decision_figures_and_recommendation() -> None:
    told = assessed().assessment.record
    assert (told.mode, told.reason) == (Mode.AUTO, Reason.GC_COST)
    assert told.observed is not None
    assert (told.observed.gogc, told.observed.gc_share) == ("100", 0.2)
    assert told.recommended is not None
    assert told.recommended.gogc == 550


def test_gogc_off_is_told_in_words() -> None:
    off = reading(gogc_lowest=math.inf, gogc_highest=math.inf)
    told = assessed(said=source(readings={"app": off})).assessment.record
    assert told.observed is not None
    assert told.observed.gogc == "off"


def test_a_guard_that_refuses_leaves_the_recommendation() -> None:
    answer = assessed(kept=Kept())
    assert held(answer).reason is Reason.COLLECTING_BASELINE
    assert answer.assessment.proposal is not None
    assert answer.assessment.record.recommended is not None


@pytest.mark.parametrize("readings", [{}, {"app": reading(cpu_cores=math.nan)}])
def test_after_a_break_in_its_figures_nothing_is_written_before_a_full_window_of_them(
    readings: dict[str, Any],
) -> None:
    kept = assessed(said=source(readings=readings)).kept
    for seconds in (15.0, 30.0, 45.0, 60.0):
        answer = assessed(kept=kept, said=source(at=NOW + seconds))
        assert held(answer).reason is Reason.COLLECTING_BASELINE
        kept = answer.kept
    assert planned(assessed(kept=kept, said=source(at=NOW + 75.0))).reason is Reason.GC_COST


@pytest.mark.parametrize(
    ("subject", "said", "reason"),
    [
        (workload(label_mode="off"), source(), Reason.MODE_OFF),
        (workload(label_mode="maybe"), source(), Reason.MODE_INVALID),
        (workload(replicas=0), source(), Reason.NOT_RUNNING),
        (workload(annotations={"profile": "gold"}), source(), Reason.ANNOTATION_INVALID),
        (workload(annotations={"container": "x"}), source(), Reason.CONTAINER_UNCLEAR),
        (CALM, LOST, Reason.SOURCE_UNAVAILABLE),
        (CALM, source(readings={}), Reason.NO_DATA),
        (CALM, source(readings={"app": reading(cpu_cores=math.nan)}), Reason.NOT_FINITE),
        (CALM, source(readings={"app": reading(gogc_lowest=50.0)}), Reason.GOGC_DIFFERS),
        (CALM, source(steady_seconds=1.0), Reason.SOURCE_WARMING),
        (workload(containers=(ROOMY,), label_mode="recommend"), source(), Reason.MODE_RECOMMEND),
        (
            workload(containers=(container(env={GOGC: EnvEntry("100", owners=("helm",))}),)),
            source(),
            Reason.OWNED_BY_OTHER,
        ),
    ],
)
def test_every_other_workload_is_held_with_its_reason(
    subject: Workload, said: SourceState, reason: Reason
) -> None:
    assert held(assessed(subject, said=said)).reason is reason


@pytest.mark.parametrize(
    ("said", "told"), [(LOST, POLICY), (source(steady_seconds=1.0), POLICY), (source(), None)]
)
def test_what_concerns_the_whole_operator_is_not_written_into_a_record(
    said: SourceState, told: Policy | None
) -> None:
    before = record(reason=Reason.AT_TARGET, message="as before")
    answer = assessed(of=before, said=said, told=told or policy(dry_run=True))
    assert held(answer).reason is not Reason.AT_TARGET
    after = answer.assessment.record
    assert (after.reason, after.message) == (Reason.AT_TARGET, "as before")


@pytest.mark.parametrize("label", ["off", "maybe"])
def test_a_workload_that_is_left_alone_keeps_its_record_and_its_trial(label: str) -> None:
    before = record(applied=APPLIED, trial=trial(phase=Phase.MEASURING))
    answer = assessed(workload(label_mode=label), before)
    assert answer.assessment.mode is Mode.OFF
    assert answer.assessment.record.trial == before.trial
    assert answer.kept == WATCHED


def test_each_rate_window_is_added_to_those_before_it() -> None:
    assert len(assessed().kept.windows) == 6
    assert len(assessed(said=LOST).kept.windows) == 5


def test_a_plan_in_the_record_is_taken_up_again() -> None:
    assert planned(assessed(of=record(trial=trial()))) == trial()


@pytest.mark.parametrize(
    ("said", "told", "label", "reason"),
    [
        (LOST, POLICY, "auto", Reason.SOURCE_UNAVAILABLE),
        (source(steady_seconds=1.0), POLICY, "auto", Reason.SOURCE_WARMING),
        (source(), policy(dry_run=True), "auto", Reason.DRY_RUN),
        (source(), POLICY, "recommend", Reason.MODE_RECOMMEND),
        (source(alerts=frozenset({"Burning"})), POLICY, "auto", Reason.ALERT_FIRING),
        (
            source(),
            policy(guards=replace(POLICY.guards, closed=lambda _at: "opens on Monday")),
            "auto",
            Reason.CHANGE_WINDOW,
        ),
    ],
)
def test_a_plan_in_the_record_waits_like_a_new_one(
    said: SourceState, told: Policy, label: str, reason: Reason
) -> None:
    subject = workload(containers=(ROOMY,), label_mode=label)
    answer = assessed(subject, record(trial=trial()), said=said, told=told)
    assert held(answer).reason is reason
    assert answer.assessment.record.trial == trial()


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (workload(annotations={"profile": "gold"}), Reason.ANNOTATION_INVALID),
        (workload(replicas=0, ready_replicas=0), Reason.NOT_RUNNING),
        (
            workload(containers=(container(running=Running(resizing=True)),)),
            Reason.RESIZE_PENDING,
        ),
    ],
)
def test_a_plan_in_the_record_waits_while_nobody_knows_what_is_allowed(
    subject: Workload, reason: Reason
) -> None:
    answer = assessed(subject, record(trial=trial()))
    assert held(answer).reason is reason
    assert answer.assessment.record.trial == trial()


def test_a_plan_that_people_no_longer_allow_is_given_up() -> None:
    answer = assessed(of=record(trial=trial()), override=Override(gogc_highest=150))
    assert answer.ended is not None
    assert answer.ended.detail == "not written: GOGC may be 150 at the most now"
    assert answer.assessment.record.trial is None


@pytest.mark.parametrize("said", [LOST, source(alerts=frozenset({"Burning"}))])
def test_a_rollback_waits_neither_for_the_metrics_nor_for_a_better_time(said: SourceState) -> None:
    ours = workload(containers=(container(env={GOGC: EnvEntry("200", owners=("gc-tuner",))}),))
    assert planned(assessed(ours, record(applied=APPLIED, trial=BACK), said=said)) == BACK


def test_young_pods_of_our_own_change_are_told_as_the_trial() -> None:
    ours = workload(containers=(container(env={GOGC: EnvEntry("200")}),))
    young = reading(without=[Quantity.PODS])
    of = record(applied=APPLIED, trial=trial(phase=Phase.SETTLING))
    answer = assessed(ours, of, said=source(readings={"app": young}))
    assert held(answer).reason is Reason.TRIAL_RUNNING
    assert held(assessed(said=source(readings={"app": young}))).reason is Reason.WARMING_UP


def test_a_trial_that_ends_is_handed_on() -> None:
    of = record(applied=APPLIED, trial=trial(phase=Phase.MEASURING))
    answer = assessed(of=of)
    assert answer.ended is not None
    assert answer.ended.verdict is Verdict.VOID
    assert held(answer).reason is Reason.REVERTED_BY_OTHER


def test_a_change_is_described_with_its_prediction() -> None:
    assert describe(trial()) == "GOGC unset -> 200, predicted CPU -10.0%, memory up to 330 MiB"
    assert describe(BACK).startswith("GOGC 200 -> unset,")


def test_few_cycles_are_averaged_for_the_loops_and_not_for_the_trial() -> None:
    before = (
        believed(at=NOW - 60 * each, gc_share=share, cycles_seen=2.0, cycles_per_second=2 / 60)
        for each, share in zip(range(5, 0, -1), (0.1, 0.3, 0.1, 0.3, 0.1), strict=True)
    )
    few = source(readings={"app": reading(gc_cpu_cores=0.3, gc_cycles_per_second=4 / 60)})
    answer = assessed(kept=Kept(Windows(SETTING, tuple(before), since=NOW - 300)), said=few)
    assert answer.assessment.record.observed is not None
    assert answer.assessment.record.observed.gc_share == pytest.approx(0.22)
    assert planned(answer).change.of(GOGC) is not None
    assert answer.kept.windows.signals[-1].gc_share == pytest.approx(0.3)


# GOMEMLIMIT, danger and kills.


def test_a_service_at_its_target_gets_its_gomemlimit_alone() -> None:
    calm = source(readings={"app": reading(gc_cpu_cores=0.04)})
    before = (believed(at=NOW - 60 * each, gc_share=0.04) for each in range(5, 0, -1))
    small = container(memory_limit_bytes=300 * MIB, memory_request_bytes=300 * MIB)
    of = workload(containers=(small,))
    kept = Kept(Windows(SETTING, tuple(before), since=NOW - 300))
    answer = assessed(of, kept=kept, said=calm)
    plan = planned(answer)
    assert plan.change == Change("app", (backstop("259MiB"),))
    assert (plan.reason, plan.prediction.cpu_saving_ratio) == (Reason.MEMORY_LIMIT, 0.0)
    assert answer.assessment.record.recommended is not None
    assert answer.assessment.record.recommended.memory_limit == "259MiB"


def test_since_when_gomemlimit_is_asked_for_is_kept_until_it_is_another() -> None:
    first = assessed().kept
    assert first.limit_asked == LimitAsked((None, 4096 * MIB), NOW)
    later = source(at=NOW + 15)
    assert assessed(kept=first, said=later).kept.limit_asked == first.limit_asked
    quiet = source(at=NOW + 15, readings={"app": reading(gc_cycles_per_second=0.01)})
    assert assessed(kept=first, said=quiet).kept.limit_asked == first.limit_asked
    given = source(at=NOW + 15, readings={"app": reading(gomemlimit_bytes=3675.0 * MIB)})
    assert assessed(kept=first, said=given).kept.limit_asked is None


def with_running(running: Running, **changes: Any) -> Workload:  # noqa: ANN401  # of container
    return workload(containers=(container(running=running, **changes),))


KILLED = with_running(Running(oom_killed_at=NOW - 60), memory_limit_bytes=235 * MIB)


def test_a_container_that_was_killed_is_taken_to_what_is_safe_without_a_baseline() -> None:
    answer = assessed(KILLED, kept=Kept())
    plan = planned(answer)
    assert plan.reason is Reason.DANGER
    assert int(gogc_after(plan.change) or "") < 100
    assert isinstance(answer.assessment.decision, Apply)
    assert answer.assessment.decision.detail.startswith("the kernel killed a container")


def test_a_kill_is_accounted_for_once_with_the_peak_of_the_setting_it_happened_under() -> None:
    learned = assessed(KILLED).assessment.record.learned
    assert learned == Learned(
        killed_peak_bytes=230 * MIB, killed_limit_bytes=235 * MIB, killed_at=NOW - 60
    )
    larger = source(readings={"app": reading(live_exported_bytes=90.0 * MIB)})
    assert assessed(KILLED, record(learned=learned), said=larger).assessment.record.learned == (
        learned
    )


@pytest.mark.parametrize(
    ("killed_at", "of"),
    [
        pytest.param(NOW - 60, record(applied=applied_gogc("100", at=NOW - 30)), id="before ours"),
        pytest.param(NOW - 3601, record(), id="long ago"),
    ],
)
def test_a_kill_that_says_nothing_of_today_teaches_nothing(killed_at: float, of: Record) -> None:
    env = {GOGC: EnvEntry("100", owners=("gc-tuner",))}
    subject = with_running(Running(oom_killed_at=killed_at), env=env)
    assert assessed(subject, of).assessment.record.learned == Learned()


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param(outcome(Verdict.VOID, at=NOW - 15, reason=Reason.DANGER), id="not written"),
        pytest.param(
            outcome(Verdict.REGRESSED, at=NOW - 15, reason=Reason.MEMORY_LIMIT), id="killed in it"
        ),
    ],
)
def test_a_kill_is_news_until_something_was_written_whatever_trial_ended_since(
    ended: Outcome,
) -> None:
    before = Learned(killed_peak_bytes=230 * MIB, killed_limit_bytes=245 * MIB, killed_at=NOW - 60)
    # Not near its limit any more: the kill is all there is to go by.
    subject = with_running(Running(oom_killed_at=NOW - 60), memory_limit_bytes=245 * MIB)
    answer = assessed(subject, record(learned=before, history=(ended,)))
    assert planned(answer).reason is Reason.DANGER
    assert answer.assessment.record.learned == before, "it is accounted for once"


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(record(applied=applied_gogc("100", at=NOW - 30)), id="written"),
        pytest.param(record(restored_at=NOW - 30), id="taken back"),
        pytest.param(record(reverted_at=NOW - 30), id="taken away by others"),
    ],
)
def test_a_kill_under_a_setting_that_is_no_longer_there_is_no_danger(of: Record) -> None:
    env = {GOGC: EnvEntry("100", owners=("gc-tuner",))}
    subject = with_running(Running(oom_killed_at=NOW - 60), env=env)
    answer = assessed(subject, of)
    assert answer.assessment.proposal is not None
    assert not answer.assessment.proposal.danger
    assert answer.assessment.record.learned == Learned()


@pytest.mark.parametrize("rollout", [Rollout.IN_PROGRESS, Rollout.FAILING])
def test_a_kill_in_the_middle_of_others_rollout_is_not_laid_to_the_setting_before(
    rollout: Rollout,
) -> None:
    """Their GOGC=off is what the kernel killed, and the figures still tell of what was before."""
    answer = assessed(replace(KILLED, rollout=rollout))
    assert answer.assessment.record.learned == Learned()


# What people laid down.


@pytest.mark.parametrize("of", [None, record(trial=trial())], ids=["a new change", "a plan"])
@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (Override(paused=True), Reason.PAUSED),
        (Override(entries=("sale",), frozen=True), Reason.FROZEN),
        (Override(invalid="sale: line 3: odd"), Reason.OVERRIDE_INVALID),
    ],
)
def test_people_stop_what_is_new_and_what_was_planned(
    override: Override, reason: Reason, of: Record | None
) -> None:
    answer = assessed(of=of, override=override)
    assert held(answer).reason is reason
    assert of is None or answer.assessment.record.trial == of.trial


@pytest.mark.parametrize(("immediate", "gogc"), [(False, "200"), (True, "1500")])
def test_a_pin_is_planned_in_peoples_words(gogc: str, *, immediate: bool) -> None:
    pin = Override(entries=("sale",), reason="Weekend", pin_gogc=1500, immediate=immediate)
    answer = assessed(override=pin)
    plan = planned(answer)
    assert (plan.reason, gogc_after(plan.change)) == (Reason.PINNED, gogc)
    assert isinstance(answer.assessment.decision, Apply)
    assert answer.assessment.decision.detail.startswith("as sale has it: ")


def test_a_pin_that_stands_is_a_hold() -> None:
    pin = Override(entries=("sale",), reason="Weekend", pin_gogc=100)
    unlimited = container(memory_limit_bytes=None)
    answer = assessed(workload(containers=(unlimited,)), override=pin)
    assert held(answer).reason is Reason.AT_PIN


def test_a_pinned_gomemlimit_goes_with_the_loops_gogc() -> None:
    pin = Override(entries=("sale",), reason="Weekend", pin_memory_limit_bytes=700 * MIB)
    plan = planned(assessed(override=pin))
    assert plan.change.of(GOMEMLIMIT) == backstop("700MiB")
    assert gogc_after(plan.change) == "200"


def test_peoples_profile_and_set_points_are_the_loops() -> None:
    aims = Override(entries=("sale",), gc_share_target=0.2)
    hold = held(assessed(override=aims))
    assert (hold.reason, "target 20.0%" in hold.detail) == (Reason.AT_TARGET, True)
    assert held(assessed(override=Override(profile="gold"))).reason is Reason.ANNOTATION_INVALID


# What is kept from tick to tick.


def test_the_loops_remember_through_what_is_kept() -> None:
    slow = source(readings={"app": reading(latency_p95_seconds=0.3)})
    kept = assessed(said=slow).kept
    assert kept.states.set_point.at == kept.states.correction.at == NOW
    later = source(at=NOW + 15, readings=slow.readings)
    after = assessed(kept=kept, said=later)
    assert after.kept.states.set_point.ln_offset < kept.states.set_point.ln_offset


def test_the_latency_loop_stands_still_during_a_trial() -> None:
    ours = workload(containers=(container(env={GOGC: EnvEntry("200", owners=("gc-tuner",))}),))
    of = record(applied=APPLIED, trial=trial(phase=Phase.MEASURING, pods=2))
    slow = reading(latency_p95_seconds=0.3, gogc_lowest=200.0, gogc_highest=200.0)
    answer = assessed(ours, of, said=source(readings={"app": slow}))
    assert held(answer).reason is Reason.TRIAL_RUNNING
    assert answer.kept.states.set_point.at is None


def test_the_latency_loop_stands_still_until_the_next_attempt_at_what_was_not_written() -> None:
    refused = record(history=(outcome(Verdict.VOID, at=NOW - 15),), unwritten=1)
    slow = reading(latency_p95_seconds=0.3)
    answer = assessed(of=refused, said=source(readings={"app": slow}))
    assert held(answer).reason is Reason.COOLDOWN
    assert answer.kept.states.set_point.at is None


def test_an_outage_leaves_what_is_kept_as_it_is() -> None:
    assert assessed(said=LOST).kept == WATCHED


def test_windows_of_another_go_release_or_gomemlimit_are_not_comparable() -> None:
    for odd in (reading(go_version=1_026_008.0), reading(gomemlimit_bytes=700.0 * MIB)):
        assert len(assessed(said=source(readings={"app": odd})).kept.windows) == 1


def test_a_kill_on_the_way_back_is_not_laid_to_the_setting_that_came_back() -> None:
    """The last pods of a change can be killed while their rollback is under way."""
    subject = with_running(Running(oom_killed_at=NOW - 60))
    back = assessed(subject, record(restored_at=NOW - 30)).assessment
    assert back.record.learned.killed_peak_bytes is None
    assert back.decision.reason is not Reason.DANGER
    at_rest = assessed(subject, record(restored_at=NOW - 90)).assessment
    assert at_rest.record.learned.killed_at == NOW - 60
