from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tuner.cluster.overrides import Text, read_config_map
from tuner.overrides.document import read_document

PAUSED = "paused: true\n"


def config_map(
    data: dict[str, str] | None, *, version: int = 10, uid: str = "uid-overrides"
) -> dict[str, Any]:
    """The ConfigMap ``gc-tuner-overrides``."""
    return {
        "metadata": {
            "name": "gc-tuner-overrides",
            "namespace": "gc-tuner",
            "uid": uid,
            "resourceVersion": str(version),
        },
        **({"data": data} if data is not None else {}),
    }


def read(data: dict[str, str] | None) -> Text:
    text = read_config_map(json.dumps(config_map(data)).encode()).value
    assert text is not None
    return text


def test_the_item_has_name_version_and_text() -> None:
    item = read_config_map(json.dumps(config_map({"overrides.yaml": PAUSED})).encode())
    assert (item.key, item.version) == ("gc-tuner-overrides", 10)
    assert item.value == Text("uid-overrides", PAUSED)


def test_a_text_says_what_stands_in_it() -> None:
    assert read({"overrides.yaml": PAUSED}).document(read_document).paused


@pytest.mark.parametrize("data", [None, {}, {"overrides.yml": PAUSED}])
def test_a_missing_key_is_trouble_and_not_an_empty_text(data: dict[str, str] | None) -> None:
    document = read(data).document(read_document)
    assert document.trouble == (
        "the key overrides.yaml is missing: add it, or delete the ConfigMap"
    )


def test_an_empty_text_is_no_trouble() -> None:
    assert not read({"overrides.yaml": ""}).document(read_document).trouble


def test_what_is_no_config_map_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        read_config_map(b'{"metadata": {"name": "x"}}')
