"""A trial in which pods are killed or crash, pods that come and go, and the live channel."""

from dataclasses import replace
from typing import Any

import pytest

from tests.examples import (
    MIB,
    NOW,
    applied_gogc,
    container,
    moved,
    policy,
    record,
    signals,
    trial,
    workload,
)
from tuner.model.reason import Reason
from tuner.model.record import Applied, AppliedSetting, Learned, Record
from tuner.model.signals import Signals
from tuner.model.trial import Change, Outcome, Phase, Setting, Trial, Verdict
from tuner.model.workload import (
    GOGC,
    GOMEMLIMIT,
    EnvEntry,
    Kind,
    LiveChannel,
    Rollout,
    Running,
    Workload,
    WorkloadKey,
)
from tuner.verification import Progress, View, Windows, advance
from tuner.verification.progress import FRESH_STARTS, KEPT, TAKE_UP_SECONDS

APPLIED = applied_gogc("200")
LATER = [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING]
KILLED = Running(oom_killed_at=NOW + 50, memory_limit_bytes=512 * MIB)
CRASHING = Running(crashing_pods=1)
WAITING = Phase.ROLLING_OUT


def having(running: Running = Running(), **changes: Any) -> Workload:  # noqa: ANN401 B008
    """The workload with GOGC 200 in it."""
    env = {GOGC: EnvEntry("200", owners=("gc-tuner",))}
    return workload(containers=(container(env=env, running=running),), **changes)


def under(phase: Phase, **changes: Any) -> Record:  # noqa: ANN401  # handed to trial
    return record(applied=APPLIED, trial=trial(phase=phase, **({"pods": 2} | changes)))


def seen(
    of: Record,
    subject: Workload,
    *,
    now: float = NOW + 100,
    newest: Signals | None = None,
    windows: tuple[Signals, ...] = (),
    warming: bool = False,
) -> Progress:
    view = View(now, subject, newest, Windows((), windows), policy(), warming=warming)
    return advance(of, view)


def ended(progress: Progress) -> Outcome:
    assert progress.ended is not None
    return progress.ended


def planned_back(progress: Progress) -> Trial:
    """The rollback that is planned."""
    back = progress.record.trial
    assert back is not None
    assert (back.reason, back.phase) == (Reason.ROLLBACK, Phase.PLANNED)
    return back


@pytest.mark.parametrize("phase", LATER)
def test_a_rise_under_which_the_kernel_kills_is_taken_back_at_once(phase: Phase) -> None:
    progress = seen(under(phase), having(KILLED))
    assert ended(progress).verdict is Verdict.REGRESSED
    assert "killed" in ended(progress).detail
    assert planned_back(progress).change == moved("200", None)


@pytest.mark.parametrize(
    ("before", "after", "undone"),
    [
        pytest.param(None, "200MiB", False, id="the first limit stays"),
        pytest.param("240MiB", "200MiB", False, id="a tighter limit stays"),
        pytest.param("160MiB", "200MiB", True, id="a wider limit goes back"),
        pytest.param("off", "200MiB", False, id="off is no limit"),
        pytest.param("much", "200MiB", False, id="what Go would not have read"),
    ],
)
def test_no_kill_takes_a_backstop_away(before: str | None, after: str, *, undone: bool) -> None:
    limit = Setting(GOMEMLIMIT, before, after)
    both = Change("app", (Setting(GOGC, None, "200"), limit))
    back = planned_back(seen(under(Phase.MEASURING, change=both), having(KILLED))).change
    assert back.of(GOGC) == Setting(GOGC, "200", None)
    assert back.of(GOMEMLIMIT) == (Setting(GOMEMLIMIT, after, before) if undone else None)


def test_a_kill_under_a_first_backstop_alone_takes_nothing_back() -> None:
    alone = moved(None, "200MiB", name=GOMEMLIMIT)
    progress = seen(under(Phase.MEASURING, change=alone), having(KILLED))
    assert ended(progress).verdict is Verdict.REGRESSED
    assert progress.record.trial is None
    assert progress.record.restored_at is None


def test_a_kill_teaches_the_peak_that_was_predicted_and_the_limit_in_force() -> None:
    learned = seen(under(Phase.SETTLING), having(KILLED)).record.learned
    assert learned == Learned(
        killed_peak_bytes=330 * MIB, killed_limit_bytes=512 * MIB, killed_at=NOW + 50
    )


@pytest.mark.parametrize(
    "reason", [Reason.MEMORY_CEILING, Reason.MEMORY_LIMIT, Reason.DANGER, Reason.PINNED]
)
def test_a_kill_under_what_took_no_more_memory_ends_the_trial_and_keeps_the_value(
    reason: Reason,
) -> None:
    progress = seen(under(Phase.MEASURING, reason=reason), having(KILLED))
    assert ended(progress).verdict is Verdict.REGRESSED
    assert progress.record.trial is None
    assert progress.record.applied == APPLIED
    assert progress.record.learned.killed_at == NOW + 50


@pytest.mark.parametrize("reason", [Reason.MEMORY_CEILING, Reason.MEMORY_LIMIT, Reason.DANGER])
def test_a_kill_while_pods_are_replaced_for_their_memory_is_the_old_ones(reason: Reason) -> None:
    under_way = under(Phase.ROLLING_OUT, reason=reason)
    rolling = seen(under_way, having(KILLED, rollout=Rollout.IN_PROGRESS))
    assert rolling.ended is None
    assert rolling.record.learned == Learned()
    # A new one's is still told of when all are new.
    complete = seen(under(Phase.SETTLING, reason=reason), having(KILLED))
    assert ended(complete).verdict is Verdict.REGRESSED


TOO_YOUNG = 421.0
"""Seconds: more than growing up for two minutes, and judging for five more, take."""
DYING = Running(oom_killed_at=NOW + 410, restarts=2)


def never_old(
    subject: Workload | None = None,
    of: Record | None = None,
    *,
    passed: float = TOO_YOUNG,
    lost_at: float | None = NOW - 60,
    warming: bool = True,
) -> Progress:
    """What comes of pods that nobody sees, outside of a trial, since GOGC 200 was written."""
    of = of or record(applied=applied_gogc("200", at=NOW))
    kept, subject = Windows(lost_at=lost_at), subject or having(DYING)
    return advance(of, View(NOW + passed, subject, None, kept, policy(), warming=warming))


def test_pods_that_are_killed_before_they_can_be_seen_get_back_what_took_less_memory() -> None:
    assert planned_back(never_old()).change == moved("200", None)


def test_a_backstop_stays_where_pods_are_killed_before_they_can_be_seen() -> None:
    settings = (AppliedSetting(GOGC, "200", "150"), AppliedSetting(GOMEMLIMIT, "900MiB", None))
    env = {each.name: EnvEntry(each.value, owners=("gc-tuner",)) for each in settings}
    subject = workload(containers=(container(env=env, running=DYING),))
    of = record(applied=Applied("app", settings, NOW))
    back = planned_back(never_old(subject, of))
    assert back.change == moved("200", "150")


@pytest.mark.parametrize(
    "about",
    [
        pytest.param({"passed": 420.0}, id="they may grow old yet"),
        pytest.param({"lost_at": NOW + 60}, id="they were seen lately"),
        pytest.param({"lost_at": None}, id="they are seen"),
        pytest.param({"warming": False}, id="that they are young is not why nothing is seen"),
        pytest.param({"subject": having(Running(restarts=2))}, id="they end by themselves"),
        pytest.param(
            {"subject": having(replace(DYING, oom_killed_at=NOW - 1))},
            id="killed before our change",
        ),
        pytest.param({"subject": having(replace(DYING, restarts=1))}, id="killed once"),
        pytest.param({"of": record()}, id="nothing of ours"),
        pytest.param({"of": record(applied=applied_gogc("200", "300", NOW))}, id="ours takes less"),
    ],
)
def test_pods_that_are_too_young_to_be_seen_are_left_where(about: dict[str, Any]) -> None:
    assert never_old(**about).record.trial is None


def test_a_kill_before_the_change_is_not_the_changes() -> None:
    before = Running(oom_killed_at=NOW - 1)
    progress = seen(under(Phase.MEASURING), having(before), newest=signals())
    assert progress.ended is None
    assert progress.record.learned == Learned()


@pytest.mark.parametrize(
    ("kind", "rollout", "passed", "taken_back"),
    [
        (Kind.STATEFUL_SET, Rollout.IN_PROGRESS, 7201, True),
        (Kind.STATEFUL_SET, Rollout.IN_PROGRESS, 7199, False),
        # Its controller says itself when it is late, and does nothing while it is paused.
        (Kind.DEPLOYMENT, Rollout.IN_PROGRESS, 9999, False),
        (Kind.STATEFUL_SET, Rollout.PAUSED, 9999, False),
    ],
)
def test_a_stateful_set_that_replaces_no_pod_in_an_hour_each_is_stuck(
    kind: Kind, rollout: Rollout, passed: float, *, taken_back: bool
) -> None:
    subject = having(key=WorkloadKey("shop", kind, "cart"), rollout=rollout, replicas=2)
    progress = seen(under(WAITING, phase_at=NOW), subject, now=NOW + passed)
    assert (progress.ended is not None) is taken_back
    if taken_back:
        assert planned_back(progress).change == moved("200", None)


@pytest.mark.parametrize("reason", [Reason.GC_COST, Reason.MEMORY_CEILING, Reason.MEMORY_LIMIT])
@pytest.mark.parametrize("phase", LATER)
def test_a_change_whose_pods_crash_is_taken_back_at_once(phase: Phase, reason: Reason) -> None:
    progress = seen(under(phase, reason=reason), having(CRASHING))
    assert ended(progress).verdict is Verdict.REGRESSED
    assert "crash" in ended(progress).detail
    assert planned_back(progress).change == moved("200", None)


@pytest.mark.parametrize("reason", sorted(KEPT))
@pytest.mark.parametrize("phase", LATER)
def test_peoples_word_and_memory_safety_are_kept_while_pods_crash(
    phase: Phase, reason: Reason
) -> None:
    progress = seen(under(phase, reason=reason), having(CRASHING), newest=signals())
    assert progress.record.trial is None or progress.record.trial.reason is reason
    assert progress.record.applied == APPLIED


@pytest.mark.parametrize("reason", sorted(KEPT))
def test_peoples_word_and_memory_safety_are_kept_when_their_rollout_fails(reason: Reason) -> None:
    progress = seen(under(WAITING, reason=reason), having(rollout=Rollout.FAILING))
    assert ended(progress).verdict is Verdict.REGRESSED
    assert progress.record.trial is None
    assert progress.record.applied == APPLIED


@pytest.mark.parametrize(("reason", "kept"), [(Reason.GC_COST, False), (Reason.PINNED, True)])
def test_pods_that_never_grow_old_after_a_change_are_harm(reason: Reason, *, kept: bool) -> None:
    # Warm-up and one rate window to grow up, and five rate windows to be judged.
    of = under(Phase.SETTLING, reason=reason)
    young = {"subject": having(), "warming": True}
    assert seen(of, now=NOW + 420, **young) == Progress(of)  # type: ignore[arg-type] # of seen
    progress = seen(of, now=NOW + 421, **young)  # type: ignore[arg-type] # as above
    assert ended(progress).verdict is Verdict.REGRESSED
    assert "again and again" in ended(progress).detail
    assert (progress.record.trial is None) is kept


def test_figures_that_are_only_missing_are_waited_out() -> None:
    of = under(Phase.SETTLING)
    assert seen(of, having(), now=NOW + 86_400) == Progress(of)


WORSE = tuple(signals(at=NOW + 60 * each, cpu_cores=2.0, pods=100) for each in range(1, 6))


@pytest.mark.parametrize("reason", sorted(KEPT))
def test_peoples_word_and_memory_safety_are_judged_once_and_kept(reason: Reason) -> None:
    of = under(Phase.MEASURING, reason=reason, pods=100)
    progress = seen(of, having(), now=NOW + 300, newest=WORSE[-1], windows=WORSE)
    expected = Verdict.REGRESSED if reason is Reason.PINNED else Verdict.NO_EFFECT
    assert ended(progress).verdict is expected
    assert progress.record.trial is None
    assert progress.record.applied == APPLIED


# Pods that come and go.


def test_a_changed_number_of_pods_begins_the_measuring_anew() -> None:
    progress = seen(under(Phase.MEASURING), having(), now=NOW + 200, newest=signals(pods=3))
    again = progress.record.trial
    assert progress.ended is None
    assert again is not None
    assert (again.phase, again.phase_at, again.pods) == (Phase.MEASURING, NOW + 200, 3)
    assert again.fresh_starts == 1


def test_a_ready_pod_whose_scrape_failed_changes_no_number_of_pods() -> None:
    of = under(Phase.MEASURING, pods=2)
    windows = (signals(at=NOW + 60, pods=2),)
    lacking = signals(at=NOW + 120, pods=1)
    assert seen(of, having(), now=NOW + 120, newest=lacking, windows=windows) == Progress(of)
    fewer = having(ready_replicas=1)
    moved = seen(of, fewer, now=NOW + 120, newest=lacking, windows=windows).record.trial
    assert moved is not None
    assert (moved.pods, moved.fresh_starts) == (1, 1)


def test_windows_over_another_number_of_pods_do_not_count() -> None:
    of = under(Phase.MEASURING, pods=100, phase_at=NOW + 200, fresh_starts=1)
    assert seen(of, having(), now=NOW + 300, newest=WORSE[-1], windows=WORSE) == Progress(of)


def test_a_number_of_pods_that_will_not_rest_makes_the_trial_void() -> None:
    of = under(Phase.MEASURING)
    for pods in range(3, 3 + FRESH_STARTS):
        of = seen(of, having(), newest=signals(pods=pods)).record
        assert of.trial is not None
    progress = seen(of, having(), newest=signals(pods=2))
    assert ended(progress).verdict is Verdict.VOID
    assert "number of pods" in ended(progress).detail
    assert progress.record.applied == APPLIED


def test_the_number_of_pods_that_counts_is_that_of_when_measuring_begins() -> None:
    settled = seen(under(Phase.SETTLING, pods=0), having(), now=NOW + 120, newest=signals(pods=5))
    assert settled.record.trial is not None
    assert settled.record.trial.pods == 5


# The live channel.

LIVE = having(live=LiveChannel("cart"))


def taking_up(newest: Signals | None, passed: float, of: Record | None = None) -> Progress:
    return seen(of or under(WAITING), LIVE, now=NOW + passed, newest=newest)


def phase_of(progress: Progress) -> Phase:
    assert progress.record.trial is not None
    return progress.record.trial.phase


@pytest.mark.parametrize(
    "newest",
    [
        pytest.param(signals(gogc=100.0), id="the old value"),
        pytest.param(signals(gogc=200.0, gogc_uniform=False), id="some pods only"),
        pytest.param(None, id="no figures"),
    ],
)
def test_a_live_change_is_waited_for_until_all_pods_show_it(newest: Signals | None) -> None:
    assert phase_of(taking_up(newest, TAKE_UP_SECONDS)) is WAITING
    late = taking_up(newest, TAKE_UP_SECONDS + 1)
    assert ended(late).verdict is Verdict.VOID
    assert "do not take the values up" in ended(late).detail


def test_a_live_change_settles_once_all_pods_show_it() -> None:
    progress = taking_up(signals(gogc=200.0), 60)
    assert phase_of(progress) is Phase.SETTLING


def test_a_live_change_needs_no_warm_up() -> None:
    of = under(Phase.SETTLING)
    shown = signals(gogc=200.0)
    assert phase_of(taking_up(shown, 59, of)) is Phase.SETTLING
    assert phase_of(taking_up(shown, 60, of)) is Phase.MEASURING


BOTH = Change("app", (Setting(GOGC, None, "200"), Setting(GOMEMLIMIT, None, "900MiB")))


@pytest.mark.parametrize(
    ("gogc", "limit_bytes", "phase"),
    [
        (200.0, 900.0 * MIB, Phase.SETTLING),
        (200.0, 901.0 * MIB, WAITING),
        (200.0, None, WAITING),
        (100.0, 900.0 * MIB, WAITING),
    ],
)
def test_a_live_change_of_both_is_in_force_when_both_are(
    gogc: float, limit_bytes: float | None, phase: Phase
) -> None:
    settings = (AppliedSetting(GOGC, "200", None), AppliedSetting(GOMEMLIMIT, "900MiB", None))
    given = {GOGC: EnvEntry("200"), GOMEMLIMIT: EnvEntry("900MiB")}
    subject = replace(LIVE, containers=(container(env=given),))
    of = record(applied=Applied("app", settings, NOW), trial=trial(phase=WAITING, change=BOTH))
    newest = signals(gogc=gogc, gomemlimit_bytes=limit_bytes)
    assert phase_of(seen(of, subject, now=NOW + 60, newest=newest)) is phase


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(Setting(GOGC, "200", None), id="GOGC removed: the default may be anything"),
        pytest.param(Setting(GOGC, "200", "1" * 5000), id="no GOGC that Go reads"),
        pytest.param(Setting(GOMEMLIMIT, None, "many"), id="no GOMEMLIMIT that Go reads"),
        pytest.param(Setting("PATH", None, "/bin"), id="another name"),
    ],
)
def test_what_pods_cannot_show_is_not_waited_for(after: Setting) -> None:
    of = record(trial=trial(phase=WAITING, change=Change("app", (after,))))
    assert phase_of(taking_up(signals(), 60, of)) is Phase.SETTLING


def test_a_live_rollback_is_over_at_once() -> None:
    back = trial(change=moved("200", None), reason=Reason.ROLLBACK, phase=WAITING, baseline=None)
    assert taking_up(signals(), 1, record(applied=APPLIED, trial=back)).record.trial is None
