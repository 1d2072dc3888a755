import json
from typing import Any

import msgspec
import pytest

from tests.examples import (
    NOW,
    applied_gogc,
    level,
    moved,
    outcome,
    record,
    trial,
)
from tuner.cluster.records import status_of
from tuner.model.decision import Apply, Decision, Hold
from tuner.model.reason import Reason
from tuner.model.record import (
    HISTORY_LENGTH,
    Learned,
    Observed,
    Recommended,
    Record,
    Verb,
    meaning_changed,
)
from tuner.model.trial import Change, Phase, Setting, Verdict
from tuner.model.workload import GOGC, GOMEMLIMIT, Mode

RECOMMENDED = Recommended(gogc=200, cpu_saving_ratio=0.1, memory_peak_bytes=1)
OBSERVED = Observed(
    at=NOW,
    gogc="100",
    gomemlimit="off",
    gc_share=0.2,
    gc_share_source="measured",
    live_bytes=1,
    resident_bytes=2,
    cpu_cores=1.0,
)
APPLIED = applied_gogc("200")
OLD = record(recommended=RECOMMENDED, observed=OBSERVED)


def recommending(gogc: int) -> Record:
    return msgspec.structs.replace(
        OLD, recommended=msgspec.structs.replace(RECOMMENDED, gogc=gogc, cpu_saving_ratio=0.3)
    )


@pytest.mark.parametrize(
    ("new", "changed"),
    [
        pytest.param(OLD, False, id="nothing"),
        pytest.param(record(recommended=RECOMMENDED), False, id="figures"),
        pytest.param(msgspec.structs.replace(OLD, message="other"), False, id="words"),
        pytest.param(recommending(209), False, id="4.5 % more"),
        pytest.param(recommending(210), True, id="5 % more"),
        pytest.param(recommending(191), False, id="4.5 % less"),
        pytest.param(recommending(190), True, id="5 % less"),
        pytest.param(msgspec.structs.replace(OLD, recommended=None), True, id="none any more"),
        pytest.param(msgspec.structs.replace(OLD, mode=Mode.OFF), True, id="mode"),
        pytest.param(msgspec.structs.replace(OLD, decision=Verb.APPLY), True, id="decision"),
        pytest.param(msgspec.structs.replace(OLD, reason=Reason.STALE), True, id="reason"),
        pytest.param(msgspec.structs.replace(OLD, applied=APPLIED), True, id="applied"),
        pytest.param(msgspec.structs.replace(OLD, trial=trial()), True, id="trial"),
        pytest.param(
            msgspec.structs.replace(OLD, learned=Learned(cost_seconds_per_byte=1e-9)),
            True,
            id="learned",
        ),
        pytest.param(msgspec.structs.replace(OLD, history=(outcome(),)), True, id="history"),
        pytest.param(msgspec.structs.replace(OLD, reverted_at=NOW), True, id="reverted"),
    ],
)
def test_a_record_means_something_else_by_what_was_done_not_by_figures(
    new: Record, *, changed: bool
) -> None:
    assert meaning_changed(OLD, new) is changed


def test_a_first_record_is_always_news() -> None:
    assert meaning_changed(None, OLD)


def test_a_first_recommendation_is_news_and_its_absence_is_not() -> None:
    assert meaning_changed(record(), OLD)
    assert not meaning_changed(record(), record())


def test_a_trial_that_reaches_its_next_phase_is_news() -> None:
    settling = trial(phase=Phase.SETTLING)
    measuring = trial(phase=Phase.MEASURING)
    assert meaning_changed(record(trial=settling), record(trial=measuring))


@pytest.mark.parametrize(
    ("decision", "verb", "reason"),
    [
        (Apply(trial(), "words"), Verb.APPLY, Reason.GC_COST),
        (Hold(Reason.STALE, "words"), Verb.HOLD, Reason.STALE),
    ],
)
def test_a_record_tells_the_decision(decision: Decision, verb: Verb, reason: Reason) -> None:
    assert OLD.decided(decision) == msgspec.structs.replace(
        OLD, decision=verb, reason=reason, message="words"
    )


def test_the_newest_outcomes_are_kept_newest_first() -> None:
    of = record(trial=trial())
    for each in range(HISTORY_LENGTH + 2):
        of = of.ended(outcome(at=float(each)))
    assert [each.at for each in of.history] == [float(each) for each in range(11, 1, -1)]
    assert of.trial is None


FULL = record(
    observed=OBSERVED,
    recommended=RECOMMENDED,
    applied=APPLIED,
    trial=trial(phase=Phase.MEASURING, suspected=True),
    learned=Learned(cost_seconds_per_byte=7e-10),
    history=(outcome(), outcome(Verdict.VOID, measured_saving_ratio=-0.1)),
    reverted_at=NOW,
)


@pytest.mark.parametrize("of", [record(), FULL, record(trial=trial(baseline=None))])
def test_a_record_survives_json(of: Record) -> None:
    assert msgspec.json.decode(msgspec.json.encode(of), type=Record) == of


def test_a_record_is_kept_in_camel_case_and_without_defaults() -> None:
    stored = msgspec.to_builtins(record(applied=APPLIED, trial=trial(baseline=level(None))))
    assert set(stored) == {"mode", "decision", "reason", "message", "applied", "trial"}
    assert stored["applied"]["writtenAt"] == NOW
    (setting,) = stored["applied"]["settings"]
    assert setting == {"name": "GOGC", "value": "200", "prior": None}


def test_a_record_of_a_reason_that_does_not_exist_is_refused() -> None:
    stored = msgspec.to_builtins(record()) | {"reason": "whim"}
    with pytest.raises(msgspec.ValidationError, match="whim"):
        msgspec.convert(stored, Record)


LONG = (
    "CPU per request 0.000474 s -> 0.000361 s (-23.9%), noise 14.4%, predicted -22.9%; "
    "latency 5.01 ms -> 3.92 ms (-21.9%, noise 15.7%); less than the noise can show"
)
"""The most that a verdict says."""


def test_the_whole_history_stays_under_4_kib_of_json() -> None:
    both = Change(
        "application", (Setting(GOGC, "1200", "1600"), Setting(GOMEMLIMIT, None, "1234MiB"))
    )
    full = outcome(
        Verdict.NO_EFFECT,
        at=1_732_204_800.123,
        change=both,
        reason=Reason.MEMORY_CEILING,
        detail=LONG,
        predicted_saving_ratio=-0.1234,
        measured_saving_ratio=-0.1234,
        requests_per_second=12345.678901234567,
        live_bytes=10**11,
        predicted_peak_bytes=10**11,
        measured_peak_bytes=10**11,
        latency_change_ratio=-0.1234,
    )
    kept = record()
    for _ in range(2 * HISTORY_LENGTH):
        kept = kept.ended(full)
    assert len(kept.history) == HISTORY_LENGTH
    stored = status_of(kept)["history"]
    assert len(json.dumps(stored, separators=(",", ":"))) < 4096


def test_the_last_verdict_on_gogc_keeps_its_load_however_many_of_gomemlimit_come_after() -> None:
    limited = outcome(change=moved(None, "400MiB", name=GOMEMLIMIT))
    kept = record().ended(outcome()).ended(outcome(Verdict.NO_EFFECT)).ended(outcome(Verdict.VOID))
    for _ in range(5):
        kept = kept.ended(limited)
    assert [each.requests_per_second for each in kept.history[-4:]] == [None, None, 1000.0, None]


def test_the_newest_outcomes_keep_their_words() -> None:
    kept = record()
    for number in range(5):
        kept = kept.ended(outcome(detail=f"{number}"))
    assert [each.detail for each in kept.history] == ["4", "3", "", "", ""]


def given_up(of: Record, **changes: Any) -> Record:  # noqa: ANN401  # handed to outcome
    """The record after a plan that was never written."""
    planned = msgspec.structs.replace(of, trial=trial())
    return planned.ended(outcome(Verdict.VOID, **changes))


def test_plans_that_are_given_up_in_a_row_are_counted_and_take_one_place_in_the_history() -> None:
    kept = record().ended(outcome(Verdict.REGRESSED))
    for at in range(12):
        kept = given_up(kept, at=float(at))
        assert kept.unwritten == at + 1
    assert [each.verdict for each in kept.history] == [Verdict.VOID, Verdict.REGRESSED]
    assert kept.history[0].at == 11


def test_the_count_begins_anew_for_another_reason() -> None:
    kept = given_up(given_up(record()), reason=Reason.DANGER)
    assert kept.unwritten == 1
    assert [each.reason for each in kept.history] == [Reason.DANGER]


def test_a_change_that_was_written_ends_the_count_and_keeps_its_own_place() -> None:
    written = msgspec.structs.replace(given_up(record()), trial=trial(phase=Phase.MEASURING))
    kept = written.ended(outcome(Verdict.VOID))
    assert kept.unwritten == 0
    assert len(kept.history) == 2
    again = given_up(kept)
    assert again.unwritten == 1
    assert len(again.history) == 3
