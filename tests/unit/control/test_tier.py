from typing import Any

import pytest

from tests.examples import policy, workload
from tuner.control.tier import tier_of
from tuner.model.decision import Hold
from tuner.model.override import NONE, Override
from tuner.model.policy import Profile
from tuner.model.reason import Reason

POLICY = policy()


def tier(override: Override = NONE, **annotations: str) -> Profile:
    annotated = workload(
        annotations={name.replace("_", "-"): text for name, text in annotations.items()}
    )
    answer = tier_of(annotated, POLICY, override)
    assert isinstance(answer, Profile)
    return answer


@pytest.mark.parametrize(
    ("override", "annotations", "name"),
    [
        pytest.param(NONE, {}, "normal", id="the operator's default"),
        pytest.param(NONE, {"profile": "critical"}, "critical", id="the annotation"),
        pytest.param(
            Override(profile="best-effort"),
            {"profile": "critical"},
            "best-effort",
            id="the override over it",
        ),
        pytest.param(
            Override(profile="critical"), {"profile": "gold"}, "critical", id="over a bad one too"
        ),
    ],
)
def test_the_tier_is_the_nearest_that_someone_named(
    override: Override, annotations: dict[str, str], name: str
) -> None:
    assert tier(override, **annotations) == POLICY.profiles[name]


@pytest.mark.parametrize(
    ("override", "annotations", "seconds"),
    [
        pytest.param(NONE, {}, 0.1, id="the tier's"),
        pytest.param(NONE, {"latency_target": "25ms"}, 0.025, id="the annotation's"),
        pytest.param(
            Override(latency_target_seconds=0.2),
            {"latency_target": "25ms"},
            0.2,
            id="the override's over it",
        ),
        pytest.param(
            Override(latency_target_seconds=0.2),
            {"latency_target": "soon"},
            0.2,
            id="over a bad one too",
        ),
        pytest.param(NONE, {"profile": "best-effort"}, None, id="none"),
        pytest.param(
            NONE, {"profile": "best-effort", "latency_target": "1m"}, 60.0, id="one of its own"
        ),
    ],
)
def test_the_latency_objective_is_the_nearest_that_someone_set(
    override: Override, annotations: dict[str, str], seconds: float | None
) -> None:
    assert tier(override, **annotations).latency_target_seconds == seconds


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"profile": "gold"}, "gc-tuner.io/profile reads 'gold': use one of critical, normal"),
        ({"latency-target": "soon"}, "gc-tuner.io/latency-target reads 'soon': 'soon' is not"),
        ({"latency-target": "50"}, "50 has no unit"),
        ({"latency-target": "0s"}, "it has to be above 0"),
        ({"latency-target": ""}, "write a duration such as"),
        ({"barrier-base": "many"}, "gc-tuner.io/barrier-base reads 'many': write a whole number"),
        ({"barrier-base": "0"}, "from 1 up"),
        ({"barrier-base": "-5"}, "from 1 up"),
        ({"barrier-base": "9" * 5000}, "from 1 up"),
        ({"barrier-env": "MAX INFLIGHT"}, "gc-tuner.io/barrier-env reads 'MAX INFLIGHT': write"),
        ({"barrier-env": "GOGC"}, "other than GOGC and GOMEMLIMIT"),
        ({"barrier-env": "GOMEMLIMIT"}, "other than GOGC and GOMEMLIMIT"),
        ({"barrier-env": ""}, "the name of an env entry"),
        ({"latency-target": "9" * 400 + "s"}, "is too long"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_refused_with_what_would_be_right(
    annotations: dict[str, str], words: str
) -> None:
    answer = tier_of(workload(annotations=annotations), POLICY, NONE)
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.ANNOTATION_INVALID
    assert words in answer.detail


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        pytest.param(
            Override(gc_share_target=0.06),
            {"gc_share_target": 0.06, "gc_share_least": 0.02},
            id="a higher share",
        ),
        pytest.param(
            Override(gc_share_target=0.01),
            {"gc_share_target": 0.01, "gc_share_least": 0.01},
            id="a share under the least: the least follows",
        ),
        pytest.param(
            Override(gogc_lowest=150),
            {"gogc_lowest": 150, "gogc_highest": 1600},
            id="a lowest GOGC",
        ),
        pytest.param(
            Override(gogc_highest=400),
            {"gogc_lowest": 75, "gogc_highest": 400},
            id="a highest GOGC",
        ),
        pytest.param(
            Override(gogc_highest=50),
            {"gogc_lowest": 50, "gogc_highest": 50},
            id="a highest under the tier's lowest",
        ),
        pytest.param(
            Override(gogc_lowest=2000),
            {"gogc_lowest": 2000, "gogc_highest": 2000},
            id="a lowest over the tier's highest",
        ),
    ],
)
def test_what_people_laid_down_wins_over_the_tier(
    override: Override, expected: dict[str, Any]
) -> None:
    answer = tier(override)
    assert {name: getattr(answer, name) for name in expected} == expected
