"""The live channel, against answers that a cluster seldom gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.cluster.conftest import CONFIG_MAPS, WEB_GC
from tests.contract.cluster.server import (
    FakeApiServer,
    Hang,
    Reply,
    Stream,
    json_reply,
    page,
    refused,
)
from tests.contract.waiting import settle
from tests.unit.cluster.objects import config_map, deployment
from tuner.cluster import ClusterActuator, Upkeep
from tuner.cluster.live import LiveConfigMaps, LiveSettings, with_live
from tuner.cluster.workload import read_workload
from tuner.errors import ConflictError, GoneError, RefusedError, UnavailableError
from tuner.model.trial import Change, Setting
from tuner.model.workload import EnvEntry, Kind, LiveChannel, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tuner.cluster import Api

CONFLICT = refused(409, "Conflict", "the object has been modified")
NOT_FOUND = refused(404, "NotFound", "not found")
STEP = Change("app", (Setting("GOGC", "100", "200"), Setting("BARRIER", "64", None)))
GOGC_200 = LiveSettings("21", {"GOGC": EnvEntry("200")})


def owned(manager: str, *keys: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"f:data": {".": {}, **{f"f:{key}": {} for key in keys}}}
    return {"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}


@dataclass
class Channel:
    """The mirror, synced, and an actuator that writes through it."""

    live: LiveConfigMaps
    actuator: ClusterActuator
    reports: list[str]

    def becomes(self, expected: LiveSettings | None) -> None:
        settle(lambda: self.live.of("shop", "web-gc") == expected)
        assert self.live.of("shop", "web-gc") == expected

    def web(self, **annotations: str) -> Workload:
        """The Deployment ``web``, joined with what was seen of its ConfigMap."""
        names = {"gc-tuner.io/live": "web-gc"}
        names |= {f"gc-tuner.io/{name}": text for name, text in annotations.items()}
        raw = deployment(metadata={"annotations": names})
        workload = read_workload(Kind.DEPLOYMENT, json_reply(raw).body).value
        assert workload is not None
        settings = self.live.of("shop", "web-gc")
        return with_live(workload, settings, found=settings is not None)


@pytest.fixture
def channel(server: FakeApiServer, api: Api) -> Iterator[Callable[..., Channel]]:
    started: list[Channel] = []

    def start(*config_maps: dict[str, Any]) -> Channel:
        reports: list[str] = []
        server.on("GET", CONFIG_MAPS, page(*config_maps, version=20))
        live = LiveConfigMaps(api, Upkeep(stale_after_seconds=120.0, report=reports.append))
        started.append(Channel(live, ClusterActuator(api, live), reports))
        live.start()
        assert live.wait_synced(60.0)
        return started[-1]

    yield start
    for each in started:
        each.live.stop()


def test_only_config_maps_with_the_label_are_asked_for(
    server: FakeApiServer, channel: Callable[..., Channel]
) -> None:
    channel()
    (listed,), (watched,) = server.asked("GET"), server.wait_asked("WATCH", 1)
    assert listed.query["labelSelector"] == "gc-tuner.io/live=true"
    assert watched.query["labelSelector"] == "gc-tuner.io/live=true"


def test_the_tuned_keys_and_their_owners_are_read(channel: Callable[..., Channel]) -> None:
    data = {"GOGC": "150\n", "BARRIER": "64", "colour": "red"}
    fields = [owned("helm", "GOGC", "colour"), owned("gc-tuner", "BARRIER", "GOGC")]
    opened = channel(config_map(data=data, metadata={"managedFields": fields}))
    assert opened.live.of("shop", "web-gc") == LiveSettings(
        "10",
        {
            "GOGC": EnvEntry("150", owners=("gc-tuner", "helm")),
            "BARRIER": EnvEntry("64", owners=("gc-tuner",)),
        },
    )
    assert opened.live.of("shop", "other") is None
    assert opened.live.of("bank", "web-gc") is None


def test_the_view_follows_the_config_map(
    server: FakeApiServer, channel: Callable[..., Channel]
) -> None:
    stream = Stream()
    server.on("WATCH", CONFIG_MAPS, stream)
    opened = channel()
    opened.becomes(None)
    stream.send(("ADDED", config_map(version=21, data={"GOGC": "200"})))
    opened.becomes(GOGC_200)
    # So the API server tells that the label was taken away.
    stream.send(("DELETED", config_map(version=22, labels={})))
    opened.becomes(None)


@pytest.mark.parametrize(
    "unusable",
    [
        config_map(labels={}),
        config_map(labels={"gc-tuner.io/live": "false"}),
        config_map(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
    ],
)
def test_a_config_map_that_may_not_be_written_is_as_good_as_none(
    server: FakeApiServer, channel: Callable[..., Channel], unusable: dict[str, Any]
) -> None:
    server.on("GET", WEB_GC, json_reply(unusable))
    opened = channel(unusable)
    assert opened.live.of("shop", "web-gc") is None
    with pytest.raises(GoneError, match="being deleted, or without the label"):
        opened.live.fetch("shop", "web-gc")


def test_a_fetch_asks_for_what_stands_there_now(
    server: FakeApiServer, channel: Callable[..., Channel]
) -> None:
    server.on("GET", WEB_GC, json_reply(config_map(version=21, data={"GOGC": "200"})), NOT_FOUND)
    opened = channel(config_map(data={"GOGC": "100"}))
    assert opened.live.fetch("shop", "web-gc") == GOGC_200
    with pytest.raises(GoneError, match="get configmap shop/web-gc: 404"):
        opened.live.fetch("shop", "web-gc")


@pytest.mark.parametrize("name", ["", "..", "a/b", "gc-tuner-overrides"])
def test_a_name_that_no_live_config_map_can_have_is_neither_asked_for_nor_written(
    server: FakeApiServer, channel: Callable[..., Channel], name: str
) -> None:
    opened = channel(config_map(name, data={"GOGC": "100"}))
    asked = len(server.asked("GET"))
    assert opened.live.of("shop", name) is None
    with pytest.raises(GoneError, match="no live ConfigMap can have that name"):
        opened.live.fetch("shop", name)
    with pytest.raises(RefusedError, match="no live ConfigMap can have that name"):
        opened.live.write("shop", name, "10", {"GOGC": "200"})
    assert (len(server.asked("GET")), server.asked("PATCH")) == (asked, [])


def test_a_view_that_was_never_listed_is_refused(server: FakeApiServer, api: Api) -> None:
    server.on("GET", CONFIG_MAPS, refused(403, "Forbidden", "cannot list configmaps"))
    live = LiveConfigMaps(api, Upkeep(stale_after_seconds=120.0, report=pytest.fail))
    live.start()
    server.wait_asked("GET", 2)
    with pytest.raises(UnavailableError, match=r"configmaps: not listed yet: .*cannot list"):
        live.of("shop", "web-gc")
    live.stop()


def test_of_some_namespaces_only_those_are_asked_for(server: FakeApiServer, api: Api) -> None:
    path = "/api/v1/namespaces/shop/configmaps"
    server.on("GET", path, page(config_map(data={"GOGC": "100"}), version=20))
    live = LiveConfigMaps(api, Upkeep(stale_after_seconds=120.0, report=pytest.fail), ["shop"])
    live.start()
    assert live.wait_synced(60.0)
    assert live.of("shop", "web-gc") == LiveSettings("10", {"GOGC": EnvEntry("100")})
    assert live.of("bank", "web-gc") is None
    live.stop()


def test_a_write_names_its_keys_at_the_config_maps_version_and_leaves_the_workload_alone(
    server: FakeApiServer, channel: Callable[..., Channel]
) -> None:
    server.on("PATCH", WEB_GC, json_reply(config_map(version=21, data={"GOGC": "200"})))
    opened = channel(config_map(data={"GOGC": "100", "BARRIER": "64"}))
    workload = opened.web()
    written = opened.actuator.write(workload, STEP, "GOGC 100 -> 200")
    (asked,) = server.asked("PATCH")
    assert asked.path == WEB_GC
    assert asked.query == {"fieldManager": "gc-tuner"}
    assert asked.headers["content-type"] == "application/merge-patch+json"
    assert asked.json == {
        "metadata": {"resourceVersion": "10"},
        "data": {"GOGC": "200", "BARRIER": None},
    }
    assert written.live == LiveChannel("web-gc", "21")
    assert written.containers[0].env == {"GOGC": EnvEntry("200")}
    assert written.resource_version == workload.resource_version
    assert written.change_cause is None


def test_a_withdrawal_makes_another_version_of_the_config_map(
    server: FakeApiServer, channel: Callable[..., Channel]
) -> None:
    data = {"GOGC": "100"}
    answers = [json_reply(config_map(version=version, data=data)) for version in (21, 22)]
    server.on("PATCH", WEB_GC, *answers)
    opened = channel(config_map(data=data))
    opened.actuator.withdraw(opened.web())
    asked = server.asked("PATCH")
    assert {each.path for each in asked} == {WEB_GC}
    assert [each.json for each in asked] == [
        {"metadata": {"resourceVersion": version, "labels": {"gc-tuner.io/withdrawn": text}}}
        for version, text in (("10", "true"), ("21", None))
    ]
    assert opened.live.of("shop", "web-gc") == LiveSettings("22", {"GOGC": EnvEntry("100")})


def test_what_was_written_is_seen_at_once(
    server: FakeApiServer, channel: Callable[..., Channel]
) -> None:
    server.on("PATCH", WEB_GC, json_reply(config_map(version=21, data={"GOGC": "200"})))
    opened = channel(config_map(data={"GOGC": "100"}))
    opened.actuator.write(opened.web(), STEP, "x")
    assert opened.live.of("shop", "web-gc") == GOGC_200


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (CONFLICT, ConflictError, "patch configmap shop/web-gc: 409"),
        (NOT_FOUND, GoneError, "patch configmap shop/web-gc: 404"),
        (refused(422, "Invalid", "field is immutable"), RefusedError, "field is immutable"),
        (json_reply(config_map(data={"GOGC": "100"})), RefusedError, "the API server's answer has"),
        (json_reply(config_map(data={"GOGC": "200"}, labels={})), GoneError, "without the label"),
        (json_reply({"kind": "Nonsense"}), UnavailableError, "the answer cannot be read"),
    ],
)
def test_a_write_that_was_not_carried_out_as_asked_is_an_error(
    server: FakeApiServer,
    channel: Callable[..., Channel],
    answer: Reply,
    error: type[Exception],
    words: str,
) -> None:
    server.on("PATCH", WEB_GC, answer)
    opened = channel(config_map(data={"GOGC": "100"}))
    with pytest.raises(error, match=words):
        opened.actuator.write(opened.web(), STEP, "x")


def test_a_write_without_an_answer_is_not_known_to_have_failed(
    server: FakeApiServer, open_api: Callable[[float], Api], channel: Callable[..., Channel]
) -> None:
    server.on("PATCH", WEB_GC, Hang())
    opened = channel(config_map(data={"GOGC": "100"}))
    impatient = LiveConfigMaps(open_api(0.2), Upkeep(stale_after_seconds=120.0, report=pytest.fail))
    with pytest.raises(UnavailableError, match="patch configmap shop/web-gc: no answer in time"):
        ClusterActuator(open_api(0.2), impatient).write(opened.web(), STEP, "x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BARRIER", "0"),
        ("BARRIER", "-1"),
        ("BARRIER", "064"),
        ("BARRIER", "64.5"),
        ("BARRIER", "off"),
        ("BARRIER", "1" * 13),
        ("GOGC", "330.0"),
        ("GOMEMLIMIT", "715Mi"),
        ("colour", "red"),
    ],
)
def test_what_is_not_well_formed_does_not_leave_the_house(
    server: FakeApiServer, channel: Callable[..., Channel], name: str, value: str
) -> None:
    opened = channel(config_map(data={"GOGC": "100"}))
    with pytest.raises(RefusedError):
        opened.actuator.write(opened.web(), Change("app", (Setting(name, None, value),)), "no")
    with pytest.raises(RefusedError):
        opened.live.write("shop", "web-gc", "10", {name: value})
    assert server.asked("PATCH") == []


def test_a_config_map_that_was_not_read_is_not_written(
    server: FakeApiServer, channel: Callable[..., Channel]
) -> None:
    opened = channel()
    with pytest.raises(RefusedError, match="not found, or without the label"):
        opened.actuator.write(opened.web(), STEP, "x")
    with pytest.raises(RefusedError, match="not read before it is written"):
        opened.live.write("shop", "web-gc", "", {"GOGC": "200"})
    assert server.asked("PATCH") == []


def test_a_container_that_takes_its_settings_from_env_is_not_written_through_the_config_map(
    server: FakeApiServer, channel: Callable[..., Channel]
) -> None:
    opened = channel(config_map(data={"GOGC": "100"}))
    with pytest.raises(RefusedError, match="'app' does not take its settings from ConfigMap"):
        opened.actuator.write(opened.web(container="side"), STEP, "x")
    assert server.asked("PATCH") == []


def test_without_the_live_channel_what_goes_there_is_refused(
    server: FakeApiServer, api: Api, channel: Callable[..., Channel]
) -> None:
    opened = channel(config_map(data={"GOGC": "100"}))
    with pytest.raises(RefusedError, match="the live channel is not in use here"):
        ClusterActuator(api).write(opened.web(), STEP, "x")
    assert server.asked("PATCH") == []


def test_a_config_map_that_cannot_be_read_is_reported_and_left_out(
    channel: Callable[..., Channel],
) -> None:
    opened = channel({**config_map(), "data": {"GOGC": 100}})
    assert opened.live.of("shop", "web-gc") is None
    (report,) = opened.reports
    assert report.startswith("ConfigMap: cannot be read: ")
