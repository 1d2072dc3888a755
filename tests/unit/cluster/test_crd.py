"""The custom resource definition in the chart, against the model."""

from pathlib import Path
from typing import Any

import yaml

from tests.unit.cluster.schema import status_schema
from tuner.cluster.collection import RECORDS
from tuner.model.reason import Reason
from tuner.model.workload import Kind

CHART = Path(__file__).parents[3] / "charts" / "gc-tuner"
DEFINITION = yaml.safe_load((CHART / "crds" / "gctunings.yaml").read_text())
(VERSION,) = DEFINITION["spec"]["versions"]
PROPERTIES = VERSION["schema"]["openAPIV3Schema"]["properties"]


def without_words(schema: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """The schema without descriptions."""
    if isinstance(schema, dict):
        described = {"type", "enum", "properties"} & schema.keys()
        return {
            name: without_words(value)
            for name, value in schema.items()
            if not (name == "description" and described)
        }
    return [without_words(each) for each in schema] if isinstance(schema, list) else schema


def test_the_status_is_the_record() -> None:
    assert without_words(PROPERTIES["status"]) == status_schema()


def test_every_reason_is_known() -> None:
    assert PROPERTIES["status"]["properties"]["reason"]["enum"] == list(Reason)


def test_every_kind_may_be_a_target() -> None:
    target = PROPERTIES["spec"]["properties"]["targetRef"]["properties"]
    assert target["kind"]["enum"] == list(Kind)


def test_the_adapter_asks_for_what_is_defined() -> None:
    spec = DEFINITION["spec"]
    assert f"{spec['group']}/{VERSION['name']}" == RECORDS.api_version
    assert (spec["names"]["kind"], spec["names"]["plural"]) == (RECORDS.kind, RECORDS.plural)
    assert spec["names"]["shortNames"] == ["gct"]


def test_every_column_shows_a_field_that_exists() -> None:
    for column in VERSION["additionalPrinterColumns"]:
        path = column["jsonPath"].removeprefix(".").split(".")
        if path[0] == "metadata":
            continue
        schema = {"properties": PROPERTIES}
        for step in path:
            schema = schema["properties"][step.removesuffix("[0]")]
            if step.endswith("[0]"):
                schema = schema["items"]
        assert schema["type"] == column["type"], column
