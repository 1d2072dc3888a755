"""The most dangerous of the faults that `make faults` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.catalogue import FAULTS, Place
from tests.faults.run import run
from tests.faults.scene import set_scene

if TYPE_CHECKING:
    from tests.e2e.testbed.cluster import Cluster


def test_a_write_that_is_delivered_after_another_took_over_is_refused(cluster: Cluster) -> None:
    (fault,) = (each for each in FAULTS if "delivered" in each.name)
    with set_scene(cluster, {Place.API}, number=1) as scene:
        result = run(fault, [scene.lanes[Place.API]], calm=False)
    print(result)
    assert result.lines == []
