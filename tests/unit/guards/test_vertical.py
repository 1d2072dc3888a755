from tests.examples import workload
from tests.unit.guards.situations import situation
from tuner.guards.vertical import vertical
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.workload import Autoscaling


def test_a_vertical_autoscaler_refuses_and_is_named() -> None:
    scaled = workload(autoscaling=Autoscaling(vertical="cart-memory"))
    answer = vertical(situation(workload=scaled))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.VERTICAL_AUTOSCALER
    assert "'cart-memory'" in answer.detail


def test_a_horizontal_autoscaler_passes() -> None:
    scaled = workload(autoscaling=Autoscaling(memory_request_target=0.8))
    assert vertical(situation(workload=scaled)) is None
