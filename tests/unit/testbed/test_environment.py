from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.e2e.testbed.node.environment import (
    ConfigError,
    References,
    Sources,
    environment_references,
    resolve_environment,
)
from tests.e2e.testbed.node.expansion import expand
from tests.e2e.testbed.node.fields import PodFacts

_FACTS = PodFacts("127.1.2.3", "127.0.0.1", "node", {"cpu": "16", "memory": "64Gi"})
_POD: dict[str, Any] = {
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "uid": "u",
        "labels": {"app": "web", "gc-tuner.io/mode": "auto"},
        "annotations": {"note": "hi"},
    },
    "spec": {"serviceAccountName": "robot"},
}
_SOURCES = Sources(
    {"settings": {"metadata": {"name": "settings"}, "data": {"colour": "blue", "size": "9"}}},
    {
        "keys": {
            "metadata": {"name": "keys"},
            "data": {"password": base64.b64encode(b"hunter2").decode()},
        }
    },
)


def _resolve(*env: dict[str, Any], **container: Any) -> dict[str, str]:  # noqa: ANN401 - container fields
    return resolve_environment({"env": list(env), **container}, _POD, _SOURCES, _FACTS, {})


def _value_from(**source: Any) -> str:  # noqa: ANN401 - an env source
    return _resolve({"name": "X", "valueFrom": source}, resources={"limits": {"memory": "1500Ki"}})[
        "X"
    ]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("<$(A)$(B)>", "<12>"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$", "$$"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("ends in $", "ends in $"),
        ("$()", "$()"),
    ],
)
def test_expansion_follows_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_a_value_sees_only_what_stands_above_it() -> None:
    variables = _resolve(
        {"name": "EARLY", "value": "$(LATE)"},
        {"name": "LATE", "value": "x"},
        {"name": "LAST", "value": "$(LATE)y"},
    )
    assert variables == {"EARLY": "$(LATE)", "LATE": "x", "LAST": "xy"}


def test_env_overrides_env_from_and_the_base() -> None:
    container = {
        "env": [{"name": "P_colour", "value": "red"}, {"name": "GOGC", "value": "50"}],
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "settings"}}],
    }
    base = {"GOGC": "100", "PATH": "/bin"}
    assert resolve_environment(container, _POD, _SOURCES, _FACTS, base) == {
        "GOGC": "50",
        "PATH": "/bin",
        "P_colour": "red",
        "P_size": "9",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u"),
        ("metadata.labels['gc-tuner.io/mode']", "auto"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['note']", "hi"),
        ("status.podIP", "127.1.2.3"),
        ("status.hostIP", "127.0.0.1"),
        ("spec.nodeName", "node"),
        ("spec.serviceAccountName", "robot"),
    ],
)
def test_field_references(path: str, value: str) -> None:
    assert _value_from(fieldRef={"fieldPath": path}) == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.memory"}, "1536000"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "2"),
        ({"resource": "limits.memory", "divisor": "0"}, "1536000"),
        ({"resource": "requests.memory", "divisor": "1Ki"}, "1500"),
        ({"resource": "limits.cpu"}, "16"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "0"),
    ],
)
def test_resource_references_round_up_and_fall_back_to_the_node(
    reference: dict[str, str], value: str
) -> None:
    assert _value_from(resourceFieldRef=reference) == value


def test_secret_values_are_decoded_and_not_expanded() -> None:
    assert _value_from(secretKeyRef={"name": "keys", "key": "password"}) == "hunter2"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "x"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "x"}}, 'secret "none" not found'),
        (
            {"configMapKeyRef": {"name": "settings", "key": "x"}},
            "couldn't find key x in ConfigMap settings",
        ),
        ({"fieldRef": {"fieldPath": "spec.colour"}}, "unsupported fieldPath: spec.colour"),
    ],
)
def test_what_is_missing_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        _value_from(**source)


def test_an_optional_reference_to_nothing_sets_nothing() -> None:
    missing = {"name": "none", "key": "x", "optional": True}
    variables = _resolve(
        {"name": "X", "valueFrom": {"configMapKeyRef": missing}},
        envFrom=[{"secretRef": {"name": "none", "optional": True}}],
    )
    assert variables == {}


def test_references_name_every_object_that_env_reads() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
        "env": [
            {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "Y", "valueFrom": {"secretKeyRef": {"name": "d", "key": "k"}}},
            {"name": "Z", "value": "1"},
        ],
    }
    assert environment_references(container) == References(
        frozenset({"a", "c"}), frozenset({"b", "d"})
    )
