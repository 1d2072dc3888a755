from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from tests.unit.instrumentation.fleet import CHANGE, workload
from tuner.errors import RefusedError
from tuner.model.reason import Reason
from tuner.model.record import Record, Verb
from tuner.model.workload import Mode, Workload, WorkloadKey
from tuner.shadow import ShadowActuator, ShadowRecords

CART = workload("cart")
STORED = Record(Mode.AUTO, Verb.HOLD, Reason.AT_TARGET, "stored")
KEPT = msgspec.structs.replace(STORED, message="kept")


@dataclass
class Stored:
    """Records of a cluster that nobody may write to."""

    records: dict[WorkloadKey, Record] = field(default_factory=dict)

    def all(self) -> Mapping[WorkloadKey, Record]:
        return self.records

    def save(self, workload: Workload, record: Record) -> None:
        pytest.fail(f"{record} of {workload.key} was written to the cluster")


def test_a_record_that_was_saved_is_read_again_and_never_written() -> None:
    stored = Stored({CART.key: STORED})
    shadow = ShadowRecords(stored)
    assert shadow.all() == {CART.key: STORED}
    shadow.save(CART, KEPT)
    assert shadow.all() == {CART.key: KEPT}
    assert stored.records == {CART.key: STORED}


def test_a_record_that_is_not_in_the_cluster_is_kept() -> None:
    shadow = ShadowRecords(Stored())
    shadow.save(CART, KEPT)
    assert shadow.all() == {CART.key: KEPT}


def test_a_record_that_changed_in_the_cluster_wins() -> None:
    stored = Stored({CART.key: STORED})
    shadow = ShadowRecords(stored)
    shadow.save(CART, KEPT)
    news = msgspec.structs.replace(STORED, message="written by another controller")
    stored.records[CART.key] = news
    assert shadow.all() == {CART.key: news}


def test_no_workload_is_written() -> None:
    actuator = ShadowActuator()
    with pytest.raises(RefusedError, match="dry run"):
        actuator.write(CART, CHANGE, "gc-tuner: GOGC unset -> 200")
    with pytest.raises(RefusedError, match="dry run"):
        actuator.clear_cause(CART)


def test_a_record_that_was_deleted_in_the_cluster_is_gone() -> None:
    stored = Stored({CART.key: STORED})
    shadow = ShadowRecords(stored)
    shadow.save(CART, KEPT)
    del stored.records[CART.key]
    assert shadow.all().get(CART.key) is None
    assert len(shadow.all()) == 0
