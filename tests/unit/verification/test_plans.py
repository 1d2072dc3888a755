"""A plan that is found in the record: its write was cut short, and may or may not have happened."""

import pytest

from tests.examples import (
    NOW,
    OURS,
    applied_gogc,
    container,
    moved,
    policy,
    record,
    trial,
    workload,
    workload_with,
)
from tuner.model.reason import Reason
from tuner.model.record import Applied, AppliedSetting, Record
from tuner.model.trial import Change, Phase, Setting, Verdict
from tuner.model.workload import GOGC, GOMEMLIMIT, EnvEntry, Workload
from tuner.verification import Progress, View, Windows, abandoned, advance, patched

PLANNED = record(trial=trial())
BACK = trial(change=moved("200", None), reason=Reason.ROLLBACK, baseline=None)
APPLIED = applied_gogc("200", at=NOW - 900)
BOTH = trial(
    change=Change("app", (Setting(GOGC, None, "200"), Setting(GOMEMLIMIT, None, "900MiB")))
)


def found(of: Record, subject: Workload, now: float = NOW + 10) -> Progress:
    return advance(of, View(now, subject, None, Windows(), policy()))


def test_a_plan_that_was_carried_out_is_rolling_out() -> None:
    after = found(PLANNED, workload_with("200")).record
    assert after.trial == trial(phase=Phase.ROLLING_OUT, phase_at=NOW + 10)
    assert after.applied == applied_gogc("200", at=NOW + 10)


def test_a_plan_that_was_not_carried_out_stays_a_plan() -> None:
    assert found(PLANNED, workload()) == Progress(PLANNED)


@pytest.mark.parametrize(
    ("subject", "now", "words"),
    [
        (workload_with("150"), NOW + 10, "GOGC was changed by someone else"),
        (workload(template_digest="other"), NOW + 10, "the pod template changed"),
        (workload(containers=(container(name="other"),)), NOW + 10, "the pod template changed"),
        (workload(), NOW + 301, "too old"),
    ],
)
def test_a_plan_that_no_longer_fits_is_void(subject: Workload, now: float, words: str) -> None:
    progress = found(PLANNED, subject, now)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.VOID
    assert words in progress.ended.detail
    assert progress.record.trial is None
    assert progress.record.applied is None
    assert progress.record.history == (progress.ended,)


def test_a_plan_as_old_as_allowed_is_good() -> None:
    assert found(PLANNED, workload(), NOW + 300) == Progress(PLANNED)


def test_a_carried_out_plan_is_taken_up_however_old_it_is() -> None:
    after = found(PLANNED, workload_with("200"), NOW + 9000).record
    assert after.trial is not None
    assert after.trial.phase is Phase.ROLLING_OUT


def test_a_carried_out_plan_under_another_template_keeps_what_is_applied_and_ends_void() -> None:
    deployed = workload_with("200", template_digest="other")
    taken_up = found(PLANNED, deployed).record
    progress = found(taken_up, deployed, NOW + 25)
    assert progress.record.applied == applied_gogc("200", at=NOW + 10)
    assert progress.record.trial is None
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.VOID
    assert progress.ended.detail == "the pod template changed"


def test_the_value_before_the_first_change_is_kept_over_the_next() -> None:
    second = trial(change=moved("200", "330"))
    after = patched(record(applied=APPLIED, trial=second), second, NOW)
    assert after.applied == applied_gogc("330")


def test_the_value_that_stood_there_before_is_remembered() -> None:
    first = trial(change=moved("100", "200"))
    after = patched(record(trial=first), first, NOW)
    assert after.applied == applied_gogc("200", "100")


def test_a_rollback_to_what_stood_there_first_leaves_nothing_of_ours() -> None:
    after = patched(record(applied=APPLIED, trial=BACK), BACK, NOW)
    assert after.applied is None
    assert after.trial is not None
    assert after.trial.phase is Phase.ROLLING_OUT


def test_a_rollback_of_the_second_change_returns_to_the_first() -> None:
    back = trial(change=moved("330", "200"), reason=Reason.ROLLBACK)
    second = applied_gogc("330", at=NOW - 900)
    after = patched(record(applied=second, trial=back), back, NOW)
    assert after.applied == applied_gogc("200")


def test_a_rollback_that_removed_the_entry_is_recognised() -> None:
    after = found(record(applied=APPLIED, trial=BACK), workload()).record
    assert after.applied is None
    assert after.trial is not None
    assert after.trial.phase is Phase.ROLLING_OUT


def test_a_rollback_that_was_not_written_keeps_what_is_applied() -> None:
    of = record(applied=APPLIED, trial=BACK)
    assert found(of, workload_with("200")) == Progress(of)


def test_a_rollback_that_was_not_written_does_not_expire() -> None:
    of = record(applied=APPLIED, trial=BACK)
    assert found(of, workload_with("200"), NOW + 90_000) == Progress(of)


def test_an_abandoned_plan_ends_void_with_its_reason() -> None:
    progress = abandoned(PLANNED, trial(), workload(), NOW, "the API server refused it")
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.VOID
    assert progress.ended.detail == "not written: the API server refused it"
    assert progress.ended.measured_saving_ratio is None
    assert progress.record.trial is None


def test_what_a_webhook_rewrote_is_not_ours_any_more_and_the_rest_is() -> None:
    both = (
        AppliedSetting(GOGC, "200", None),
        AppliedSetting(GOMEMLIMIT, "700MiB", None),
    )
    plan = trial(
        change=Change("app", (Setting(GOGC, "200", "400"), Setting(GOMEMLIMIT, "700MiB", "800MiB")))
    )
    env = {
        GOGC: EnvEntry("300", owners=("webhook",)),
        GOMEMLIMIT: EnvEntry("800MiB", owners=("gc-tuner",)),
    }
    subject = workload(containers=(container(env=env),))
    of = record(applied=Applied("app", both, NOW - 900), trial=plan)
    after = found(of, subject).record
    assert after.applied is not None
    assert after.applied.settings == (AppliedSetting(GOMEMLIMIT, "800MiB", None),)
    assert found(after, subject).record.reverts == 0


def test_of_a_rollback_that_was_written_in_part_that_part_is_undone() -> None:
    both = (AppliedSetting(GOGC, "200", None), AppliedSetting(GOMEMLIMIT, "700MiB", None))
    back = trial(
        change=Change("app", (Setting(GOGC, "200", None), Setting(GOMEMLIMIT, "700MiB", None))),
        reason=Reason.ROLLBACK,
    )
    env = {GOMEMLIMIT: EnvEntry("500MiB", owners=("webhook",))}
    of = record(applied=Applied("app", both, NOW - 900), trial=back)
    after = found(of, workload(containers=(container(env=env),))).record
    assert after.applied is None
    assert after.trial is not None
    assert after.trial.change.settings == (Setting(GOGC, "200", None),)


@pytest.mark.parametrize("limit", [None, "500MiB"], ids=["dropped", "rewritten"])
def test_of_a_plan_that_was_written_in_part_that_part_is_tried(limit: str | None) -> None:
    env = {GOGC: OURS}
    if limit is not None:
        env[GOMEMLIMIT] = EnvEntry(limit, owners=("gc-tuner",))
    after = found(record(trial=BOTH), workload(containers=(container(env=env),))).record
    assert after.applied == applied_gogc("200", at=NOW + 10)
    assert after.trial is not None
    assert after.trial.phase is Phase.ROLLING_OUT
    assert after.trial.change == moved(None, "200"), "a rollback leaves the rest alone"


def test_a_value_that_somebody_else_wrote_is_no_part_of_a_plan() -> None:
    theirs = container(env={GOGC: EnvEntry("200", owners=("helm",))})
    progress = found(record(trial=BOTH), workload(containers=(theirs,)))
    assert progress.record.applied is None
    assert progress.ended is not None


def test_what_of_an_abandoned_plan_stands_is_kept_on_record_with_what_stood_there_before() -> None:
    progress = abandoned(PLANNED, trial(), workload_with("200"), NOW, "the label changed")
    assert progress.record.applied == applied_gogc("200")
    assert progress.record.trial is None
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.VOID
    assert progress.ended.detail == "the label changed; written before: GOGC unset -> 200"
