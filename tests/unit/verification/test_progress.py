import pytest

from tests.examples import (
    MIB,
    NOW,
    applied_gogc,
    moved,
    policy,
    record,
    signals,
    trial,
    workload,
    workload_with,
)
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.signals import Signals
from tuner.model.trial import Phase, Trial, Verdict
from tuner.model.workload import Rollout, Workload
from tuner.verification import Progress, View, Windows, advance

APPLIED = applied_gogc("200")
OURS = workload_with("200")
GOOD = 0.8
"""CPU cores where there was 1.0: CPU per request fell by a fifth."""
BAD = 1.2


PODS = 100
"""So many that the spread between restarts hardly counts."""


def running(phase: Phase, **changes: object) -> Record:
    pods = PODS if phase is Phase.MEASURING else 0
    return record(applied=APPLIED, trial=trial(phase=phase, **({"pods": pods} | changes)))


def seen(
    of: Record,
    now: float,
    subject: Workload = OURS,
    windows: tuple[Signals, ...] = (),
    newest: Signals | None = None,
) -> Progress:
    return advance(of, View(now, subject, newest, Windows(("s",), windows), policy()))


def measured(
    of: Record,
    cores: float,
    count: int = 5,
    requests_per_second: float = 1000.0,
    deviation: float = 0.0,
) -> Progress:
    """The record after so many windows, each a minute after the last."""
    began = of.trial.phase_at if of.trial is not None else NOW
    windows = tuple(
        signals(
            at=began + 60 * each,
            cpu_cores=cores + deviation * (each % 3 - 1),
            requests_per_second=requests_per_second,
            allocated_bytes_per_second=requests_per_second * 400.0 * MIB / 1000,
            marked_bytes_per_second=200.0 * MIB,
            pods=PODS,
        )
        for each in range(1, count + 1)
    )
    return seen(of, windows[-1].at, windows=windows, newest=windows[-1])


def trial_of(progress: Progress) -> Trial:
    assert progress.record.trial is not None
    return progress.record.trial


def test_without_a_trial_nothing_happens() -> None:
    of = record(applied=APPLIED)
    assert seen(of, NOW) == Progress(of)


def test_a_complete_rollout_settles() -> None:
    after = trial_of(seen(running(Phase.ROLLING_OUT), NOW + 30))
    assert (after.phase, after.phase_at) == (Phase.SETTLING, NOW + 30)


@pytest.mark.parametrize("state", [Rollout.IN_PROGRESS, Rollout.PAUSED])
def test_a_rollout_that_goes_on_is_waited_for(state: Rollout) -> None:
    of = running(Phase.ROLLING_OUT)
    assert seen(of, NOW + 30, workload_with("200", rollout=state)) == Progress(of)


def test_a_failing_rollout_of_ours_is_taken_back_at_once() -> None:
    failing = workload_with("200", rollout=Rollout.FAILING)
    progress = seen(running(Phase.ROLLING_OUT), NOW + 600, failing)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.REGRESSED
    assert trial_of(progress).reason is Reason.ROLLBACK
    assert trial_of(progress).change == moved("200", None)


@pytest.mark.parametrize(
    ("passed", "newest", "phase"),
    [
        pytest.param(120, signals(), Phase.MEASURING, id="rested"),
        pytest.param(119, signals(), Phase.SETTLING, id="warm-up and one window are not over"),
        pytest.param(120, signals(cycles_per_second=0.02), Phase.SETTLING, id="too few GC cycles"),
        pytest.param(150, signals(cycles_per_second=0.02), Phase.MEASURING, id="enough GC cycles"),
        pytest.param(120, signals(pods_young=1), Phase.SETTLING, id="a young pod"),
        pytest.param(120, signals(pods=1), Phase.SETTLING, id="a pod without figures"),
        pytest.param(120, None, Phase.SETTLING, id="no figures"),
    ],
)
def test_measuring_begins_once_everything_has_settled(
    passed: float, newest: Signals | None, phase: Phase
) -> None:
    after = trial_of(seen(running(Phase.SETTLING), NOW + passed, newest=newest))
    assert after.phase is phase


@pytest.mark.parametrize(
    ("newest", "words"),
    [
        pytest.param(signals(cycles_per_second=0.0), "GC cycles", id="no GC cycles"),
        pytest.param(signals(pods_young=1), "never grew old", id="always a young pod"),
    ],
)
def test_what_never_settles_is_inconclusive_in_the_end_and_the_value_stays(
    newest: Signals, words: str
) -> None:
    of = running(Phase.SETTLING)
    patience = policy().timing.warm_up_seconds + 15 * 60
    assert seen(of, NOW + patience, newest=newest) == Progress(of)
    progress = seen(of, NOW + patience + 1, newest=newest)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.INCONCLUSIVE
    assert words in progress.ended.detail
    assert progress.record.trial is None
    assert progress.record.applied == APPLIED


def test_a_saving_is_confirmed_and_the_value_stays() -> None:
    progress = measured(running(Phase.MEASURING), GOOD)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.CONFIRMED
    assert progress.ended.measured_saving_ratio == pytest.approx(0.2)
    assert progress.ended.predicted_saving_ratio == pytest.approx(0.1)
    assert progress.ended.requests_per_second == 1000.0
    assert progress.record.trial is None
    assert progress.record.applied == APPLIED
    assert progress.record.history == (progress.ended,)


def test_a_verdict_teaches_the_marking_cost() -> None:
    learned = measured(running(Phase.MEASURING), GOOD).record.learned
    assert learned.cost_seconds_per_byte == pytest.approx(0.2 / (200 * MIB), rel=0.01)


def test_a_trial_without_effect_teaches_too() -> None:
    # Nothing but those whose CPU happened to fall would teach too high a cost.
    confirmed = measured(running(Phase.MEASURING), GOOD).record.learned
    idle = measured(running(Phase.MEASURING), 0.99)
    assert idle.ended is not None
    assert idle.ended.verdict is Verdict.NO_EFFECT
    cost = idle.record.learned.cost_seconds_per_byte
    assert cost is not None
    assert confirmed.cost_seconds_per_byte is not None
    assert cost < confirmed.cost_seconds_per_byte / 2


@pytest.mark.parametrize(("reason", "teaches"), [(Reason.PINNED, True), (Reason.GC_COST, False)])
def test_what_did_harm_teaches_only_where_people_ordered_it(
    reason: Reason, *, teaches: bool
) -> None:
    harmful = measured(running(Phase.MEASURING, reason=reason, suspected=True), BAD)
    assert harmful.ended is not None
    assert harmful.ended.verdict is Verdict.REGRESSED
    assert (harmful.record.learned.cost_seconds_per_byte is not None) is teaches


def test_no_effect_keeps_the_value() -> None:
    progress = measured(running(Phase.MEASURING), 1.0)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.NO_EFFECT
    assert progress.record.applied == APPLIED


def test_while_the_noise_hides_whether_it_helped_it_is_measured_on() -> None:
    of = running(Phase.MEASURING)
    assert measured(of, 0.94, deviation=0.03) == Progress(of)
    clearer = measured(of, 0.94, count=15, deviation=0.03)
    assert clearer.ended is not None
    assert clearer.ended.verdict is Verdict.CONFIRMED


def test_what_the_noise_hides_for_all_the_windows_is_inconclusive_and_teaches() -> None:
    of = running(Phase.MEASURING)
    assert measured(of, 0.94, count=15, deviation=0.05) == Progress(of)
    progress = measured(of, 0.94, count=16, deviation=0.05)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.INCONCLUSIVE
    assert "noise hides" in progress.ended.detail
    assert progress.record.applied == APPLIED
    assert progress.record.learned.cost_seconds_per_byte is not None


def test_one_verdict_of_harm_is_only_a_suspicion() -> None:
    progress = measured(running(Phase.MEASURING), BAD)
    assert progress.ended is None
    after = trial_of(progress)
    assert (after.phase, after.suspected, after.phase_at) == (Phase.MEASURING, True, NOW + 300)


def test_a_suspicion_is_judged_by_windows_of_its_own() -> None:
    suspected = measured(running(Phase.MEASURING), BAD).record
    assert measured(suspected, BAD, count=4) == Progress(suspected)


def test_a_suspicion_that_does_not_repeat_is_dropped() -> None:
    progress = measured(measured(running(Phase.MEASURING), BAD).record, GOOD)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.CONFIRMED


@pytest.mark.parametrize("prior", [None, "100", " 0150"])
def test_harm_found_twice_plans_the_way_back_to_exactly_what_stood_there(prior: str | None) -> None:
    of = running(Phase.MEASURING, change=moved(prior, "200"))
    progress = measured(measured(of, BAD).record, BAD)
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.REGRESSED
    assert progress.ended.change == moved(prior, "200")
    back = trial_of(progress)
    assert (back.reason, back.phase) == (Reason.ROLLBACK, Phase.PLANNED)
    assert back.change == moved("200", prior)
    assert back.prediction.cpu_saving_ratio == pytest.approx(0.2)


def test_a_rollback_is_over_with_its_rollout() -> None:
    back = trial(change=moved("200", None), reason=Reason.ROLLBACK, baseline=None)
    of = record(trial=back)
    of = record(trial=seen(of, NOW, workload()).record.trial)
    assert seen(of, NOW + 30, workload()) == Progress(record(restored_at=NOW + 30))


def test_a_rollback_whose_rollout_fails_is_not_rolled_back() -> None:
    of = record(trial=trial(reason=Reason.ROLLBACK, phase=Phase.ROLLING_OUT))
    assert seen(of, NOW, workload(rollout=Rollout.FAILING)) == Progress(of)


@pytest.mark.parametrize("phase", [Phase.ROLLING_OUT, Phase.SETTLING, Phase.MEASURING])
def test_a_trial_is_void_once_others_change_the_template(phase: Phase) -> None:
    progress = seen(running(phase), NOW, workload_with("200", template_digest="other"))
    assert progress.ended is not None
    assert progress.ended.verdict is Verdict.VOID
    assert progress.record.trial is None
    assert progress.record.applied == APPLIED
