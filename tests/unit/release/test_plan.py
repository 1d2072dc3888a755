from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.examples import NOW, OURS, container, moved, outcome, policy, record, trial, workload
from tuner.model.override import NONE, Override
from tuner.model.reason import Reason
from tuner.model.record import Applied, AppliedSetting, Barrier, Record, Verb
from tuner.model.trial import Change, Phase, Setting, Verdict
from tuner.model.workload import EnvEntry, LiveChannel, Rollout, Workload
from tuner.release.plan import Plan, Refusal, Terms, plan

THEIRS = EnvEntry("200", owners=("helm",))
BOTH = Applied(
    "app",
    (AppliedSetting("GOGC", "200", None), AppliedSetting("GOMEMLIMIT", "900MiB", "700MiB")),
    NOW - 60,
)
LIVE = LiveChannel("cart-gc", "7")


def cart(
    env: Mapping[str, EnvEntry],
    **changes: Any,  # noqa: ANN401 - of the workload
) -> Workload:
    """In mode recommend: nobody sets anything again."""
    return workload(**{"containers": (container(env=env),), "label_mode": "recommend"} | changes)


def ours(**values: str) -> dict[str, EnvEntry]:
    return {name: replace(OURS, value=value) for name, value in values.items()}


def planned(
    subject: Workload, of: Record | None, override: Override = NONE, *, stopped: bool = False
) -> Plan | Refusal:
    return plan(subject, of, override, Terms(policy(), stopped), NOW)


def released(subject: Workload, of: Record | None) -> Plan:
    found = planned(subject, of)
    assert isinstance(found, Plan), found
    return found


def refused(
    subject: Workload, of: Record | None, override: Override = NONE, *, stopped: bool = False
) -> str:
    found = planned(subject, of, override, stopped=stopped)
    assert isinstance(found, Refusal), found
    return found.why


def test_all_that_was_written_goes_back_in_one_change_and_out_of_the_record() -> None:
    found = released(cart(ours(GOGC="200", GOMEMLIMIT="900MiB")), record(applied=BOTH))
    assert found.change == Change(
        "app", (Setting("GOGC", "200", None), Setting("GOMEMLIMIT", "900MiB", "700MiB"))
    )
    assert found.left == ()
    assert found.restarts
    assert found.record == record(
        decision=Verb.APPLY,
        reason=Reason.ROLLBACK,
        message=f"released on request: {found.change}",
        restored_at=NOW,
    )


def test_what_was_learned_and_what_came_of_trials_stays_on_record() -> None:
    known = record(applied=BOTH, history=(outcome(),), reverts=2)
    found = released(cart(ours(GOGC="200", GOMEMLIMIT="900MiB")), known)
    assert found.record is not None
    assert (found.record.history, found.record.reverts) == (known.history, 2)


def test_a_value_that_somebody_took_over_is_left_and_named() -> None:
    env = {"GOGC": replace(THEIRS, value="150"), **ours(GOMEMLIMIT="900MiB")}
    found = released(cart(env), record(applied=BOTH))
    assert found.change == Change("app", (Setting("GOMEMLIMIT", "900MiB", "700MiB"),))
    assert found.left == ("GOGC reads 150, gc-tuner wrote 200",)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (THEIRS, "GOGC=200 belongs to helm: take it out of that manifest"),
        (EnvEntry("200", owners=("gc-tuner", "helm")), "belongs to helm"),
        (EnvEntry(None, owners=("helm",)), "GOGC reads a valueFrom, gc-tuner wrote 200"),
        (EnvEntry("200", count=2, owners=("gc-tuner",)), "GOGC is listed 2 times"),
    ],
)
def test_an_entry_that_is_not_ours_alone_is_left_whatever_it_reads(
    entry: EnvEntry, words: str
) -> None:
    of = record(applied=Applied("app", BOTH.settings[:1], NOW))
    found = released(cart({"GOGC": entry}), of)
    assert found.change is None
    assert words in found.left[0]
    assert found.record is not None
    assert found.record.applied is None


def test_an_entry_that_gc_tuner_alone_owns_is_ours_whatever_the_record_has_missed() -> None:
    of = record(applied=Applied("app", BOTH.settings[:1], NOW))
    found = released(cart(ours(GOGC="400")), of)
    assert found.change == moved("400", None)


def test_what_already_reads_as_before_is_not_written_again() -> None:
    """So a release that was cut short between patch and record is ended by the next."""
    found = released(cart({"GOMEMLIMIT": EnvEntry("700MiB")}), record(applied=BOTH))
    assert found.change is None
    assert found.left == ()
    assert found.record is not None
    assert (found.record.applied, found.record.restored_at) == (None, None)
    assert released(cart({}), found.record).idle


def test_a_container_that_is_gone_took_the_values_with_it() -> None:
    found = released(cart({}, containers=(container(name="other"),)), record(applied=BOTH))
    assert found.change is None
    assert found.left[0] == "GOGC: gc-tuner wrote 200, and its container is gone"


def test_a_plan_that_was_written_before_the_record_knew_is_taken_back() -> None:
    of = record(trial=trial(change=moved(None, "200")))
    found = released(cart(ours(GOGC="200")), of)
    assert found.change == moved("200", None)
    assert found.record is not None
    assert found.record.trial is None


def test_a_plan_that_was_never_written_is_dropped() -> None:
    found = released(cart({}), record(trial=trial()))
    assert found.change is None
    assert found.record is not None
    assert found.record.trial is None
    assert found.record.history[0].detail == "not written: released on request"


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING])
def test_a_trial_under_way_ends_as_void(phase: Phase) -> None:
    of = record(applied=BOTH, trial=trial(phase=phase))
    found = released(cart(ours(GOGC="200", GOMEMLIMIT="900MiB")), of)
    assert found.record is not None
    assert found.record.trial is None
    assert found.record.history[0].verdict is Verdict.VOID
    assert found.record.history[0].detail == "released on request"


def test_threshold_and_settings_of_a_live_channel_go_back_together_and_restart_nothing() -> None:
    subject = cart(ours(GOGC="200", GOMEMLIMIT="900MiB", BARRIER="48"), live=LIVE)
    found = released(subject, record(applied=BOTH, barrier=Barrier(64, "100", NOW)))
    assert found.change is not None
    assert found.change.of("BARRIER") == Setting("BARRIER", "48", "100")
    assert len(found.change.settings) == 3
    assert not found.restarts
    assert found.record is not None
    assert found.record.barrier is None


def test_a_threshold_alone_goes_back_to_the_container_that_is_fed() -> None:
    two = (container(name="side"), container(env=ours(BARRIER="64")))
    subject = cart({}, containers=two, live=LIVE, annotations={"container": "app"})
    found = released(subject, record(barrier=Barrier(64, None, NOW)))
    assert found.change == moved("64", None, "BARRIER")


def test_a_live_channel_that_cannot_be_written_is_told() -> None:
    lost = replace(LIVE, trouble="ConfigMap shop/cart-gc: not found")
    of = record(applied=Applied("app", (AppliedSetting("GOGC", "200", "150"),), NOW))
    # Nothing of a ConfigMap that is no longer gc-tuner's to read is shown.
    assert refused(cart({}, live=lost), of) == lost.trouble
    assert refused(cart({}, live=lost), record(barrier=Barrier(64, None, NOW))) == lost.trouble


def test_a_record_that_was_begun_anew_does_not_hide_a_value_in_our_name() -> None:
    why = refused(cart(ours(GOGC="200")), record())
    assert "GOGC=200" in why
    assert "by hand" in why


def test_mode_auto_is_refused_and_told_what_to_do_first() -> None:
    subject = cart(ours(GOGC="200"), label_mode="auto")
    why = refused(subject, record(applied=BOTH))
    assert all(each in why for each in ("recommend or off", "pause or freeze", "--stopped"))
    # A plan of a gc-tuner that runs is its own business, too.
    assert refused(cart({}, label_mode="auto"), record(trial=trial())) == why


@pytest.mark.parametrize(
    ("changes", "override", "stopped"),
    [
        ({"label_mode": "recommend"}, NONE, False),
        ({"label_mode": "off"}, NONE, False),
        ({"label_mode": None}, NONE, False),
        ({"label_mode": "bogus"}, NONE, False),
        ({"label_mode": "auto"}, Override(paused=True), False),
        ({"label_mode": "auto"}, Override(frozen=True), False),
        ({"label_mode": "auto"}, NONE, True),
    ],
)
def test_a_workload_that_nobody_tunes_at_the_moment_is_released(
    changes: dict[str, Any], override: Override, stopped: bool
) -> None:
    subject = cart(ours(GOGC="200"), **changes)
    assert isinstance(planned(subject, record(applied=BOTH), override, stopped=stopped), Plan)


def test_overrides_that_cannot_be_read_stop_nobody_for_sure() -> None:
    subject = cart(ours(GOGC="200"), label_mode="auto")
    assert refused(subject, record(applied=BOTH), Override(invalid="not listed yet"))


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        (Rollout.IN_PROGRESS, "a rollout is in progress: 1 of 2 pods ready; try again"),
        (Rollout.PAUSED, "the rollout is paused"),
        (Rollout.FAILING, "past its progress deadline"),
    ],
)
def test_a_rollout_of_somebody_else_is_waited_for(rollout: Rollout, words: str) -> None:
    subject = cart(ours(GOGC="200"), rollout=rollout, ready_replicas=1)
    assert words in refused(subject, record(applied=BOTH))
    others = trial(phase=Phase.ROLLING_OUT, template_digest="another")
    assert words in refused(subject, record(applied=BOTH, trial=others))
    assert isinstance(planned(replace(subject, live=LIVE), record(applied=BOTH)), Plan)


def test_our_own_rollout_is_taken_back_without_waiting() -> None:
    subject = cart(ours(GOGC="200"), rollout=Rollout.FAILING)
    assert released(subject, record(applied=BOTH, trial=trial(phase=Phase.ROLLING_OUT))).restarts


def test_a_record_of_nothing_done_is_left_alone() -> None:
    found = released(cart({}), record(history=(outcome(),)))
    assert found.idle
    assert found.record is None


def test_a_change_cause_of_ours_is_something_to_do() -> None:
    assert not released(cart({}, change_cause="gc-tuner: GOGC"), record()).idle
    assert released(cart({}, change_cause="release 7"), record()).idle


def test_a_value_in_our_name_that_no_record_tells_of_is_named_and_left() -> None:
    assert "GOGC=200 of container 'app' stands there" in refused(cart(ours(GOGC="200")), None)
    assert released(cart({"GOGC": THEIRS}), None).idle
