"""When figures tell that the service itself sets what it was given otherwise."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from tests.examples import MIB, NOW, applied_gogc, container, record, signals, trial, workload
from tests.unit.guards.situations import situation
from tuner.guards.in_process import gogc_in_process, memory_limit_in_process
from tuner.guards.situation import Situation
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.trial import Phase
from tuner.model.workload import GOGC, GOMEMLIMIT, EnvEntry, LiveChannel, Rollout

LIVE = workload(live=LiveChannel("cart"))
GIVEN_200 = container(env={GOGC: EnvEntry("200")})


def seen(given: Mapping[str, str | None], **observed: Any) -> Situation:  # noqa: ANN401 - of signals
    """What the template gives, and what the pods have shown all along."""
    now = signals(**observed)
    env = {name: EnvEntry(value) for name, value in given.items()}
    return situation(container=container(env=env), signals=now, windows=(now,) * 5)


def in_process(about: Situation) -> Hold | None:
    """What either of the two gates has against it."""
    return gogc_in_process(about) or memory_limit_in_process(about)


def test_what_the_pods_were_given_passes() -> None:
    given = {GOGC: "200", GOMEMLIMIT: "700MiB"}
    assert in_process(seen(given, gogc=200.0, gomemlimit_bytes=700.0 * MIB)) is None


@pytest.mark.parametrize(
    ("given", "observed", "words"),
    [
        ({}, {"gogc": 200.0}, "GOGC 200, their env says unset"),
        ({GOGC: "200"}, {"gogc": 100.0}, "GOGC 100, their env says 200"),
        ({GOGC: "200"}, {"gogc": math.inf}, "GOGC off, their env says 200"),
        ({GOGC: "off"}, {"gogc": 100.0}, "GOGC 100, their env says off"),
        ({}, {"gomemlimit_bytes": 700.0 * MIB}, "GOMEMLIMIT 734003200B, their env says unset"),
        (
            {GOMEMLIMIT: "1GiB"},
            {"gomemlimit_bytes": 700.0 * MIB},
            "GOMEMLIMIT 734003200B, their env says 1GiB",
        ),
        ({GOMEMLIMIT: "1GiB"}, {"gomemlimit_bytes": None}, "GOMEMLIMIT off, their env says 1GiB"),
    ],
)
def test_another_value_than_was_given_is_refused_with_both(
    given: dict[str, str | None], observed: dict[str, float], words: str
) -> None:
    answer = in_process(seen(given, **observed))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.IN_PROCESS_TUNER
    assert words in answer.detail


@pytest.mark.parametrize(
    ("given", "observed"),
    [
        pytest.param({GOGC: None}, {"gogc": 200.0}, id="GOGC by reference"),
        pytest.param({GOMEMLIMIT: None}, {"gomemlimit_bytes": 1.0}, id="GOMEMLIMIT by reference"),
        pytest.param({GOMEMLIMIT: "1Gi"}, {"gomemlimit_bytes": 1.0}, id="Go would not start"),
        pytest.param({}, {"gogc": 200.0, "gogc_uniform": False}, id="pods differ"),
        pytest.param({}, {"gogc": 200.0, "pods_young": 1}, id="pods are young"),
    ],
)
def test_what_is_not_known_well_enough_passes(
    given: dict[str, str | None], observed: dict[str, float]
) -> None:
    assert in_process(seen(given, **observed)) is None


@pytest.mark.parametrize("state", [each for each in Rollout if each is not Rollout.COMPLETE])
def test_a_rollout_may_not_have_reached_the_pods_yet(state: Rollout) -> None:
    rolling = situation(container=GIVEN_200, workload=workload(rollout=state))
    assert in_process(rolling) is None


@pytest.mark.parametrize("phase", Phase)
def test_a_change_of_ours_counts_once_its_trial_measures(phase: Phase) -> None:
    running = situation(container=GIVEN_200, record=record(trial=trial(phase=phase)))
    assert (in_process(running) is not None) is (phase is Phase.MEASURING)


def test_one_odd_reading_is_not_enough() -> None:
    now, before = signals(gomemlimit_bytes=700.0 * MIB), signals()
    assert in_process(situation(signals=now, windows=(before,) * 5)) is None


@pytest.mark.parametrize(
    ("seconds_ago", "refused"),
    [
        (0.0, False),
        (120.0, False),
        (121.0, True),
        pytest.param(-3600.0, True, id="the clock was set back since"),
    ],
)
def test_a_value_in_the_config_map_takes_its_time_to_arrive(
    seconds_ago: float, *, refused: bool
) -> None:
    written = record(applied=applied_gogc("200", at=NOW - seconds_ago))
    answer = in_process(situation(container=GIVEN_200, workload=LIVE, record=written))
    assert (answer is not None) is refused


def test_a_config_map_that_we_never_wrote_has_arrived() -> None:
    answer = in_process(situation(container=GIVEN_200, workload=LIVE))
    assert answer is not None
    assert "their ConfigMap says 200" in answer.detail


def test_what_the_config_map_leaves_out_may_stand_in_the_env() -> None:
    assert in_process(situation(workload=LIVE, signals=signals(gogc=200.0))) is None
