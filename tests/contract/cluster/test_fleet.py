"""The joined view of the fleet, against a server that answers like an API server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.cluster.conftest import DEPLOYMENTS, WEB
from tests.contract.cluster.server import FakeApiServer, Hang, Reply, json_reply, page, refused
from tests.unit.cluster.objects import deployment
from tests.unit.cluster.test_autoscalers import hpa, metric, vpa
from tests.unit.cluster.test_pods import WEB as KEY
from tests.unit.cluster.test_pods import app, pod
from tuner.cluster.autoscalers import AutoscalerMirror
from tuner.cluster.fleet import ClusterFleet
from tuner.cluster.inventory import ClusterInventory
from tuner.cluster.live import LiveConfigMaps
from tuner.cluster.mirror import Upkeep
from tuner.cluster.pods import PodMirror
from tuner.errors import GoneError, UnavailableError
from tuner.model.workload import Autoscaling, LiveChannel, Running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tuner.cluster import Api

STATEFUL_SETS = "/apis/apps/v1/statefulsets"
PODS = "/api/v1/pods"
HPAS = "/apis/autoscaling/v2/horizontalpodautoscalers"
VPAS = "/apis/autoscaling.k8s.io/v1/verticalpodautoscalers"
CONFIG_MAPS = "/api/v1/configmaps"
LIVE = "/api/v1/namespaces/shop/configmaps/web-gc"
NOT_FOUND = refused(404, "NotFound", "not found")
FORBIDDEN = refused(403, "Forbidden", "cannot list")
IS_LIVE: dict[str, Any] = {"annotations": {"gc-tuner.io/live": "web-gc"}}
MIB = 1 << 20


def live_config_map(gogc: str, version: int) -> dict[str, Any]:
    metadata = {
        "name": "web-gc",
        "namespace": "shop",
        "uid": "uid-live",
        "resourceVersion": str(version),
        "labels": {"gc-tuner.io/live": "true"},
    }
    return {"metadata": metadata, "data": {"GOGC": gogc}}


@dataclass
class Cluster:
    """What the API server lists; each part can be replaced before it is opened."""

    server: FakeApiServer
    api: Api
    lists: dict[str, Reply | Hang] = field(
        default_factory=lambda: {
            DEPLOYMENTS: page(deployment(), version=20),
            STATEFUL_SETS: page(version=20),
            PODS: page(pod(app("400Mi")), version=20),
            HPAS: page(hpa(metric("memory", averageUtilization=75)), version=20),
            VPAS: page(vpa(), version=20),
            CONFIG_MAPS: page(live_config_map("150", 15), version=20),
        }
    )
    opened: list[ClusterFleet] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)

    def open(self) -> ClusterFleet:
        """A fleet whose mirrors have started."""
        for path, answer in self.lists.items():
            self.server.on("GET", path, answer)
        upkeep = Upkeep(stale_after_seconds=120.0, report=list[str]().append)
        fleet = ClusterFleet(
            ClusterInventory(self.api, upkeep),
            PodMirror(self.api, upkeep),
            AutoscalerMirror(self.api, upkeep),
            LiveConfigMaps(self.api, upkeep),
            self.reported.append,
        )
        self.opened.append(fleet)
        fleet.start()
        return fleet

    def open_synced(self) -> ClusterFleet:
        """A fleet whose mirrors have come in."""
        fleet = self.open()
        assert fleet.wait_synced(60.0)
        return fleet


@pytest.fixture
def cluster(server: FakeApiServer, api: Api) -> Iterator[Cluster]:
    opened = Cluster(server, api)
    yield opened
    for each in opened.opened:
        each.stop()


def test_a_workload_is_seen_with_its_pods_and_autoscalers(cluster: Cluster) -> None:
    fleet = cluster.open_synced().workloads()
    assert list(fleet) == [KEY]
    web = fleet[KEY]
    assert web.containers[0].running == Running(memory_limit_bytes=400 * MIB)
    assert web.autoscaling == Autoscaling(memory_request_target=0.75, vertical="grow")
    assert web.live is None


def test_a_workload_on_the_live_channel_has_the_settings_of_its_config_map(
    cluster: Cluster,
) -> None:
    cluster.lists[DEPLOYMENTS] = page(deployment(metadata=IS_LIVE), version=20)
    web = cluster.open_synced().workloads()[KEY]
    assert web.live == LiveChannel("web-gc", "15")
    assert web.containers[0].literal("GOGC") == "150"


def test_a_fetch_asks_for_workload_and_config_map_and_joins_what_else_is_known(
    cluster: Cluster,
) -> None:
    cluster.server.on("GET", WEB, json_reply(deployment(version=30, metadata=IS_LIVE)))
    cluster.server.on("GET", LIVE, json_reply(live_config_map("200", 31)))
    web = cluster.open_synced().fetch(KEY)
    assert web.resource_version == "30"
    assert web.live == LiveChannel("web-gc", "31")
    assert web.containers[0].literal("GOGC") == "200"
    assert web.containers[0].running.memory_limit_bytes == 400 * MIB
    assert web.autoscaling.vertical == "grow"


def test_a_fetch_without_the_live_channel_asks_for_no_config_map(cluster: Cluster) -> None:
    cluster.server.on("GET", WEB, json_reply(deployment(version=30)))
    web = cluster.open_synced().fetch(KEY)
    assert web.live is None
    assert web.containers[0].running.memory_limit_bytes == 400 * MIB
    assert cluster.server.asked("GET", LIVE) == []


def test_a_live_config_map_that_is_gone_is_no_error_but_trouble(cluster: Cluster) -> None:
    cluster.server.on("GET", WEB, json_reply(deployment(metadata=IS_LIVE)))
    cluster.server.on("GET", LIVE, NOT_FOUND)
    live = cluster.open_synced().fetch(KEY).live
    assert live is not None
    assert live.trouble.startswith("ConfigMap shop/web-gc: not found")


def test_a_live_config_map_that_cannot_be_asked_for_is_an_error(cluster: Cluster) -> None:
    cluster.server.on("GET", WEB, json_reply(deployment(metadata=IS_LIVE)))
    cluster.server.on("GET", LIVE, refused(503, "ServiceUnavailable", "starting"))
    fleet = cluster.open_synced()
    with pytest.raises(UnavailableError, match="configmap shop/web-gc: 503"):
        fleet.fetch(KEY)


def test_a_workload_that_is_gone_is_gone(cluster: Cluster) -> None:
    cluster.server.on("GET", WEB, NOT_FOUND)
    fleet = cluster.open_synced()
    with pytest.raises(GoneError, match="shop/web: 404"):
        fleet.fetch(KEY)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (DEPLOYMENTS, "deployments"),
        (STATEFUL_SETS, "statefulsets"),
        (PODS, "pods"),
        (HPAS, "horizontalpodautoscalers"),
        (VPAS, "verticalpodautoscalers"),
    ],
)
def test_there_is_no_view_while_a_part_of_it_is_missing(
    cluster: Cluster, path: str, what: str
) -> None:
    cluster.lists[path] = Hang()
    fleet = cluster.open()
    cluster.server.wait_asked("WATCH", len(cluster.lists) - 1)
    assert not fleet.wait_synced(0.0)
    with pytest.raises(UnavailableError, match=f"{what}: not listed yet"):
        fleet.workloads()


def test_live_config_maps_that_no_workload_names_are_not_waited_for(cluster: Cluster) -> None:
    cluster.lists[CONFIG_MAPS] = FORBIDDEN
    fleet = cluster.open()
    cluster.server.wait_asked("WATCH", len(cluster.lists) - 1)
    assert list(fleet.workloads()) == [KEY]


@pytest.mark.parametrize(
    ("answer", "times", "why"),
    [
        (FORBIDDEN, 2, "configmaps: not listed yet: list configmaps: 403 Forbidden: cannot list"),
        (Hang(), 1, "configmaps: not listed yet"),
    ],
)
def test_where_live_config_maps_cannot_be_seen_the_workloads_that_name_one_are_left_out_alone(
    cluster: Cluster, answer: Reply | Hang, times: int, why: str
) -> None:
    live = deployment("live", metadata=IS_LIVE)
    cluster.lists[DEPLOYMENTS] = page(deployment(), live, version=20)
    cluster.lists[CONFIG_MAPS] = answer
    fleet = cluster.open()
    cluster.server.wait_asked("WATCH", len(cluster.lists) - 1)
    cluster.server.wait_asked("GET", times, CONFIG_MAPS)
    assert list(fleet.workloads()) == list(fleet.workloads()) == [KEY]
    (said,) = cluster.reported
    assert said == f"shop/Deployment/live: its live ConfigMap web-gc cannot be seen: {why}"


def test_a_workload_that_was_left_out_is_back_once_its_live_config_map_is_seen(
    cluster: Cluster,
) -> None:
    cluster.lists[DEPLOYMENTS] = page(deployment(metadata=IS_LIVE), version=20)
    cluster.lists[CONFIG_MAPS] = FORBIDDEN
    fleet = cluster.open()
    cluster.server.wait_asked("WATCH", len(cluster.lists) - 1)
    assert list(fleet.workloads()) == []
    cluster.server.on("GET", CONFIG_MAPS, page(live_config_map("150", 15), version=20))
    assert fleet.wait_synced(60.0)
    assert fleet.workloads()[KEY].live == LiveChannel("web-gc", "15")
