"""What holds of a trial whatever is seen in the meantime, and however its record was edited."""

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests import examples
from tests.examples import NOW, moved
from tests.properties.worlds import (
    DAY,
    POLICY,
    RUNNING,
    Reading,
    learned,
    levels,
    plausible_readings,
    seen,
    trials,
    wild_readings,
)
from tuner.assessment import Assessed, Kept, SourceState, assess
from tuner.model.reason import Reason
from tuner.model.record import Learned, Record
from tuner.model.trial import Level, Phase, Trial, Verdict
from tuner.model.workload import Rollout, Running
from tuner.verification.learning import ALPHA_HIGHEST, ALPHA_LOWEST, learn
from tuner.verification.verdict import comparable, judge

PRIOR = 0.7e-9


@given(trials(), levels(), levels())
def test_any_two_levels_have_a_judgement_in_words(
    trial: Trial, before: Level, after: Level
) -> None:
    judgement = judge(trial, before, after, POLICY.trial)
    assert judgement.detail
    assert isinstance(comparable(before, after, POLICY.trial), bool)


@given(levels(), levels())
def test_no_trial_teaches_what_contradicts_the_law_or_cannot_be_stored(
    before: Level, after: Level
) -> None:
    taught = learn(Learned(), before, after, POLICY.trial, prior_cost=PRIOR)
    assert taught.cost_seconds_per_byte is None or taught.cost_seconds_per_byte > 0
    assert taught.alpha is None or ALPHA_LOWEST <= taught.alpha <= ALPHA_HIGHEST
    assert msgspec.json.decode(msgspec.json.encode(taught), type=Learned) == taught


@given(learned(), levels(), levels())
def test_any_two_levels_add_to_whatever_is_known(
    known: Learned, before: Level, after: Level
) -> None:
    taught = learn(known, before, after, POLICY.trial, prior_cost=PRIOR)
    kill = (taught.killed_at, taught.killed_peak_bytes, taught.killed_limit_bytes)
    assert kill == (known.killed_at, known.killed_peak_bytes, known.killed_limit_bytes)


@given(levels(), plausible_readings(), st.booleans())
def test_a_trial_with_enough_windows_moves_whatever_its_baseline(
    baseline: Level, reading: Reading, suspected: bool
) -> None:
    workload = examples.workload_with("200")
    trial = examples.trial(
        phase=Phase.MEASURING,
        phase_at=NOW - 901,
        baseline=baseline,
        suspected=suspected,
        pods=2,
    )
    record = examples.record(trial=trial)
    source = SourceState(NOW, {"app": reading}, DAY)
    kept = Kept(seen(workload, reading, POLICY, NOW))
    assessed = assess(workload, record, kept, source, POLICY)
    after = assessed.assessment.record.trial
    if len(assessed.kept.windows) >= POLICY.trial.windows:
        assert assessed.ended is not None or (after is not None and after.suspected)


Tick = tuple[float, Reading | None, Rollout, Running]
TICKS: st.SearchStrategy[list[Tick]] = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([15.0, 60.0, 300.0]), st.floats(-DAY, DAY)),
        st.one_of(st.just(examples.reading()), wild_readings(), st.none()),
        st.sampled_from([Rollout.COMPLETE, Rollout.COMPLETE, *Rollout]),
        st.one_of(st.just(Running()), RUNNING),
    ),
    min_size=1,
    max_size=12,
)


def lived(record: Record, gogc: str | None, ticks: list[Tick]) -> list[Assessed]:
    """A workload's ticks, the record and what is kept of each handed on to the next."""
    now, kept, answers = NOW, Kept(), []
    for step, reading, rollout, running in ticks:
        now += step
        source = SourceState(now, None if reading is None else {"app": reading}, DAY, "down")
        workload = examples.workload_with(gogc, rollout=rollout)
        container = replace(workload.containers[0], running=running)
        workload = replace(workload, containers=(container,))
        answers.append(assess(workload, record, kept, source, POLICY))
        stored = msgspec.json.encode(answers[-1].assessment.record)
        record = msgspec.json.decode(stored, type=Record)
        kept = answers[-1].kept
    return answers


@given(st.sampled_from(Phase), TICKS)
def test_a_trial_ends_at_most_once_whatever_comes(phase: Phase, ticks: list[Tick]) -> None:
    record = examples.record(trial=examples.trial(phase=phase))
    answers = lived(record, "200", ticks)
    ends = [each.ended for each in answers if each.ended is not None]
    assert len(ends) <= 1 + sum(each.verdict is Verdict.REGRESSED for each in ends)


@given(st.sampled_from([Phase.SETTLING, Phase.MEASURING]), TICKS)
def test_harm_alone_is_taken_back_and_to_what_stood_there(phase: Phase, ticks: list[Tick]) -> None:
    record = examples.record(trial=examples.trial(phase=phase))
    for answer in lived(record, "200", ticks):
        running = answer.assessment.record.trial
        if running is not None and running.reason is Reason.ROLLBACK:
            history = answer.assessment.record.history
            assert history[0].verdict is Verdict.REGRESSED
            assert running.change == moved("200", None)
