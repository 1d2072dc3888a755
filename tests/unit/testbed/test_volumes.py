from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.testbed.node.environment import ConfigError, References, Sources
from tests.e2e.testbed.node.fields import PodFacts
from tests.e2e.testbed.node.volumes import (
    TokenRequest,
    VolumeFile,
    token_requests,
    volume_files,
    volume_references,
    write_volume,
)

if TYPE_CHECKING:
    from pathlib import Path

_FACTS = PodFacts("127.1.2.3", "127.0.0.1", "node", {"cpu": "16", "memory": "64Gi"})
_POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"b": "2", "a": '"1"'}},
    "spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "64Mi"}}}]},
}
_SOURCES = Sources(
    {"settings": {"data": {"one": "1", "two": "2"}}},
    {"keys": {"data": {"password": base64.b64encode(b"hunter2").decode()}}},
)
_TOKEN_VOLUME: dict[str, Any] = {
    "name": "kube-api-access",
    "projected": {
        "defaultMode": 0o444,
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "settings", "items": [{"key": "one", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
    },
}


def _files(volume: dict[str, Any]) -> dict[str, bytes]:
    tokens = {TokenRequest(None, 3607): "secret-token"}
    files = volume_files(volume, _POD, _SOURCES, _FACTS, tokens)
    return {path: file.content for path, file in files.items()}


def test_a_config_map_shows_all_keys_or_the_chosen_ones() -> None:
    chosen = {"name": "settings", "items": [{"key": "two", "path": "deep/er"}]}
    assert _files({"name": "v", "configMap": {"name": "settings"}}) == {"one": b"1", "two": b"2"}
    assert _files({"name": "v", "configMap": chosen}) == {"deep/er": b"2"}


def test_a_secret_is_shown_decoded() -> None:
    volume = {"name": "v", "secret": {"secretName": "keys"}}
    assert _files(volume) == {"password": b"hunter2"}
    assert volume_references(volume) == References(frozenset(), frozenset({"keys"}))


def test_the_service_account_volume_holds_token_authority_and_namespace() -> None:
    assert _files(_TOKEN_VOLUME) == {
        "token": b"secret-token",
        "ca.crt": b"1",
        "namespace": b"shop",
    }
    assert token_requests(_TOKEN_VOLUME) == (TokenRequest(None, 3607),)


def test_the_downward_api_shows_labels_and_resources() -> None:
    limit = {"containerName": "main", "resource": "limits.memory", "divisor": "1Mi"}
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "limit", "resourceFieldRef": limit},
    ]
    assert _files({"name": "v", "downwardAPI": {"items": items}}) == {
        "labels": b'a="\\"1\\""\nb="2"',
        "limit": b"64",
    }


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "v", "configMap": {"name": "none"}},
        {"name": "v", "secret": {"secretName": "none"}},
        {"name": "v", "configMap": {"name": "settings", "items": [{"key": "x", "path": "x"}]}},
        {"name": "v", "persistentVolumeClaim": {"claimName": "disk"}},
    ],
)
def test_a_volume_without_its_content_is_refused(volume: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        _files(volume)


def test_an_optional_source_may_be_missing() -> None:
    assert _files({"name": "v", "configMap": {"name": "none", "optional": True}}) == {}


def _file(text: str) -> VolumeFile:
    return VolumeFile(text.encode(), 0o640)


def test_new_content_is_swapped_in_by_one_link(tmp_path: Path) -> None:
    write_volume(tmp_path, {"gone": _file("x"), "kept": _file("old"), "sub/deep": _file("1")})
    before = (tmp_path / "..data").resolve()
    assert write_volume(tmp_path, {"kept": _file("new"), "sub/deep": _file("2")})
    assert (tmp_path / "..data").resolve() != before
    assert not before.exists()
    visible = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".."))
    assert visible == ["kept", "sub"]
    assert (tmp_path / "kept").read_text() == "new"
    assert (tmp_path / "sub" / "deep").read_text() == "2"
    assert str((tmp_path / "kept").readlink()) == "..data/kept"
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o640


def test_a_reader_that_opened_the_old_files_keeps_them(tmp_path: Path) -> None:
    write_volume(tmp_path, {"gogc": _file("100")})
    with (tmp_path / "gogc").open() as reader:
        write_volume(tmp_path, {"gogc": _file("200")})
        assert reader.read() == "100"


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    files = {"a": _file("1"), "b/c": _file("2")}
    assert write_volume(tmp_path, files)
    assert not write_volume(tmp_path, files)
