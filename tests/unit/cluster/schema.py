"""The OpenAPI schema that a type of the model has as a part of a custom resource."""

from __future__ import annotations

from typing import Any

import msgspec.inspect as types

from tuner.model.record import Record


def status_schema() -> dict[str, Any]:
    """Schema of the status: every field of the record, and no other."""
    return _schema(types.type_info(Record))


def _schema(kind: types.Type) -> dict[str, Any]:
    match kind:
        case types.StructType():
            required = [each.encode_name for each in kind.fields if each.required]
            schema: dict[str, Any] = {
                "type": "object",
                **({"required": required} if required else {}),
                "properties": {each.encode_name: _property(each) for each in kind.fields},
            }
        case types.UnionType():
            (inner,) = (each for each in kind.types if not isinstance(each, types.NoneType))
            schema = _schema(inner)
        case types.EnumType():
            schema = {"type": "string", "enum": [each.value for each in kind.cls]}
        case types.VarTupleType():
            schema = {"type": "array", "items": _schema(kind.item_type)}
        case _:
            schema = dict(_PLAIN[type(kind)])
    return schema


_PLAIN: dict[type[types.Type], dict[str, Any]] = {
    types.IntType: {"type": "integer", "format": "int64"},
    types.FloatType: {"type": "number"},
    types.BoolType: {"type": "boolean"},
    types.StrType: {"type": "string"},
}


def _property(field: types.Field) -> dict[str, Any]:
    name = field.encode_name
    if name == "at" or name.endswith("At"):
        schema: dict[str, Any] = {"type": "string", "format": "date-time"}
    else:
        schema = _schema(field.type)
    # A None that is the default is left out of the object; any other stands there as null.
    if field.required and _optional(field.type):
        schema = {**schema, "nullable": True}
    return schema


def _optional(kind: types.Type) -> bool:
    return isinstance(kind, types.UnionType) and kind.includes_none
