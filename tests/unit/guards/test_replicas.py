from typing import Any

import pytest

from tests.examples import workload
from tests.unit.guards.situations import situation
from tuner.guards.replicas import replicas
from tuner.model.decision import Hold
from tuner.model.reason import Reason
from tuner.model.workload import LiveChannel


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ready_replicas": 2}, id="two are ready"),
        pytest.param({"ready_replicas": 1, "surges": True}, id="a new pod comes first"),
        pytest.param({"ready_replicas": 1, "live": LiveChannel("cart")}, id="nothing restarts"),
    ],
)
def test_a_change_that_leaves_someone_to_answer_passes(changes: dict[str, Any]) -> None:
    assert replicas(situation(workload=workload(**changes))) is None


@pytest.mark.parametrize("ready", [0, 1])
def test_a_change_that_would_stop_the_only_pod_is_refused(ready: int) -> None:
    answer = replicas(situation(workload=workload(ready_replicas=ready)))
    assert isinstance(answer, Hold)
    assert answer.reason is Reason.FEW_REPLICAS
    assert answer.detail.startswith(f"{ready} of 2 pods ready")
