import pytest

from tests.examples import moved, outcome, record, signals
from tests.unit.guards.situations import move, situation
from tuner.guards.evidence import evidence
from tuner.model.decision import Hold
from tuner.model.proposal import GogcMove
from tuner.model.reason import Reason
from tuner.model.record import Learned, Record
from tuner.model.signals import Signals, Source
from tuner.model.trial import Verdict
from tuner.model.tuning import Limit
from tuner.model.workload import GOMEMLIMIT

RISE = move(200)
FALL = move(80)
ORDER = move(200, limited_by=Limit.OVERRIDE)
ESTIMATED = signals(gc_share_source=Source.ESTIMATED)
HARMED = record(history=(outcome(Verdict.REGRESSED),))
IDLE = record(history=(outcome(Verdict.NO_EFFECT),))
LIMITED = outcome(reason=Reason.MEMORY_LIMIT, change=moved(None, "400MiB", name=GOMEMLIMIT))
LEARNED = Learned(cost_seconds_per_byte=1e-9, cost_deviation=0.3e-9)
GUESSED = Learned(cost_seconds_per_byte=1e-9, cost_deviation=0.31e-9)


@pytest.mark.parametrize(
    ("asked", "of", "seen"),
    [
        pytest.param(RISE, record(), signals(), id="nothing tried"),
        pytest.param(RISE, record(), ESTIMATED, id="the first probe may rest on an estimate"),
        pytest.param(
            RISE, record(history=(outcome(Verdict.VOID),)), ESTIMATED, id="void teaches nothing"
        ),
        pytest.param(RISE, record(history=(outcome(),)), signals(), id="the last rise helped"),
        pytest.param(
            RISE,
            record(history=(outcome(Verdict.INCONCLUSIVE),)),
            signals(),
            id="inconclusive closes nothing",
        ),
        pytest.param(
            RISE,
            record(history=(outcome(Verdict.NO_EFFECT, reason=Reason.MEMORY_CEILING),)),
            signals(),
            id="a fall closes no rise",
        ),
        pytest.param(
            RISE,
            record(history=(outcome(reason=Reason.MEMORY_LIMIT),)),
            ESTIMATED,
            id="a limit is no probe of the cost",
        ),
        pytest.param(FALL, HARMED, signals(), id="memory safety needs no evidence"),
        pytest.param(RISE, HARMED, signals(), id="harm is a matter of the quarantine"),
        pytest.param(ORDER, IDLE, ESTIMATED, id="people need no evidence"),
        pytest.param(RISE, IDLE, signals(requests_per_second=1500.0), id="the load grew"),
        pytest.param(RISE, IDLE, signals(requests_per_second=600.0), id="the load shrank"),
        pytest.param(
            RISE,
            record(history=(outcome(),), learned=LEARNED),
            ESTIMATED,
            id="the cost was learned",
        ),
    ],
)
def test_a_change_that_the_evidence_allows_passes(
    asked: GogcMove, of: Record, seen: Signals
) -> None:
    assert evidence(asked, situation(record=of, signals=seen)) is asked


@pytest.mark.parametrize(
    ("of", "seen", "reason", "words"),
    [
        pytest.param(IDLE, signals(), Reason.DIRECTION_CLOSED, "NoEffect", id="no effect"),
        pytest.param(
            IDLE,
            signals(requests_per_second=1290.0),
            Reason.DIRECTION_CLOSED,
            "unset -> 200",
            id="the load hardly moved",
        ),
        pytest.param(
            IDLE,
            signals(requests_per_second=None),
            Reason.DIRECTION_CLOSED,
            "unset -> 200",
            id="the load is not known",
        ),
        pytest.param(
            record(history=(outcome(Verdict.VOID), outcome(Verdict.NO_EFFECT))),
            signals(),
            Reason.DIRECTION_CLOSED,
            "NoEffect",
            id="a void trial reopens nothing",
        ),
        pytest.param(
            record(history=(LIMITED, outcome(Verdict.NO_EFFECT))),
            signals(),
            Reason.DIRECTION_CLOSED,
            "NoEffect",
            id="nor does a trial of GOMEMLIMIT alone",
        ),
        pytest.param(
            record(history=(outcome(),)),
            ESTIMATED,
            Reason.COST_UNKNOWN,
            "go_cpu_classes_gc_total_cpu_seconds_total",
            id="nothing learned from the probe",
        ),
        pytest.param(
            record(history=(outcome(),), learned=GUESSED),
            ESTIMATED,
            Reason.COST_UNKNOWN,
            "go_cpu_classes_gc_total_cpu_seconds_total",
            id="the probe was too noisy to teach",
        ),
    ],
)
def test_a_rise_against_the_evidence_is_refused(
    of: Record, seen: Signals, reason: Reason, words: str
) -> None:
    answer = evidence(RISE, situation(record=of, signals=seen))
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail
