"""Questions about the cluster itself: its version, what it keeps of a record, what it permits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from tuner.cluster.client import Request, decoded
from tuner.cluster.collection import RECORDS
from tuner.errors import GoneError
from tuner.model.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tuner.cluster.client import Api
    from tuner.cluster.permissions import Permission


class _Version(msgspec.Struct, rename="camel"):
    git_version: str


class _Components(msgspec.Struct, frozen=True):
    schemas: dict[str, dict[str, Any]] = {}


class _OpenApi(msgspec.Struct):
    components: _Components = _Components()


class _ReviewStatus(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _ReviewStatus = _ReviewStatus()


_VERSION = msgspec.json.Decoder(_Version)
_OPEN_API = msgspec.json.Decoder(_OpenApi)
_REVIEW = msgspec.json.Decoder(_Review)


class Inspection:
    """Asks the API server about itself; nothing is stored there."""

    def __init__(self, api: Api) -> None:
        """Take the way to the API server."""
        self._api = api

    def version(self) -> str:
        """The API server's version, such as ``v1.36.3``.

        Raises:
            ClusterError: It cannot be asked.
        """
        request = Request(verb="get", what="version", path="/version")
        return decoded(request, self._api.ask(request), _VERSION).git_version

    def unkept(self) -> Sequence[str]:
        """What of a record the installed resource definition does not know, as dotted paths.

        The schema is read as every client may, from the API server's own description of itself.

        Raises:
            GoneError: There is no such resource.
            ClusterError: It cannot be asked.
        """
        path = f"/openapi/v3/apis/{RECORDS.api_version}"
        request = Request(verb="get", what=f"schema of {RECORDS.plural}", path=path)
        found = decoded(request, self._api.ask(request), _OPEN_API).components.schemas.values()
        schema = next((each for each in found if _is_of_records(each)), None)
        if schema is None:
            raise GoneError(f"{request}: there is no kind {RECORDS.kind} in {RECORDS.api_version}")
        status = schema.get("properties", {}).get("status", {})
        return list(unknown(status, inspect.type_info(Record), "status"))

    def allows(self, permission: Permission, verb: str, namespace: str | None) -> bool:
        """Whether gc-tuner may do something, by a SelfSubjectAccessReview.

        Args:
            permission: What.
            verb: One of its verbs.
            namespace: Where; None: in all namespaces.

        Raises:
            ClusterError: It cannot be asked.
        """
        names = permission.names or ("",)
        return all(self._allowed(permission, verb, namespace or "", each) for each in names)

    def _allowed(self, permission: Permission, verb: str, namespace: str, name: str) -> bool:
        resource, _, subresource = permission.resource.partition("/")
        attributes = {
            "namespace": namespace,
            "verb": verb,
            "group": permission.group,
            "resource": resource,
            "subresource": subresource,
            "name": name,
        }
        wanted = {key: each for key, each in attributes.items() if each}
        request = Request(
            verb="create",
            what="selfsubjectaccessreview",
            path="/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            body={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": wanted},
            },
        )
        return decoded(request, self._api.ask(request), _REVIEW).status.allowed


def _is_of_records(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("x-kubernetes-group-version-kind", ())
    return any(each.get("kind") == RECORDS.kind for each in kinds)


def unknown(schema: Mapping[str, Any], kind: inspect.Type, path: str) -> Iterator[str]:
    """What a value of a type may hold and a schema does not have: it would be dropped or refused.

    Args:
        schema: The OpenAPI schema.
        kind: The type, as msgspec tells it.
        path: Where the schema stands.
    """
    match kind:
        case inspect.StructType():
            properties = schema.get("properties", {})
            for field in kind.fields:
                below = f"{path}.{field.encode_name}"
                if field.encode_name not in properties:
                    yield below
                else:
                    yield from unknown(properties[field.encode_name], field.type, below)
        case inspect.UnionType():
            for each in kind.types:
                yield from unknown(schema, each, path)
        case inspect.VarTupleType():
            yield from unknown(schema.get("items", {}), kind.item_type, f"{path}[]")
        case inspect.EnumType() if "enum" in schema:
            values = (member.value for member in kind.cls)
            yield from (f"{path}={value}" for value in values if value not in schema["enum"])
        case _:
            pass
