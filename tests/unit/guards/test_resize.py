from tests.examples import container
from tests.unit.guards.situations import situation
from tuner.guards.resize import resize
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.workload import Running


def test_a_resize_that_is_not_done_refuses() -> None:
    answer = resize(situation(container=container(running=Running(resizing=True))))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.RESIZE_PENDING
    assert "'app'" in answer.detail


def test_a_container_at_its_size_passes() -> None:
    assert resize(situation()) is None
