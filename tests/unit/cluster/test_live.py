from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cluster.objects import deployment
from tuner.cluster.live import LiveSettings, containers_of, with_live
from tuner.cluster.workload import read_workload
from tuner.model.workload import EnvEntry, Kind, LiveChannel, Workload

SETTINGS = LiveSettings("7", {"GOGC": EnvEntry("200"), "BARRIER": EnvEntry("64")})
IN_ENV = [{"name": "GOGC", "value": "50"}, {"name": "GOMEMLIMIT", "value": "700MiB"}]


def annotated(**annotations: str) -> Workload:
    names = {f"gc-tuner.io/{name}": text for name, text in annotations.items()}
    raw: dict[str, Any] = deployment(env=IN_ENV, metadata={"annotations": names})
    workload = read_workload(Kind.DEPLOYMENT, json.dumps(raw).encode()).value
    assert workload is not None
    return workload


def test_a_workload_that_names_no_config_map_is_left_as_it_is() -> None:
    assert with_live(annotated(), SETTINGS, found=True) == annotated()


def test_what_the_config_map_says_stands_in_place_of_env_in_all_containers() -> None:
    joined = with_live(annotated(live="web-gc"), SETTINGS, found=True)
    assert joined.live == LiveChannel("web-gc", "7")
    assert [each.env for each in joined.containers] == [SETTINGS.entries] * 2


def test_only_the_container_that_the_workload_names_takes_it() -> None:
    joined = with_live(annotated(live="web-gc", container="side"), SETTINGS, found=True)
    app, side = joined.containers
    assert app.literal("GOGC") == "50"
    assert side.env == SETTINGS.entries


def test_a_container_that_does_not_exist_takes_nothing() -> None:
    workload = annotated(live="web-gc", container="other")
    assert list(containers_of(workload)) == []
    assert with_live(workload, SETTINGS, found=True).containers == workload.containers


def test_the_rest_of_the_workload_stays_its_own() -> None:
    workload = annotated(live="web-gc")
    joined = with_live(workload, SETTINGS, found=True)
    assert joined.resource_version == workload.resource_version
    assert joined.template_digest == workload.template_digest


def test_without_the_config_map_nothing_counts_as_set_and_the_trouble_is_told() -> None:
    joined = with_live(annotated(live="web-gc"), None, found=False)
    assert joined.live == LiveChannel(
        "web-gc",
        trouble='ConfigMap shop/web-gc: not found, or without the label gc-tuner.io/live: "true"',
    )
    assert [each.env for each in joined.containers] == [{}, {}]


@pytest.mark.parametrize("settings", [SETTINGS, None])
def test_a_config_map_that_is_not_there_any_more_is_trouble(settings: LiveSettings | None) -> None:
    joined = with_live(annotated(live="web-gc"), settings, found=False)
    assert joined.live is not None
    assert "not found" in joined.live.trouble


@pytest.mark.parametrize("name", ["", "Web", "../web", "a/b", "a" * 254, "gc-tuner-overrides"])
def test_a_name_that_no_live_config_map_can_have_is_told_as_such(name: str) -> None:
    joined = with_live(annotated(live=name), None, found=False)
    assert joined.live is not None
    assert joined.live.trouble == f"ConfigMap shop/{name}: no live ConfigMap can have that name"
