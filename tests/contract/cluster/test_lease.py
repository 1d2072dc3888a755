"""One Lease: what is asked of the API server, and what its answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.cluster.leases import CONFLICT, LEASES, NOT_FOUND
from tests.contract.cluster.server import FakeApiServer, Hang, json_reply
from tuner.cluster import LeaseObject
from tuner.election import Lease
from tuner.errors import ConflictError, UnavailableError

if TYPE_CHECKING:
    from tuner.cluster import Api

GC_TUNER = f"{LEASES}/gc-tuner"
AT = 1700000000.0
HELD = Lease("uid-1", "7", "pod-a", 15, transitions=3, acquired_at="2023-11-14T20:00:00.000001Z")


def answer(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - of a Lease
    return {"metadata": {"name": "gc-tuner", "uid": "uid-1", "resourceVersion": "7"}, "spec": spec}


@pytest.fixture
def lease(api: Api) -> LeaseObject:
    return LeaseObject(api, "ops", "gc-tuner", duration_seconds=14.2, clock=lambda: AT)


def test_a_lease_is_made_where_there_is_none(server: FakeApiServer, lease: LeaseObject) -> None:
    server.on("POST", LEASES, json_reply(answer(holderIdentity="pod-a"), 201))
    assert lease.claim(None, "pod-a", 5.0).holder == "pod-a"
    (asked,) = server.asked("POST")
    assert asked.query == {"fieldManager": "gc-tuner"}
    # A time on the full second has its six digits too: the API server refuses any other form.
    assert asked.json == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "gc-tuner", "namespace": "ops"},
        "spec": {
            "holderIdentity": "pod-a",
            "leaseDurationSeconds": 15,
            "acquireTime": "2023-11-14T22:13:20.000000Z",
            "renewTime": "2023-11-14T22:13:20.000000Z",
            "leaseTransitions": 0,
        },
    }


@pytest.mark.parametrize(
    ("identity", "transitions", "acquired_at"),
    [
        ("pod-a", 3, "2023-11-14T20:00:00.000001Z"),
        ("pod-b", 4, "2023-11-14T22:13:20.000000Z"),
    ],
)
def test_a_claim_names_what_it_may_overwrite_and_counts_new_holders(
    server: FakeApiServer, lease: LeaseObject, identity: str, transitions: int, acquired_at: str
) -> None:
    server.on("PUT", GC_TUNER, json_reply(answer(holderIdentity=identity)))
    lease.claim(HELD, identity, 5.0)
    (asked,) = server.asked("PUT")
    assert asked.json["metadata"] == {
        "name": "gc-tuner",
        "namespace": "ops",
        "uid": "uid-1",
        "resourceVersion": "7",
    }
    spec = asked.json["spec"]
    assert (spec["leaseTransitions"], spec["acquireTime"]) == (transitions, acquired_at)


def test_what_is_given_up_is_read_as_released(server: FakeApiServer, lease: LeaseObject) -> None:
    server.on("PUT", GC_TUNER, json_reply(answer()))
    lease.release(HELD, 1.0)
    spec = server.asked("PUT")[0].json["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)
    server.on("GET", GC_TUNER, json_reply(answer(**spec)))
    found = lease.read(5.0)
    assert found is not None
    assert found.released


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": None}, {"leaseDurationSeconds": 30}])
def test_a_lease_that_was_made_by_hand_is_not_released(
    server: FakeApiServer, lease: LeaseObject, spec: dict[str, Any]
) -> None:
    server.on("GET", GC_TUNER, json_reply(answer(**spec)))
    found = lease.read(5.0)
    assert found is not None
    assert (found.holder, found.released) == ("", False)
    assert found.duration_seconds == spec.get("leaseDurationSeconds", 15)


def test_a_lease_that_is_not_there_is_none(server: FakeApiServer, lease: LeaseObject) -> None:
    server.on("GET", GC_TUNER, NOT_FOUND)
    assert lease.read(5.0) is None


def test_another_version_is_a_conflict(server: FakeApiServer, lease: LeaseObject) -> None:
    server.on("PUT", GC_TUNER, CONFLICT)
    with pytest.raises(ConflictError, match="update lease ops/gc-tuner: 409"):
        lease.claim(HELD, "pod-b", 5.0)


def test_each_request_has_a_timeout_of_its_own(server: FakeApiServer, lease: LeaseObject) -> None:
    server.on("GET", GC_TUNER, Hang())
    with pytest.raises(UnavailableError, match="no answer in time"):
        lease.read(0.05)
