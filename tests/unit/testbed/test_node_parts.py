from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.testbed.node.addresses import AddressPool
from tests.e2e.testbed.node.backoff import Backoff, BackoffPolicy
from tests.e2e.testbed.node.images import (
    ImageNotFoundError,
    load_image,
    repository_of,
    user_of,
)
from tests.e2e.testbed.node.probes import HttpAction, Tally, TcpAction, parse_probe
from tests.e2e.testbed.node.process import Mount, User
from tests.e2e.testbed.node.procfs import Ancestry
from tests.e2e.testbed.node.quantity import divide_up, parse_quantity
from tests.e2e.testbed.node.resize import (
    refusal,
    resizable_resources,
    restarts_container,
    same_resources,
    total_requests,
)
from tests.e2e.testbed.node.services import service_endpoints


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("2", "2"),
        ("1.5", "1.5"),
        ("500m", "0.5"),
        ("64Mi", "67108864"),
        ("1G", "1000000000"),
        ("1e3", "1000"),
        ("100n", "0.0000001"),
        ("2E", "2000000000000000000"),
    ],
)
def test_quantities(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "Mi", "12 MB", "abc"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


def test_division_by_a_divisor_rounds_up() -> None:
    assert divide_up(parse_quantity("1500m"), parse_quantity("1")) == 2


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("testbed/service", "testbed/service"),
        ("testbed/service:v1", "testbed/service"),
        ("registry:5000/testbed/service", "registry:5000/testbed/service"),
        ("registry:5000/gc-tuner:1@sha256:abc", "registry:5000/gc-tuner"),
    ],
)
def test_a_tag_is_not_a_registry_port(reference: str, repository: str) -> None:
    assert repository_of(reference) == repository


def test_an_image_is_found_by_tag_before_it_is_found_without(tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    file.write_text(json.dumps({"app": {"command": ["old"]}, "app:2": {"command": ["new"]}}))
    assert load_image(file, "app:1").command == ("old",)
    assert load_image(file, "app:2").command == ("new",)
    with pytest.raises(ImageNotFoundError):
        load_image(file, "other")


def test_an_image_says_what_runs_who_runs_it_and_what_it_sees(tmp_path: Path) -> None:
    file = tmp_path / "images.json"
    entry = {
        "command": ["python"],
        "args": ["run"],
        "user": "65532:65532",
        "mounts": [{"source": "/here", "target": "/opt/it"}],
    }
    file.write_text(json.dumps({"app": entry, "bare": {"command": ["sh"]}}))
    image, bare = load_image(file, "app"), load_image(file, "bare")
    assert (image.command, image.arguments) == (("python",), ("run",))
    assert image.mounts == (Mount(Path("/here"), "/opt/it", read_only=True),)
    assert user_of(image, {}) == User(65532, 65532)
    assert user_of(image, {"runAsUser": 1000}) == User(1000, 0)
    assert user_of(image, {"runAsGroup": 2000}) == User(65532, 2000)
    assert (bare.arguments, bare.mounts) == ((), ())
    assert user_of(bare, {}) is None
    assert user_of(bare, {"runAsUser": 0}) == User(0, 0)


def test_an_address_is_unique_and_comes_again_only_after_all_others() -> None:
    pool = AddressPool(start=0)
    first = pool.acquire()
    pool.release(first)
    following = [pool.acquire() for _ in range(600)]
    assert first == "127.1.0.1"
    assert first not in following
    assert len(set(following)) == 600
    assert not [address for address in following if address.endswith((".0", ".255"))]


def test_an_address_in_use_is_skipped_when_the_pool_comes_round() -> None:
    pool = AddressPool(start=0, size=4)
    held, freed, _ = (pool.acquire() for _ in range(3))
    pool.release(freed)
    assert held == "127.1.0.1"
    assert pool.acquire() == freed


def test_restart_delays_double_up_to_the_cap_and_start_over_after_a_long_run() -> None:
    backoff = Backoff(BackoffPolicy(10, 60, 600))
    assert [backoff.after_run(1) for _ in range(6)] == [0, 10, 20, 40, 60, 60]
    assert backoff.after_run(600) == 0
    assert backoff.after_run(1) == 10


_CONTAINER = {"ports": [{"name": "web", "containerPort": 8080}]}


def test_a_probe_is_read_with_the_defaults_of_the_api() -> None:
    probe = parse_probe({"httpGet": {"path": "/ready", "port": "web"}}, _CONTAINER)
    assert probe.action == HttpAction(None, 8080, "/ready", tls=False, headers=())
    assert (probe.period_seconds, probe.timeout_seconds) == (10, 1)
    assert (probe.success_threshold, probe.failure_threshold) == (1, 3)
    assert parse_probe({"tcpSocket": {"port": 9}}, {}).action == TcpAction(None, 9)


@pytest.mark.parametrize("spec", [{"httpGet": {"port": "nope"}}, {"grpc": {"port": 1}}])
def test_a_probe_that_cannot_be_carried_out_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"port|unsupported"):
        parse_probe(spec, _CONTAINER)


def test_a_verdict_changes_only_when_a_threshold_is_reached() -> None:
    thresholds = {"successThreshold": 2, "failureThreshold": 3}
    probe = parse_probe({"tcpSocket": {"port": 1}, **thresholds}, {})
    tally = Tally(probe, initially=False)
    outcomes = [True, True, False, False, True, False, False, False]
    verdicts = []
    for outcome in outcomes:
        tally.record(success=outcome)
        verdicts.append(tally.verdict)
    assert verdicts == [False, True, True, True, True, True, True, False]


def test_a_tree_has_the_session_and_the_children_that_left_it() -> None:
    ancestry = Ancestry(
        parents={10: 1, 11: 10, 12: 11, 13: 1, 20: 1, 21: 20},
        sessions={10: 10, 11: 10, 12: 12, 13: 10, 20: 20, 21: 20},
    )
    assert ancestry.members(10) == {10, 11, 12, 13}
    assert ancestry.members(99) == {99}


def test_resources_are_compared_by_value() -> None:
    assert same_resources({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1000m"}})
    assert not same_resources({"limits": {"cpu": "1"}}, {"requests": {"cpu": "1"}})
    container = {"resources": {"limits": {"cpu": "1", "ephemeral-storage": "1Gi"}}}
    assert resizable_resources(container) == {"limits": {"cpu": "1"}}


@pytest.mark.parametrize(
    ("asked", "others", "reason"),
    [("1Gi", "1Gi", None), ("3Gi", "2Gi", "Deferred"), ("5Gi", "0", "Infeasible")],
)
def test_a_resize_is_granted_deferred_or_infeasible(
    asked: str, others: str, reason: str | None
) -> None:
    refused = refusal(
        total_requests([{"memory": asked}]),
        total_requests([{"memory": others}]),
        {"cpu": "4", "memory": "4Gi"},
    )
    assert (None if refused is None else refused["reason"]) == reason


def test_only_a_changed_resource_with_that_policy_restarts_the_container() -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    before = {"limits": {"cpu": "1", "memory": "64Mi"}}
    more_cpu = {"limits": {"cpu": "2", "memory": "64Mi"}}
    more_memory = {"limits": {"cpu": "1", "memory": "65Mi"}}
    assert not restarts_container({"resizePolicy": policy}, before, more_cpu)
    assert restarts_container({"resizePolicy": policy}, before, more_memory)
    assert not restarts_container({}, before, more_memory)


def _pod(namespace: str, **labels: str) -> dict[str, Any]:
    metadata = {"namespace": namespace, "labels": labels}
    return {"metadata": metadata, "spec": {"containers": [_CONTAINER]}}


def _service(target: int | str | None) -> dict[str, Any]:
    port: dict[str, Any] = {"port": 80}
    if target is not None:
        port["targetPort"] = target
    spec = {"selector": {"app": "web"}, "ports": [port]}
    return {"metadata": {"namespace": "shop"}, "spec": spec}


def test_a_service_leads_to_the_pods_that_it_selects() -> None:
    pods = [
        (_pod("shop", app="web", tier="1"), "127.1.0.1"),
        (_pod("shop", app="db"), "127.1.0.2"),
        (_pod("other", app="web"), "127.1.0.3"),
    ]
    assert service_endpoints(_service("web"), pods) == ["127.1.0.1:8080"]
    assert service_endpoints(_service(9000), pods) == ["127.1.0.1:9000"]
    assert service_endpoints(_service(None), pods) == ["127.1.0.1:80"]
    assert service_endpoints(_service("absent"), pods) == []
