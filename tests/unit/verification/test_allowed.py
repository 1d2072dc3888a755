"""What a plan meets that was made under other orders, or beside more memory."""

from dataclasses import replace

import pytest

from tests.examples import MIB, container, moved, policy, trial, workload
from tuner.control.tier import tier_of
from tuner.model.override import NONE, Override
from tuner.model.policy import Profile
from tuner.model.reason import Reason
from tuner.model.trial import Trial
from tuner.model.workload import BARRIER, GOMEMLIMIT, Running, Workload
from tuner.verification.allowed import disallowed

RISE = trial(change=moved("200", "400"))
FALL = trial(change=moved("400", "60"), reason=Reason.PINNED)
DANGER = trial(change=moved("100", "30"), reason=Reason.DANGER)
PINNED = trial(change=moved("200", "400"), reason=Reason.PINNED)
LIMIT = trial(change=moved(None, "900MiB", GOMEMLIMIT), reason=Reason.MEMORY_LIMIT)
THRESHOLD = trial(change=moved("60", "80", BARRIER))
BACK = trial(change=moved("400", "3000"), reason=Reason.ROLLBACK)
SMALLER = workload(containers=(container(running=Running(memory_limit_bytes=800 * MIB)),))


def why(plan: Trial, override: Override = NONE, subject: Workload | None = None) -> str:
    subject = subject or workload()
    profile = tier_of(subject, policy(), override)
    assert isinstance(profile, Profile)
    return disallowed(plan, subject, profile, override)


@pytest.mark.parametrize(
    ("plan", "override"),
    [
        (RISE, NONE),
        (RISE, Override(gogc_highest=400)),
        (RISE, Override(pin_gogc=500)),
        (PINNED, Override(pin_gogc=400)),
        (PINNED, Override(gogc_lowest=300)),
        (FALL, Override(pin_gogc=60)),
        (trial(change=moved("1000", "500")), Override(gogc_highest=300)),
        (trial(change=moved("off", "60")), NONE),
        (DANGER, NONE),
        (DANGER, Override(gogc_lowest=80)),
        (LIMIT, NONE),
        (LIMIT, Override(memory_limit_highest_bytes=900 * MIB)),
        (LIMIT, Override(pin_memory_limit_bytes=900 * MIB)),
        (trial(change=moved(None, "many", GOMEMLIMIT)), NONE),
        (THRESHOLD, NONE),
        (THRESHOLD, Override(pin_barrier=80)),
        (BACK, Override(gogc_highest=100, pin_gogc=50)),
    ],
)
def test_what_is_still_allowed_has_nothing_against_it(plan: Trial, override: Override) -> None:
    assert why(plan, override) == ""


@pytest.mark.parametrize(
    ("plan", "override", "words"),
    [
        (RISE, Override(gogc_highest=300), "GOGC may be 300 at the most now"),
        (RISE, Override(pin_gogc=100), "GOGC is pinned to 100 now"),
        (RISE, Override(pin_gogc=300), "GOGC is pinned to 300 now"),
        (DANGER, Override(pin_gogc=100), "GOGC is pinned to 100 now"),
        (FALL, Override(gogc_lowest=80), "GOGC may be 80 at the least now"),
        (PINNED, NONE, "the override that asked for it is gone"),
        (LIMIT, Override(memory_limit_highest_bytes=800 * MIB), "GOMEMLIMIT may be 800MiB at"),
        (LIMIT, Override(pin_memory_limit_bytes=700 * MIB), "GOMEMLIMIT may be 700MiB at"),
        (THRESHOLD, Override(pin_barrier=70), "the barrier is pinned to 70 now"),
    ],
)
def test_what_people_have_laid_down_since_stops_a_plan(
    plan: Trial, override: Override, words: str
) -> None:
    assert words in why(plan, override)


def test_another_tier_stops_a_plan_that_goes_past_its_bounds() -> None:
    normal = policy().profiles["normal"]
    careful = replace(normal, gogc_highest=300)
    assert disallowed(RISE, workload(), normal, NONE) == ""
    assert disallowed(RISE, workload(), careful, NONE) == "GOGC may be 300 at the most now"


def test_a_container_that_has_less_memory_now_stops_a_plan_of_more() -> None:
    assert why(LIMIT, subject=SMALLER) == "GOMEMLIMIT may be 800MiB at the most now"
    assert why(trial(change=moved(None, "800MiB", GOMEMLIMIT)), subject=SMALLER) == ""
