from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.cluster.test_autoscalers import WEB, WORKLOAD
from tests.unit.cluster.test_pods import app, pod
from tuner.cluster.autoscalers import Autoscalers, Horizontal, Vertical
from tuner.cluster.fleet import FleetView
from tuner.cluster.live import LiveSettings
from tuner.cluster.pods import Pod, read_pod
from tuner.model.workload import Autoscaling, EnvEntry, Kind, LiveChannel, Running, WorkloadKey

OTHER = WorkloadKey("shop", Kind.DEPLOYMENT, "other")
LIVE = replace(WORKLOAD, annotations={"live": "web-gc"})
NONE = Autoscalers({}, {})


def running_pod(memory: str) -> Pod:
    found = read_pod(json.dumps(pod(app(memory))).encode()).value
    assert found is not None
    return found


def test_a_workload_is_joined_with_its_pods_and_autoscalers() -> None:
    autoscalers = Autoscalers({WEB: [Horizontal(WEB, 0.7)]}, {WEB: [Vertical(WEB, "grow", {})]})
    pods = {WEB: [running_pod("512Mi"), running_pod("400Mi")]}
    web = FleetView({WEB: WORKLOAD}, pods, autoscalers, {})[WEB]
    app_container, side = web.containers
    assert app_container.running == Running(memory_limit_bytes=400 << 20)
    assert side.running == Running()
    assert web.autoscaling == Autoscaling(memory_request_target=0.7, vertical="grow")
    assert web.live is None


def test_a_workload_without_pods_and_autoscalers_is_as_its_own_object_has_it() -> None:
    pods = {OTHER: [running_pod("512Mi")]}
    assert FleetView({WEB: WORKLOAD}, pods, NONE, {})[WEB] == WORKLOAD


def test_settings_of_the_live_config_map_stand_in_place_of_env() -> None:
    settings = LiveSettings("77", {"GOGC": EnvEntry("200")})
    web = FleetView({WEB: LIVE}, {}, NONE, {WEB: settings})[WEB]
    assert web.live == LiveChannel("web-gc", "77")
    assert web.containers[0].literal("GOGC") == "200"


def test_a_live_config_map_that_was_not_found_is_said_in_words() -> None:
    live = FleetView({WEB: LIVE}, {}, NONE, {})[WEB].live
    assert live is not None
    assert live.trouble.startswith("ConfigMap shop/web-gc: not found")


def test_a_workload_is_joined_once() -> None:
    view = FleetView({WEB: WORKLOAD}, {}, NONE, {})
    assert view[WEB] is view[WEB]


def test_there_are_as_many_workloads_as_the_inventory_has() -> None:
    view = FleetView({WEB: WORKLOAD}, {OTHER: [running_pod("1Gi")]}, NONE, {})
    assert list(view) == [WEB]
    assert len(view) == 1
    assert OTHER not in view
    with pytest.raises(KeyError):
        view[OTHER]
