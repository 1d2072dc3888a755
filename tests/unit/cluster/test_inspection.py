"""What an installed resource definition does not keep of a record."""

import copy
from typing import Any

import pytest
from msgspec import inspect

from tests.unit.cluster.test_crd import PROPERTIES
from tuner.cluster.inspection import unknown
from tuner.model.record import Record


def unkept(schema: dict[str, Any]) -> list[str]:
    return list(unknown(schema, inspect.type_info(Record), "status"))


def test_the_definition_in_the_chart_keeps_all_of_it() -> None:
    assert unkept(PROPERTIES["status"]) == []


@pytest.mark.parametrize(
    ("path", "lost"),
    [
        (("properties", "trial"), "status.trial"),
        (("properties", "trial", "properties", "suspected"), "status.trial.suspected"),
        (
            ("properties", "applied", "properties", "settings", "items", "properties", "prior"),
            "status.applied.settings[].prior",
        ),
    ],
)
def test_a_field_that_is_not_known_is_named_wherever_it_stands(
    path: tuple[str, ...], lost: str
) -> None:
    schema = copy.deepcopy(PROPERTIES["status"])
    below = schema
    for step in path[:-1]:
        below = below[step]
    del below[path[-1]]
    assert unkept(schema) == [lost]


def test_a_reason_that_is_not_known_would_be_refused_and_is_named() -> None:
    schema = copy.deepcopy(PROPERTIES["status"])
    schema["properties"]["reason"]["enum"].remove("danger")
    assert unkept(schema) == ["status.reason=danger"]


def test_without_any_schema_everything_is_lost() -> None:
    assert "status.mode" in unkept({})
