"""The mirror of the pods, against a server that answers like an API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.cluster.server import FakeApiServer, Hang, Stream, page, refused
from tests.contract.waiting import settle
from tests.unit.cluster.test_pods import WEB, app, pod
from tuner.cluster.mirror import Upkeep
from tuner.cluster.pods import PodMirror
from tuner.errors import UnavailableError
from tuner.model.workload import Kind, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tuner.cluster import Api

PODS = "/api/v1/pods"
MIB = 1 << 20


@pytest.fixture
def mirror(api: Api) -> Iterator[Callable[..., PodMirror]]:
    started: list[PodMirror] = []

    def start(*namespaces: str, reports: list[str] | None = None) -> PodMirror:
        told = [] if reports is None else reports
        upkeep = Upkeep(stale_after_seconds=120.0, report=told.append)
        started.append(PodMirror(api, upkeep, namespaces))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.stop()


def named(name: str, version: int, *statuses: dict[str, Any], **pod_is: Any) -> dict[str, Any]:  # noqa: ANN401 - of pod()
    raw = pod(*statuses, **pod_is)
    raw["metadata"] |= {"name": name, "resourceVersion": str(version)}
    return raw


def becomes(mirror: PodMirror, limits: list[int | None]) -> None:
    """Wait until the pods of WEB have these limits."""
    settle(lambda: _limits(mirror) == limits)
    assert _limits(mirror) == limits


def _limits(mirror: PodMirror) -> list[int | None]:
    pods = mirror.pods().get(WEB, ())
    return [container.memory_limit_bytes for each in pods for container in each.containers]


def test_pods_come_and_go(server: FakeApiServer, mirror: Callable[..., PodMirror]) -> None:
    stream = Stream()
    server.on("GET", PODS, page(named("a", 1, app("512Mi")), version=10))
    server.on("WATCH", PODS, stream)
    pods = mirror()
    assert pods.wait_synced(60.0)
    before = pods.pods()
    assert pods.pods() is before
    stream.send(("ADDED", named("b", 11, app("300Mi"))))
    becomes(pods, [512 * MIB, 300 * MIB])
    assert pods.running(WEB)["app"].memory_limit_bytes == 300 * MIB
    assert len(before[WEB]) == 1
    stream.send(("DELETED", named("b", 12, app("300Mi"))))
    becomes(pods, [512 * MIB])


def test_a_pod_that_ends_leaves_the_view(
    server: FakeApiServer, mirror: Callable[..., PodMirror]
) -> None:
    stream = Stream().send(("MODIFIED", named("a", 11, app(), phase="Failed")))
    server.on("GET", PODS, page(named("a", 1, app()), version=10))
    server.on("WATCH", PODS, stream)
    pods = mirror()
    assert pods.wait_synced(60.0)
    becomes(pods, [])
    assert pods.running(WEB) == {}


def test_some_namespaces_are_mirrored_one_by_one(
    server: FakeApiServer, mirror: Callable[..., PodMirror]
) -> None:
    of_bank = named("a", 1, app("64Mi"), metadata={"namespace": "bank"})
    of_bank["metadata"] |= {
        "labels": pod()["metadata"]["labels"],
        "ownerReferences": pod()["metadata"]["ownerReferences"],
    }
    server.on("GET", "/api/v1/namespaces/shop/pods", page(named("a", 1, app()), version=10))
    server.on("GET", "/api/v1/namespaces/bank/pods", page(of_bank, version=10))
    pods = mirror("shop", "bank")
    assert pods.wait_synced(60.0)
    in_bank = WorkloadKey("bank", Kind.DEPLOYMENT, "web")
    assert set(pods.pods()) == {WEB, in_bank}
    assert pods.running(in_bank)["app"].memory_limit_bytes == 64 * MIB


def test_without_a_first_list_there_is_no_view(
    server: FakeApiServer, mirror: Callable[..., PodMirror]
) -> None:
    server.on("GET", PODS, Hang())
    pods = mirror()
    assert not pods.wait_synced(0.0)
    with pytest.raises(UnavailableError, match="pods: not listed yet"):
        pods.running(WEB)


def test_pods_that_may_not_be_listed_are_no_empty_view(
    server: FakeApiServer, mirror: Callable[..., PodMirror]
) -> None:
    server.on("GET", PODS, refused(403, "Forbidden", 'pods is forbidden: User "x" cannot list'))
    pods = mirror()
    server.wait_asked("GET", 2)
    with pytest.raises(UnavailableError, match=r"pods: not listed yet: .*403"):
        pods.pods()


def test_a_pod_that_cannot_be_read_is_reported_and_hurts_no_other(
    server: FakeApiServer, mirror: Callable[..., PodMirror]
) -> None:
    odd = named("odd", 2, app("lots"))
    server.on("GET", PODS, page(named("a", 1, app("512Mi")), odd, version=10))
    reports: list[str] = []
    pods = mirror(reports=reports)
    assert pods.wait_synced(60.0)
    becomes(pods, [512 * MIB])
    assert reports == ["Pod: cannot be read: 'lots' is not a quantity"]
