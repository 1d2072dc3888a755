"""The most dangerous of the faults that `make faults` runs, and whether a wrong write is seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.stage import SERVICE
from tests.e2e.testbed.manifests import APP_CONTAINER
from tests.faults.catalogue import FAULTS, Place
from tests.faults.run import run
from tests.faults.scene import set_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.testbed.cluster import Cluster
    from tests.faults.lane import Lane


@pytest.fixture
def lane(cluster: Cluster) -> Iterator[Lane]:
    with set_scene(cluster, {Place.API}) as scene:
        yield scene.lanes[Place.API]


def test_a_write_that_comes_after_another_took_over_is_refused_and_a_wrong_one_seen(
    lane: Lane,
) -> None:
    late = [each for each in FAULTS if "delivered" in each.name]
    assert len(late) == 2
    lane.order_all()
    for fault in late:
        result = run(fault, [lane])
        print(result)
        assert result.lines == []

    operator = lane.leader().operator
    entry = {"name": "GOGC", "value": "333"}
    pod = {"containers": [{"name": APP_CONTAINER, "env": [entry]}]}
    lane.cluster.kubectl(
        *("patch", f"deployment/{SERVICE}", "--namespace", operator.namespace),
        *("--patch", json.dumps({"spec": {"template": {"spec": pod}}})),
        kubeconfig=lane.cluster.service_account_kubeconfig(operator.namespace, operator.account),
    )
    wrong = "\n".join(lane.judgement().wrong)
    assert "333" in wrong
    assert "at whatever version it was" in wrong
