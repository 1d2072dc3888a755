from collections.abc import Mapping

import pytest

from tests.examples import container, reading, workload
from tuner.model.decision import Hold
from tuner.model.reading import Quantity
from tuner.model.reason import Reason
from tuner.model.workload import Workload
from tuner.signals import choose_container

Reading = Mapping[Quantity, float]

APP = reading()
OTHER = reading(cpu_cores=9.0)

ONE = workload()
TWO = workload(containers=(container(), container(name="proxy")))


def wanting(name: str, base: Workload = TWO) -> Workload:
    return workload(containers=base.containers, annotations={"container": name})


@pytest.mark.parametrize(
    ("subject", "readings", "chosen"),
    [
        pytest.param(ONE, {"app": APP}, ("app", APP), id="the only one"),
        pytest.param(TWO, {"app": APP}, ("app", APP), id="the only one with Go metrics"),
        pytest.param(ONE, {"": APP}, ("app", APP), id="unlabelled figures of the only container"),
        pytest.param(ONE, {"app": APP, "": OTHER}, ("app", APP), id="a name beats none"),
        pytest.param(ONE, {"app": APP, "gone": OTHER}, ("app", APP), id="the template's beats"),
        pytest.param(
            wanting("proxy"), {"app": APP, "proxy": OTHER}, ("proxy", OTHER), id="annotation"
        ),
        pytest.param(wanting("proxy"), {"": APP}, ("proxy", APP), id="annotation, unlabelled"),
    ],
)
def test_the_container_to_tune_is_found(
    subject: Workload, readings: Mapping[str, Reading], chosen: tuple[str, Reading]
) -> None:
    assert choose_container(subject, readings) == chosen


@pytest.mark.parametrize(
    ("subject", "readings", "reason", "words"),
    [
        pytest.param(ONE, {}, Reason.NO_DATA, "no Go metrics", id="no figures"),
        pytest.param(
            TWO, {"app": APP, "proxy": OTHER}, Reason.CONTAINER_UNCLEAR, "'app', 'proxy'", id="two"
        ),
        pytest.param(
            TWO, {"": APP}, Reason.CONTAINER_UNCLEAR, "annotation", id="unlabelled of two"
        ),
        pytest.param(ONE, {"gone": APP}, Reason.CONTAINER_UNCLEAR, "'gone'", id="not in template"),
        pytest.param(
            wanting("nginx"), {"app": APP}, Reason.CONTAINER_UNCLEAR, "app, proxy", id="wrong name"
        ),
        pytest.param(
            wanting("proxy"), {"app": APP}, Reason.NO_DATA, "'proxy'", id="annotated has no figures"
        ),
    ],
)
def test_what_cannot_be_told_is_held_with_the_way_out(
    subject: Workload, readings: Mapping[str, Reading], reason: Reason, words: str
) -> None:
    answer = choose_container(subject, readings)
    assert isinstance(answer, Hold)
    assert answer.reason is reason
    assert words in answer.detail
