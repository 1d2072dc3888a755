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
    moved,
    outcome,
    policy,
    record,
    signals,
    trial,
    workload,
)
from tests.unit.guards.situations import POLICY, ceiling, move, proposal, situation
from tuner.control.ceiling import Memory
from tuner.control.prediction import predict
from tuner.guards import decide
from tuner.model.decision import Hold
from tuner.model.override import Override
from tuner.model.policy import GuardRules
from tuner.model.proposal import GogcMove, MemoryLimitMove, Proposal
from tuner.model.reason import Reason
from tuner.model.record import Record
from tuner.model.signals import Signals
from tuner.model.trial import Phase, Verdict
from tuner.model.tuning import Limit, Prediction
from tuner.model.workload import (
    GOGC,
    GOMEMLIMIT,
    Autoscaling,
    Container,
    EnvEntry,
    LiveChannel,
    Mode,
    Rollout,
    Running,
    Workload,
)

FOREIGN = EnvEntry("100", owners=("helm",))
HARMED = outcome(Verdict.REGRESSED, at=NOW - 1000)
APPLIED = applied_gogc("200")
IDLE = outcome(Verdict.NO_EFFECT)
BACKSTOP = MemoryLimitMove(None, 900)
FULL = (signals(),) * 5
CHEAP = signals(gc_share=0.02)
"""Asks for no rise."""
GROWING = tuple(signals(live_bytes=live * MIB) for live in (500.0, 520.0, 540.0, 570.0, 600.0))

ROWS: list[tuple[Reason, dict[str, Any]]] = [
    # What brings each refusal about, first to last; a part is changed, the others stay.
    (Reason.FROZEN, {"override": Override(entries=("sale",), frozen=True)}),
    (Reason.OWNED_BY_OTHER, {"container.env": {GOGC: FOREIGN}, "workload.live": None}),
    (Reason.REVERTED_BY_OTHER, {"record.reverted_at": NOW}),
    (Reason.LIVE_CHANNEL_INVALID, {"workload.live": LiveChannel("cart", trouble="not there")}),
    (Reason.CONTAINER_SMALL, {"memory": Memory(32 * MIB, 32 * MIB)}),
    (Reason.TRIAL_RUNNING, {"record.trial": trial(phase=Phase.MEASURING)}),
    (Reason.ROLLOUT_IN_PROGRESS, {"workload.rollout": Rollout.IN_PROGRESS}),
    (Reason.RESIZE_PENDING, {"container.running": Running(resizing=True)}),
    (Reason.GOGC_DIFFERS, {"signals.gogc_uniform": False}),
    (Reason.IN_PROCESS_TUNER, {"container.env": {GOGC: replace(OURS, value="400")}}),
    (Reason.VERTICAL_AUTOSCALER, {"workload.autoscaling": Autoscaling(vertical="cart")}),
    (Reason.NOT_WORTH, {"signals.gc_share": 0.01}),
    (Reason.MEMORY_BUDGET_UNKNOWN, {"move.ceiling": None}),
    (Reason.QUARANTINED, {"record.history": (HARMED,)}),
    (Reason.LEAK_SUSPECTED, {"windows": GROWING, "signals.live_bytes": 600.0 * MIB}),
    (Reason.DIRECTION_CLOSED, {"record.history": (IDLE,)}),
    (Reason.MODE_RECOMMEND, {"mode": Mode.RECOMMEND}),
    (Reason.COOLDOWN, {"record.applied": APPLIED}),
    (Reason.SOURCE_WARMING, {"source_steady_seconds": 0.0}),
    (Reason.COLLECTING_BASELINE, {"windows": FULL[:4]}),
    (Reason.FEW_REPLICAS, {"workload.ready_replicas": 1}),
    (Reason.CHANGE_WINDOW, {"closed": "opens on Monday"}),
    (Reason.ALERT_FIRING, {"alerts": frozenset({"Burning"})}),
]


def answered(parts: dict[str, Any]) -> Proposal | Hold:
    """The answer in a situation of which these parts differ from the usual one."""

    def of(name: str) -> dict[str, Any]:
        return {
            key.removeprefix(f"{name}."): value
            for key, value in parts.items()
            if key.startswith(f"{name}.")
        }

    rules = GuardRules(closed=lambda _: parts.get("closed", ""))
    about = situation(
        workload=workload(**of("workload")),
        container=container(**of("container")),
        signals=signals(**of("signals")),
        record=record(**of("record")),
        policy=policy(guards=rules),
        **{key: value for key, value in parts.items() if "." not in key and key != "closed"},
    )
    # A target beyond one step: the saving is worked out anew, from the signals of the situation.
    return decide(proposal(move(550, **of("move"))), about)


@pytest.mark.parametrize("position", range(len(ROWS)))
def test_of_several_refusals_the_first_in_the_order_is_the_answer(position: int) -> None:
    """Each row with all rows after it: its reason is the one that is told."""
    parts: dict[str, Any] = {}
    for _, part in reversed(ROWS[position:]):
        parts |= part
    answer = answered(parts)
    assert isinstance(answer, Hold)
    assert answer.reason is ROWS[position][0]


@pytest.mark.parametrize(("reason", "part"), ROWS)
def test_each_refusal_is_enough_by_itself(reason: Reason, part: dict[str, Any]) -> None:
    answer = answered(part)
    assert isinstance(answer, Hold)
    assert answer.reason is reason


def gogc_of(answer: Proposal | Hold) -> GogcMove:
    assert isinstance(answer, Proposal)
    assert isinstance(answer.gogc, GogcMove)
    return answer.gogc


def test_a_proposal_that_nothing_stands_against_comes_out_within_a_step() -> None:
    answer = gogc_of(decide(proposal(move(550)), situation()))
    assert (answer.next_gogc, answer.target_gogc) == (200, 550)
    assert answer.prediction == predict(signals(), 200, POLICY.law)


def test_what_is_ours_already_goes_on() -> None:
    about = situation(
        container=container(env={GOGC: OURS}), signals=signals(gogc=200.0), windows=FULL
    )
    assert gogc_of(decide(proposal(move(330, current_gogc=200.0)), about)).next_gogc == 330


def test_todays_value_is_told_before_the_mode() -> None:
    about = situation(mode=Mode.RECOMMEND, policy=policy(dry_run=True))
    answer = decide(proposal(move(100)), about)
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.AT_TARGET


def test_worth_judges_the_step_that_is_taken_not_the_target() -> None:
    slight = signals(gc_share=0.03)
    assert predict(slight, 1600, POLICY.law).cpu_saving_ratio > POLICY.law.worth_ratio
    answer = decide(proposal(move(1600)), situation(signals=slight))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.NOT_WORTH


HELD = Hold(Reason.GC_IDLE, "")
OFF = signals(gogc=math.inf)


@pytest.mark.parametrize(
    ("gogc", "subject"),
    [
        pytest.param(HELD, {}, id="the loops hold it"),
        pytest.param(move(100), {"windows": (CHEAP,) * 5}, id="it is at its target"),
        pytest.param(
            Hold(Reason.GOGC_OFF, ""),
            {
                "container": container(env={GOGC: replace(FOREIGN, value="off")}),
                "signals": OFF,
                "windows": (OFF,) * 5,
            },
            id="it is off, whoever set that",
        ),
        pytest.param(
            move(),
            {"workload": workload(autoscaling=Autoscaling(vertical="cart"))},
            id="a VerticalPodAutoscaler would follow it",
        ),
        pytest.param(move(), {"record": record(history=(HARMED,))}, id="it did harm"),
        pytest.param(
            move(), {"signals": signals(live_bytes=600.0 * MIB), "windows": GROWING}, id="a leak"
        ),
    ],
)
def test_gomemlimit_goes_without_a_gogc_that_is_refused(
    gogc: GogcMove | Hold, subject: dict[str, Any]
) -> None:
    answer = decide(proposal(gogc, memory_limit=BACKSTOP), situation(**subject))
    assert isinstance(answer, Proposal)
    assert isinstance(answer.gogc, Hold)
    assert answer.memory_limit is BACKSTOP
    assert answer.reason is Reason.MEMORY_LIMIT


DANGER = "990 MiB are in use of the memory limit of 1024 MiB"
FAR = Prediction(cpu_saving_ratio=0.0, memory_peak_bytes=690 * MIB)
"""Grown by 30 %, it stays under a limit of 900 MiB."""


def test_a_first_gomemlimit_that_the_heap_stays_far_from_is_not_worth_a_restart() -> None:
    asked = proposal(HELD, memory_limit=BACKSTOP, prediction=FAR)
    assert decide(asked, situation()) is HELD
    answer = decide(replace(asked, gogc=move()), situation())
    assert isinstance(answer, Proposal)
    assert answer.memory_limit is BACKSTOP


@pytest.mark.parametrize(
    ("limit", "danger"),
    [
        pytest.param(MemoryLimitMove(None, 900, ordered=True), "", id="an order"),
        pytest.param(MemoryLimitMove(1000.0 * MIB, 900), "", id="it follows the container's limit"),
        pytest.param(BACKSTOP, DANGER, id="danger"),
    ],
)
def test_any_other_gomemlimit_goes_however_far_the_heap_is(
    limit: MemoryLimitMove, danger: str
) -> None:
    near = signals(gomemlimit_bytes=limit.current_bytes)
    asked = proposal(HELD, memory_limit=limit, prediction=FAR, danger=danger)
    answer = decide(asked, situation(windows=(near,) * 5))
    assert isinstance(answer, Proposal)
    assert answer.memory_limit is limit


def test_a_gomemlimit_that_was_part_of_a_harmful_change_stays_away_unless_memory_is_in_danger() -> (
    None
):
    tried = moved(None, "900MiB", GOMEMLIMIT)
    harmed = record(history=(outcome(Verdict.REGRESSED, at=NOW - 1000, change=tried),))
    asked = proposal(HELD, memory_limit=BACKSTOP)
    assert decide(asked, situation(record=harmed)) is HELD
    answer = decide(replace(asked, danger=DANGER), situation(record=harmed))
    assert isinstance(answer, Proposal)
    assert answer.memory_limit is BACKSTOP


def test_gomemlimit_stays_where_gogc_has_another_owner() -> None:
    about = situation(container=container(env={GOGC: FOREIGN}))
    answer = decide(proposal(memory_limit=BACKSTOP), about)
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.OWNED_BY_OTHER


def test_both_go_together_in_one_write() -> None:
    answer = decide(proposal(memory_limit=BACKSTOP), situation())
    assert gogc_of(answer).next_gogc == 200
    assert isinstance(answer, Proposal)
    assert answer.memory_limit is BACKSTOP
    assert answer.reason is Reason.GC_COST


def test_a_gomemlimit_that_the_program_sets_itself_stays_while_gogc_goes() -> None:
    limited = signals(gomemlimit_bytes=700.0 * MIB)
    about = situation(
        container=container(env={GOMEMLIMIT: EnvEntry("1GiB")}),
        signals=limited,
        windows=(limited,) * 5,
    )
    answer = decide(proposal(memory_limit=MemoryLimitMove(700.0 * MIB, 900)), about)
    assert gogc_of(answer).next_gogc == 200
    assert isinstance(answer, Proposal)
    assert answer.memory_limit is None


def test_a_hold_on_both_is_told_as_the_hold_on_gogc() -> None:
    assert decide(proposal(HELD), situation()) is HELD


def test_a_fall_that_is_not_there_to_stay_leaves_gomemlimit_to_go_alone() -> None:
    fall = move(50, limited_by=Limit.CEILING, ceiling=ceiling(gogc=52.0, lowers=True))
    held = decide(proposal(fall), situation())
    assert isinstance(held, Hold)
    assert held.reason is Reason.MEMORY_BOUND
    answer = decide(proposal(fall, memory_limit=BACKSTOP), situation())
    assert isinstance(answer, Proposal)
    assert answer.memory_limit is BACKSTOP
    assert isinstance(answer.gogc, Hold)


UNDECIDED = Hold(Reason.NOT_WORTH, "GOGC 100 -> 120 would save 1.0 %")


@pytest.mark.parametrize(
    ("gogc", "asking"),
    [
        pytest.param(move(200), 2, id="a rise that most windows do not ask for"),
        pytest.param(move(200), 0, id="a rise that no window has asked for yet"),
        pytest.param(UNDECIDED, 2, id="the last reading asks for none"),
        pytest.param(Hold(Reason.AT_TARGET, "GC takes 5.0 % of the CPU"), 1, id="at its target"),
    ],
)
@pytest.mark.parametrize("before", [None, 600.0 * MIB])
def test_gomemlimit_takes_no_trial_of_its_own_while_a_rise_of_gogc_is_undecided(
    gogc: GogcMove | Hold, asking: int, before: float | None
) -> None:
    windows = (CHEAP,) * (5 - asking) + (signals(),) * asking
    seen = tuple(replace(each, gomemlimit_bytes=before) for each in windows)
    answer = decide(
        proposal(gogc, memory_limit=MemoryLimitMove(before, 900)), situation(windows=seen)
    )
    assert isinstance(answer, Hold)
    assert answer.reason in {Reason.NOT_WORTH, Reason.AT_TARGET}
    assert "GOMEMLIMIT waits, one trial is to do for both" in answer.detail


@pytest.mark.parametrize(
    ("gogc", "limit", "windows", "danger"),
    [
        pytest.param(UNDECIDED, BACKSTOP, (CHEAP,) * 5, "", id="no window asks for a rise"),
        pytest.param(UNDECIDED, MemoryLimitMove(None, 900, ordered=True), FULL, "", id="an order"),
        pytest.param(UNDECIDED, BACKSTOP, FULL, "990 MiB are in use", id="danger"),
        pytest.param(
            Hold(Reason.AT_BOUND, "GOGC is at 800"), BACKSTOP, FULL, "", id="held for good"
        ),
    ],
)
def test_gomemlimit_goes_alone_where_no_rise_is_in_question(
    gogc: Hold, limit: MemoryLimitMove, windows: tuple[Signals, ...], danger: str
) -> None:
    asked = proposal(gogc, memory_limit=limit, danger=danger)
    assert decide(asked, situation(windows=windows)) == asked


@pytest.mark.parametrize("gogc", [UNDECIDED, move(200)])
def test_gomemlimit_waits_for_gogc_no_longer_than_two_baselines(gogc: GogcMove | Hold) -> None:
    asked = proposal(gogc, memory_limit=BACKSTOP)
    windows = (signals(), *(CHEAP,) * 4)
    baselines = 2 * POLICY.trial.windows * POLICY.timing.rate_window_seconds
    waiting = situation(windows=windows, limit_asked_at=NOW - baselines + 1)
    assert isinstance(decide(asked, waiting), Hold)
    answer = decide(asked, replace(waiting, limit_asked_at=NOW - baselines))
    assert isinstance(answer, Proposal)
    assert (isinstance(answer.gogc, Hold), answer.memory_limit) == (True, BACKSTOP)


def test_a_fall_of_gomemlimit_does_not_wait_for_gogc() -> None:
    high = 1000.0 * MIB
    windows = (signals(gomemlimit_bytes=high, unknown_bytes=200.0 * MIB),) * 5
    asked = proposal(UNDECIDED, memory_limit=MemoryLimitMove(high, 700))
    assert decide(asked, situation(windows=windows)) == asked


FALL = move(
    30, limited_by=Limit.DANGER, prediction=Prediction(cpu_saving_ratio=-0.4, memory_peak_bytes=1)
)


@pytest.mark.parametrize(
    "about",
    [
        pytest.param({"record": record(applied=applied_gogc("100"))}, id="the cooldown"),
        pytest.param({"windows": ()}, id="a baseline"),
    ],
)
def test_danger_does_not_wait_for(about: dict[str, Any]) -> None:
    answer = decide(proposal(FALL, danger=DANGER), situation(**about))
    assert gogc_of(answer).next_gogc == 30
    refused = decide(proposal(), situation(**about))
    assert isinstance(refused, Hold)


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"workload": workload(rollout=Rollout.IN_PROGRESS)}, Reason.ROLLOUT_IN_PROGRESS),
        ({"record": record(trial=trial(phase=Phase.MEASURING))}, Reason.TRIAL_RUNNING),
        ({"override": Override(paused=True)}, Reason.PAUSED),
        ({"mode": Mode.RECOMMEND}, Reason.MODE_RECOMMEND),
        ({"container": container(env={GOGC: FOREIGN})}, Reason.OWNED_BY_OTHER),
        ({"source_steady_seconds": 0.0}, Reason.SOURCE_WARMING),
        ({"workload": workload(ready_replicas=1)}, Reason.FEW_REPLICAS),
        ({"alerts": frozenset({"Burning"})}, Reason.ALERT_FIRING),
        (
            {
                "record": record(
                    history=(outcome(Verdict.VOID, at=NOW, reason=Reason.DANGER),), unwritten=1
                )
            },
            Reason.COOLDOWN,
        ),
    ],
)
def test_danger_waits_for_everything_else(about: dict[str, Any], reason: Reason) -> None:
    answer = decide(proposal(FALL, danger=DANGER), situation(**about))
    assert isinstance(answer, Hold)
    assert answer.reason is reason


def pinned(gogc: int, **changes: Any) -> GogcMove:  # noqa: ANN401  # handed to move
    return move(gogc, limited_by=Limit.OVERRIDE, **changes)


PIN = Override(entries=("sale",), reason="Weekend", pin_gogc=190)


@pytest.mark.parametrize(
    ("subject", "of", "asked"),
    [
        pytest.param(signals(gc_share=0.01), {}, pinned(190), id="no gain"),
        pytest.param(signals(), {"history": (IDLE,)}, pinned(200), id="what had no effect"),
        pytest.param(signals(), {"history": (HARMED,)}, pinned(200), id="what did harm"),
        pytest.param(signals(), {}, pinned(190, ceiling=None), id="no budget"),
        pytest.param(signals(live_bytes=600.0 * MIB), {}, pinned(190), id="a leak"),
    ],
)
def test_peoples_word_wins_over_what_the_loops_think(
    subject: Signals, of: dict[str, Any], asked: GogcMove
) -> None:
    about = situation(signals=subject, record=record(**of), windows=GROWING, override=PIN)
    answer = gogc_of(decide(proposal(asked), about))
    assert answer.next_gogc == asked.target_gogc
    assert answer.reason is Reason.PINNED


@pytest.mark.parametrize(
    ("subject", "of", "rolled", "reason"),
    [
        (container(env={GOGC: FOREIGN}), record(), workload(), Reason.OWNED_BY_OTHER),
        (
            container(),
            record(),
            workload(rollout=Rollout.FAILING),
            Reason.ROLLOUT_FAILING,
        ),
        (container(), record(applied=applied_gogc("100")), workload(), Reason.COOLDOWN),
        (container(), record(trial=trial(phase=Phase.SETTLING)), workload(), Reason.TRIAL_RUNNING),
    ],
)
def test_peoples_word_never_grants_a_write(
    subject: Container, of: Record, rolled: Workload, reason: Reason
) -> None:
    about = situation(container=subject, record=of, workload=rolled, override=PIN)
    answer = decide(proposal(pinned(190)), about)
    assert isinstance(answer, Hold)
    assert answer.reason is reason
