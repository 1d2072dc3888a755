"""How a trial ends without a judgement: taken away by others, or never comparable."""

from dataclasses import replace

import msgspec
import pytest

from tests.examples import (
    MIB,
    NOW,
    applied_gogc,
    container,
    level,
    policy,
    record,
    signals,
    trial,
    workload,
    workload_with,
)
from tuner.model.record import AppliedSetting, Record
from tuner.model.signals import Signals
from tuner.model.trial import Level, Phase, Spread, Verdict
from tuner.model.workload import EnvEntry, Workload
from tuner.verification import Progress, View, Windows, advance

APPLIED = applied_gogc("200")
OURS = workload_with("200")
PATIENCE = 15 * 60
PODS = 100


def seen(
    of: Record, now: float, subject: Workload = OURS, windows: tuple[Signals, ...] = ()
) -> Progress:
    newest = windows[-1] if windows else signals(at=now, pods=PODS)
    return advance(of, View(now, subject, newest, Windows((), windows), policy()))


def measuring(baseline: Level | None = None) -> Record:
    running = trial(phase=Phase.MEASURING, pods=PODS, baseline=baseline or level())
    return record(applied=APPLIED, trial=running)


def windows(count: int, requests_per_second: float | None = 1000.0) -> tuple[Signals, ...]:
    """Windows in which each request costs a fifth less than before."""
    scale = (requests_per_second or 1000.0) / 1000
    return tuple(
        signals(
            at=NOW + 60 * each,
            cpu_cores=0.8 * scale,
            requests_per_second=requests_per_second,
            allocated_bytes_per_second=400.0 * MIB * scale,
            pods=PODS,
        )
        for each in range(1, count + 1)
    )


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(workload_with(None), id="removed"),
        pytest.param(workload_with("100"), id="another value"),
        pytest.param(workload(containers=(container(name="other"),)), id="container gone"),
    ],
)
def test_a_value_that_others_take_away_is_not_ours_any_more(subject: Workload) -> None:
    after = seen(record(applied=APPLIED), NOW + 500, subject)
    assert after == Progress(record(reverted_at=NOW + 500, reverts=1))


def test_what_others_leave_standing_stays_ours_with_what_stood_there_before() -> None:
    limit = AppliedSetting("GOMEMLIMIT", "900MiB", None)
    both = msgspec.structs.replace(APPLIED, settings=(*APPLIED.settings, limit))
    env = {"GOMEMLIMIT": EnvEntry("900MiB", owners=("gc-tuner",))}
    after = seen(record(applied=both), NOW + 500, workload(containers=(container(env=env),)))
    left = msgspec.structs.replace(both, settings=(limit,))
    assert after == Progress(record(applied=left, reverted_at=NOW + 500, reverts=1))


@pytest.mark.parametrize(("stood", "reverts"), [(86399, 4), (86400, 1)])
def test_reverts_in_a_row_are_counted(stood: float, reverts: int) -> None:
    of = record(applied=applied_gogc("200"), reverts=3)
    assert seen(of, NOW + stood, workload_with(None)).record.reverts == reverts


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING])
def test_a_trial_of_a_value_that_others_take_away_is_void(phase: Phase) -> None:
    of = record(applied=APPLIED, trial=trial(phase=phase))
    progress = seen(of, NOW + 500, workload_with(None))
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.VOID
    assert "someone else" in progress.ended.detail
    assert progress.record == record(reverted_at=NOW + 500, reverts=1, history=(progress.ended,))


def test_a_value_that_stands_is_left_alone() -> None:
    of = record(applied=APPLIED)
    assert seen(of, NOW + 500) == Progress(of)


def test_without_enough_windows_there_is_no_verdict_yet() -> None:
    assert seen(measuring(), NOW + 240, windows=windows(4)) == Progress(measuring())


def test_without_enough_requests_there_is_no_verdict_yet() -> None:
    baseline = level(requests_per_second=3.0, allocated_bytes_per_second=1.2 * MIB)
    seldom = windows(5, requests_per_second=3.0)
    assert seen(measuring(baseline), NOW + 300, windows=seldom) == Progress(measuring(baseline))
    enough = seen(measuring(baseline), NOW + 360, windows=windows(6, requests_per_second=3.0))
    assert enough.ended is not None


def test_windows_of_before_the_measuring_do_not_count() -> None:
    early = tuple(signals(at=NOW - 60 * each) for each in (2, 1, 0))
    of = measuring()
    assert seen(of, NOW + 240, windows=(*early, *windows(4))) == Progress(of)


def test_a_load_that_moved_is_waited_out() -> None:
    of = measuring()
    assert seen(of, NOW + 300, windows=windows(5, requests_per_second=2000.0)) == Progress(of)


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        pytest.param((), "no rate window", id="no windows"),
        pytest.param(windows(4), "4 rate windows with 240000 requests", id="too few windows"),
        pytest.param(windows(6, requests_per_second=2000.0), "the load moved", id="another load"),
    ],
)
def test_what_cannot_be_compared_in_time_is_inconclusive_and_stays(
    observed: tuple[Signals, ...], why: str
) -> None:
    assert seen(measuring(), NOW + PATIENCE, windows=observed) == Progress(measuring())
    progress = seen(measuring(), NOW + PATIENCE + 1, windows=observed)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.INCONCLUSIVE
    assert why in progress.ended.detail
    assert progress.ended.measured_saving_ratio is None
    assert progress.record == record(applied=APPLIED, history=(progress.ended,))


def test_a_service_that_fails_since_the_change_is_judged_although_its_load_moved() -> None:
    failing = tuple(
        replace(each, errors_ratio=0.5) for each in windows(5, requests_per_second=600.0)
    )
    suspected = seen(measuring(), NOW + 300, windows=failing).record.trial
    assert suspected is not None
    assert suspected.suspected


def test_without_a_request_counter_windows_alone_are_enough() -> None:
    baseline = level(None, cpu_seconds_per_allocated_byte=Spread(1 / (400 * MIB), 0.0, 5))
    progress = seen(measuring(baseline), NOW + 300, windows=windows(5, None))
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.CONFIRMED
    assert "allocated byte" in progress.ended.detail


def test_without_a_baseline_a_trial_ends_inconclusive() -> None:
    of = record(applied=APPLIED, trial=trial(phase=Phase.MEASURING, pods=PODS, baseline=None))
    assert seen(of, NOW + 300, windows=windows(5)) == Progress(of)
    progress = seen(of, NOW + PATIENCE + 1, windows=windows(15))
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.INCONCLUSIVE
